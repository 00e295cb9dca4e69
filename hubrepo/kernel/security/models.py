"""The table of failures."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from hubrepo.kernel.db import Base, Instant


class FailureCount(Base):
    """How many attempts failed in the window that ends at `until`; `counter` names whose."""

    __tablename__ = "security_failure_count"

    counter: Mapped[str] = mapped_column(String(255), primary_key=True)
    failures: Mapped[int]
    until: Mapped[datetime] = mapped_column(Instant, index=True)
