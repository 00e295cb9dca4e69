"""Packages, their numbered versions, and the names that point at versions."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Select,
    String,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column

from hubrepo.features.packages.manifest import MAX_AUTHOR
from hubrepo.kernel.accounts import Organisation, OrganisationRef
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.db import Base, Id, Instant, name_type

MAX_NAME = 128
MAX_ALIAS = 64
LATEST = "latest"


class Package(Base):
    """A name. It never disappears. `head` is the highest number ever used, and so counts versions."""

    __tablename__ = "packages_package"
    __table_args__ = (UniqueConstraint("organisation_id", "name"), {"sqlite_autoincrement": True})

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    name: Mapped[str] = mapped_column(name_type(MAX_NAME))
    created_at: Mapped[datetime] = mapped_column(Instant)
    head: Mapped[int] = mapped_column(default=0)
    archived_at: Mapped[datetime | None] = mapped_column(Instant)

    @classmethod
    def named(cls, organisation: OrganisationRef, name: str) -> Select["Package"]:
        """The package of that name in `organisation`."""
        return select(cls).where(cls.organisation_id == organisation.id, cls.name == name)


class Version(Base):
    """An immutable archive. A tombstoned one keeps its row and loses its blob."""

    __tablename__ = "packages_version"
    __table_args__ = (
        UniqueConstraint("organisation_id", "package_id", "number"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    package_id: Mapped[int] = mapped_column(ForeignKey(Package.id))
    number: Mapped[int]
    author: Mapped[str] = mapped_column(String(MAX_AUTHOR))
    summary: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    published_at: Mapped[datetime] = mapped_column(Instant)
    published_by: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    blob_id: Mapped[int | None] = mapped_column(ForeignKey(Blob.id), index=True)
    tombstoned_at: Mapped[datetime | None] = mapped_column(Instant)
    tombstone_reason: Mapped[str] = mapped_column(Text, default="")
    # By name and number: neither can change, and both outlive the ancestor's bytes.
    forked_package: Mapped[str | None] = mapped_column(name_type(MAX_NAME))
    forked_version: Mapped[int | None]
    fork_verified: Mapped[bool | None]


class Alias(Base):
    """A name for a live version. `latest` is one of them, moved by the hub."""

    __tablename__ = "packages_alias"
    __table_args__ = (
        UniqueConstraint("organisation_id", "package_id", "name"),
        ForeignKeyConstraint(
            ["organisation_id", "package_id", "number"],
            [
                "packages_version.organisation_id",
                "packages_version.package_id",
                "packages_version.number",
            ],
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int]
    package_id: Mapped[int] = mapped_column(ForeignKey(Package.id))
    name: Mapped[str] = mapped_column(name_type(MAX_ALIAS))
    number: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(Instant)
