"""The table of blobs: which bytes an organisation keeps."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.db import Base, Id, Instant


class Blob(Base):
    """Bytes named by their SHA-256. What uses them has a foreign key to here.

    A blob that was released carries `doomed_at` until its bytes are gone; its row goes last.
    """

    __tablename__ = "blobs_blob"
    __table_args__ = (
        UniqueConstraint("organisation_id", "digest"),
        Index(None, "doomed_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    digest: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Instant)
    doomed_at: Mapped[datetime | None] = mapped_column(Instant)


def references() -> list[Column[Any]]:
    """Every column, of any table, that refers to a blob: found by its foreign key."""
    return [
        foreign_key.parent
        for table in Base.metadata.tables.values()
        for foreign_key in table.foreign_keys
        if foreign_key.column.table is Blob.__table__
    ]
