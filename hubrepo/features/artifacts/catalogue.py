"""Reading tokens and products: plain values, and statements that are put together once.

Every statement asks for an organisation, and their number does not grow with rows.
"""

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Select, and_, bindparam, select

from hubrepo.features.artifacts import errors
from hubrepo.features.artifacts.models import Grant, Product, ProductVersion, Token
from hubrepo.features.artifacts.permissions import FLAGS
from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.db import Rows


class TokenFacts(NamedTuple):
    """A token, as much of it as may be seen."""

    digest: str
    admin: bool
    label: str
    created_at: datetime
    last_used_at: datetime | None


class ProductFacts(NamedTuple):
    """A product, and the flags that a token has there; None: it has no grant."""

    id: int
    name: str
    flags: frozenset[str] | None


class GrantFacts(NamedTuple):
    """A token, by its digest, and its flags at a product."""

    digest: str
    flags: frozenset[str]


class VersionFacts(NamedTuple):
    """A version, as it was read: `digest` is the hex SHA-256 of its `size` bytes."""

    identifier: str
    filename: str
    created_at: datetime
    digest: str
    size: int


OWNER: BindParameter[int] = bindparam("owner")
NAME: BindParameter[str] = bindparam("name")
TOKEN: BindParameter[int] = bindparam("token")
PRODUCT: BindParameter[int] = bindparam("product")
DIGEST: BindParameter[str] = bindparam("digest")

_FLAGS = [getattr(Grant, flag) for flag in FLAGS]
_VERSION_COLUMNS = (
    ProductVersion.identifier,
    ProductVersion.filename,
    ProductVersion.created_at,
    Blob.digest,
    Blob.size,
)

_TOKEN = select(*(getattr(Token, field) for field in TokenFacts._fields)).where(
    Token.organisation_id == OWNER, Token.digest == DIGEST
)
_PRODUCT = (
    select(Product.id, Product.name, Grant.id, *_FLAGS)
    .outerjoin(Grant, and_(Grant.product_id == Product.id, Grant.token_id == TOKEN))
    .where(Product.organisation_id == OWNER, Product.name == NAME)
)
_NAMES = select(Product.name).where(Product.organisation_id == OWNER).order_by(Product.name)
_NAMES_GRANTED = _NAMES.join(Grant, and_(Grant.product_id == Product.id, Grant.token_id == TOKEN))
_GRANTS = (
    select(Token.digest, *_FLAGS)
    .join(Grant, Grant.token_id == Token.id)
    .where(Grant.organisation_id == OWNER, Grant.product_id == PRODUCT)
    .order_by(Grant.id)
)
_VERSIONS = (
    select(*_VERSION_COLUMNS)
    .join(Blob, Blob.id == ProductVersion.blob_id)
    .where(ProductVersion.organisation_id == OWNER, ProductVersion.product_id == PRODUCT)
    .order_by(ProductVersion.id)
)
_VERSION = _VERSIONS.where(ProductVersion.identifier == NAME)


class Catalogue:
    """The tokens and products of one organisation, for reading."""

    def __init__(self, rows: Rows, organisation: OrganisationRef) -> None:
        self._rows, self._owner = rows, organisation.id

    def _all(self, statement: Select[*tuple[Any, ...]], **values: Hashable) -> Sequence[Any]:
        return self._rows.all(statement, {"owner": self._owner, **values})

    def _first(self, statement: Select[*tuple[Any, ...]], **values: Hashable) -> Any:
        return self._rows.first(statement, {"owner": self._owner, **values})

    def token(self, digest: str) -> TokenFacts:
        """Raises TokenNotFound."""
        row = self._first(_TOKEN, digest=digest)
        if row is None:
            raise errors.TokenNotFound
        return TokenFacts._make(row)

    def product(self, name: str, token_id: int) -> ProductFacts:
        """A product, and what a token may do with it. Raises ProductNotFound."""
        row = self._first(_PRODUCT, name=name, token=token_id)
        if row is None:
            raise errors.ProductNotFound
        product_id, spelled, grant_id, *flags = row
        return ProductFacts(product_id, spelled, None if grant_id is None else _set(flags))

    def names(self, token_id: int | None = None) -> list[str]:
        """The names of all products, sorted; with a token, of those that it has a grant at."""
        if token_id is None:
            return [name for (name,) in self._all(_NAMES)]
        return [name for (name,) in self._all(_NAMES_GRANTED, token=token_id)]

    def grants(self, product: ProductFacts) -> list[GrantFacts]:
        """The grants at a product, oldest first."""
        rows = self._all(_GRANTS, product=product.id)
        return [GrantFacts(digest, _set(flags)) for digest, *flags in rows]

    def versions(self, product: ProductFacts) -> list[VersionFacts]:
        """The versions of a product, oldest first."""
        return [VersionFacts._make(row) for row in self._all(_VERSIONS, product=product.id)]

    def version(self, product: ProductFacts, identifier: str) -> VersionFacts:
        """Raises VersionNotFound."""
        row = self._first(_VERSION, product=product.id, name=identifier)
        if row is None:
            raise errors.VersionNotFound
        return VersionFacts._make(row)


def _set(flags: Sequence[bool]) -> frozenset[str]:
    return frozenset(name for name, is_set in zip(FLAGS, flags, strict=True) if is_set)
