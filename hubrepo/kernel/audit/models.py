"""The table of events: rows are added, never changed and never removed (triggers see to it).

It has no foreign keys: it must outlive what it tells of.
"""

from datetime import datetime

from sqlalchemy import JSON, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from hubrepo.kernel.db import Base, Guid, Id, Instant


class Event(Base):
    """Who did what to what, when, in which organisation, and whether it was done or refused."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index(None, "organisation_id", "id"),
        Index(None, "organisation_id", "subject", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    # What organisations see: the numbers would tell each of them how much the others do.
    guid: Mapped[Guid]
    at: Mapped[datetime] = mapped_column(Instant)
    organisation_id: Mapped[int | None]
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(8))
    subject: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, object]] = mapped_column(JSON)
    request_id: Mapped[str | None] = mapped_column(String(16))
