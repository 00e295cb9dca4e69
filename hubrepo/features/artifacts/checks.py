"""Rows of products that contradict one another: what `hubrepo check` asks of this feature."""

from collections.abc import Iterator

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hubrepo.features.artifacts.events import token_name
from hubrepo.features.artifacts.models import Grant, Product, ProductVersion, Token
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.blobs import DANGLING, Blob, Finding


def check_products(db: Session) -> Iterator[Finding]:
    """Versions whose blob is another organisation's, grants that join two organisations."""
    yield from _versions(db)
    yield from _grants(db)


def _versions(db: Session) -> Iterator[Finding]:
    query = (
        select(Organisation.slug, Product.name, ProductVersion.identifier)
        .join(Product, Product.organisation_id == Organisation.id)
        .join(ProductVersion, ProductVersion.product_id == Product.id)
        .join(Blob, Blob.id == ProductVersion.blob_id)
        .where(
            or_(
                ProductVersion.organisation_id != Product.organisation_id,
                Blob.organisation_id != Product.organisation_id,
            )
        )
    )
    for slug, name, identifier in db.execute(query):
        text = "it, its product and its blob are not of one organisation"
        yield Finding(DANGLING, f"product:{slug}/{name} version {identifier}", text)


def _grants(db: Session) -> Iterator[Finding]:
    query = (
        select(Organisation.slug, Product.name, Token.digest)
        .join(Product, Product.organisation_id == Organisation.id)
        .join(Grant, Grant.product_id == Product.id)
        .join(Token, Token.id == Grant.token_id)
        .where(
            or_(
                Grant.organisation_id != Product.organisation_id,
                Token.organisation_id != Product.organisation_id,
            )
        )
    )
    for slug, name, digest in db.execute(query):
        text = f"a grant to {token_name(digest)} is not of its organisation"
        yield Finding(DANGLING, f"product:{slug}/{name}", text)
