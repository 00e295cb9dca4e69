"""The table of first answers."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.db import Base, Id, Instant, name_type


class FirstAnswer(Base):
    """What a request with an `Idempotency-Key` was answered, and a fingerprint of that request."""

    __tablename__ = "idempotency_first_answer"
    __table_args__ = (
        UniqueConstraint("organisation_id", "key"),
        Index(None, "created_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    key: Mapped[str] = mapped_column(name_type(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Instant)
    status: Mapped[int] = mapped_column(default=0)
    body: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
