"""The tables of blobs: which bytes an organisation keeps, and who wants them to stay for a while."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.db import Base, Id, Instant, name_type

# The store of blobs that have none of their own.
MAIN = "blobs"


class Blob(Base):
    """Bytes named by their SHA-256. What uses them has a foreign key to here.

    A blob that was released carries `doomed_at` until its bytes are gone; its row goes last. From
    `leaving_at` on they are being removed, and nobody can put them. `store` names the store that they
    lie in.
    """

    __tablename__ = "blobs_blob"
    __table_args__ = (
        UniqueConstraint("organisation_id", "digest"),
        Index(None, "doomed_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    digest: Mapped[str] = mapped_column(name_type(64))
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Instant)
    doomed_at: Mapped[datetime | None] = mapped_column(Instant)
    leaving_at: Mapped[datetime | None] = mapped_column(Instant)
    store: Mapped[str] = mapped_column(String(16), default=MAIN, server_default=MAIN)


class Hold(Base):
    """Until then no bytes are removed, in any process: somebody copies what the rows told a while ago."""

    __tablename__ = "blobs_hold"
    __table_args__ = (Index(None, "until"), {"sqlite_autoincrement": True})

    id: Mapped[Id]
    reason: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime] = mapped_column(Instant)


def references() -> list[Column[Any]]:
    """Every column, of any table, that refers to a blob: found by its foreign key."""
    return [
        foreign_key.parent
        for table in Base.metadata.tables.values()
        for foreign_key in table.foreign_keys
        if foreign_key.column.table is Blob.__table__
    ]
