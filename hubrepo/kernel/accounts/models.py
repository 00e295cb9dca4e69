"""Organisations, the people in them, and the keys that act for them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hubrepo.kernel.db import Base, Guid, Id, Instant, name_type


class Organisation(Base):
    """A tenant. The limits are its own, where it has any; None means the hub's."""

    __tablename__ = "accounts_organisation"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[Id]
    guid: Mapped[Guid]
    name: Mapped[str] = mapped_column(name_type(255), unique=True)
    slug: Mapped[str] = mapped_column(name_type(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    max_upload_size: Mapped[int | None] = mapped_column(BigInteger)
    max_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_versions: Mapped[int | None] = mapped_column(BigInteger)
    max_pages: Mapped[int | None] = mapped_column(BigInteger)
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)


class User(Base):
    """A person. `password_hash` is Argon2's own text; None: cannot sign in with a password."""

    __tablename__ = "accounts_user"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[Id]
    guid: Mapped[Guid]
    username: Mapped[str] = mapped_column(name_type(150), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(Instant)


class Membership(Base):
    """A user's place in an organisation."""

    __tablename__ = "accounts_membership"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id), index=True)
    # The one place that knows that a user is a member of one organisation at most.
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), unique=True)
    role: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(Instant)

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class ApiKey(Base):
    """A key: `digest` is the SHA-256 of all of it, in hex.

    `scopes` and `only` (name patterns) are space-separated; empty: all scopes; None: any name.
    `successor` is the prefix of the key that took its place.
    """

    __tablename__ = "accounts_api_key"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[Id]
    guid: Mapped[Guid]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id))
    label: Mapped[str] = mapped_column(String(120))
    prefix: Mapped[str] = mapped_column(String(8), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[str] = mapped_column(String(255), default="")
    only: Mapped[str | None] = mapped_column(String(1024))
    successor: Mapped[str | None] = mapped_column(String(8))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)

    user: Mapped[User | None] = relationship(lazy="joined")

    @property
    def hint(self) -> str:
        """What people may see of it."""
        return f"kpf_{self.prefix}"
