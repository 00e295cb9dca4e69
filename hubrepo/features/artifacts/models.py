"""Tokens, products, what a token may do with a product, and the versions of products."""

from datetime import datetime

from sqlalchemy import ForeignKey, Select, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from hubrepo.kernel.accounts import Organisation, OrganisationRef
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.db import Base, Id, Instant, name_type

MAX_NAME = 128
MAX_LABEL = 100
# Bytes of UTF-8, so never more characters.
MAX_FILENAME = 255


class Token(Base):
    """A credential of this surface. `digest`, the hex SHA-256 of the raw token, is its public name."""

    __tablename__ = "artifacts_token"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    admin: Mapped[bool]
    label: Mapped[str] = mapped_column(String(MAX_LABEL))
    created_at: Mapped[datetime] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)


class Product(Base):
    """A name, for versions with names of their own. Deleted, it is free again."""

    __tablename__ = "artifacts_product"
    __table_args__ = (UniqueConstraint("organisation_id", "name"), {"sqlite_autoincrement": True})

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    name: Mapped[str] = mapped_column(name_type(MAX_NAME))
    created_at: Mapped[datetime] = mapped_column(Instant)

    @classmethod
    def named(cls, organisation: OrganisationRef, name: str) -> Select["Product"]:
        """The product of that name in `organisation`."""
        return select(cls).where(cls.organisation_id == organisation.id, cls.name == name)


class Grant(Base):
    """What a token may do with a product. It ends with either."""

    __tablename__ = "artifacts_grant"
    __table_args__ = (
        UniqueConstraint("organisation_id", "product_id", "token_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id), index=True)
    token_id: Mapped[int] = mapped_column(ForeignKey(Token.id), index=True)
    maintainer: Mapped[bool]
    download: Mapped[bool]
    upload: Mapped[bool]
    delete: Mapped[bool]


class ProductVersion(Base):
    """A file of any kind, immutable. Deleted, its identifier is free again."""

    __tablename__ = "artifacts_version"
    __table_args__ = (
        UniqueConstraint("organisation_id", "product_id", "identifier"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id), index=True)
    identifier: Mapped[str] = mapped_column(name_type(MAX_NAME))
    filename: Mapped[str] = mapped_column(String(MAX_FILENAME))
    blob_id: Mapped[int] = mapped_column(ForeignKey(Blob.id), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
