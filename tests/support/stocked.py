"""Many products at once: rows alone, for what only reads them."""

import hashlib

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from hubrepo.features.artifacts.models import Grant, Product, ProductVersion, Token
from hubrepo.features.artifacts.permissions import FLAGS
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob


def digest_of(raw: str) -> str:
    """The public name of a token."""
    return hashlib.sha256(raw.encode()).hexdigest()


def stock(db: Session, slug: str, holder: str, products: int, versions: int) -> None:
    """Products `product-0` and on, with so many versions each, at all of which a raw token may do all."""
    owner = db.scalars(select(Organisation.id).where(Organisation.slug == slug)).one()
    token = db.scalars(select(Token.id).where(Token.digest == digest_of(holder))).one()
    own = {"organisation_id": owner}
    dated = {**own, "created_at": now()}
    blobs = [{**dated, "digest": digest_of(f"{slug} {n}"), "size": 0} for n in range(versions)]
    kept = db.scalars(insert(Blob).returning(Blob.id), blobs).all()
    names = [{**dated, "name": f"product-{n}"} for n in range(products)]
    made = db.scalars(insert(Product).returning(Product.id), names).all()
    flags = dict.fromkeys(FLAGS, True)
    db.execute(insert(Grant), [{**own, **flags, "product_id": n, "token_id": token} for n in made])
    rows = [
        {**dated, "product_id": each, "identifier": f"v{n}", "filename": "a.bin", "blob_id": blob}
        for each in made
        for n, blob in enumerate(kept)
    ]
    db.execute(insert(ProductVersion), rows)
