"""The declarative base and the column types whose meaning must not depend on the database."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import DateTime, Dialect, Integer, MetaData, String, Uuid
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeDecorator

from hubrepo.kernel.base import new_guid


class Base(DeclarativeBase):
    """The base of all tables. Constraints are named, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime with microseconds, kept without a zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware to naive UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Naive UTC to aware."""
        return None if value is None else value.replace(tzinfo=UTC)


def name_type(length: int | None) -> String:
    """Text compared and sorted by code point on every database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


# An `id` is never given out twice, not even after the row with the highest one is deleted
# (tables say `sqlite_autoincrement`): the audit names things by it for ever.
Id = Annotated[int, mapped_column(Integer, primary_key=True)]
Guid = Annotated[UUID, mapped_column(Uuid, unique=True, default=new_guid)]
