"""The rules of tokens and products.

Whoever changes something below a product holds the product's row, so that it is not deleted meanwhile;
whoever gives a token something, the token's.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from hubrepo.features.artifacts import errors, events
from hubrepo.features.artifacts.catalogue import ProductFacts
from hubrepo.features.artifacts.models import MAX_LABEL, Grant, Product, ProductVersion, Token
from hubrepo.features.artifacts.permissions import FLAGS
from hubrepo.features.artifacts.tokens import digest_of, new_token
from hubrepo.kernel.accounts import Organisation, OrganisationRef
from hubrepo.kernel.audit import AuditLog
from hubrepo.kernel.base import content_hash, is_one_line
from hubrepo.kernel.blobs import Blob, BlobService, Stage
from hubrepo.kernel.db import insert_if_absent


def _remove_grants(db: Session, which: ColumnElement[bool]) -> int:
    """Remove grants, locked in one order: those of a token and those of a product cross one another.

    How many.
    """
    locked = db.scalars(select(Grant.id).where(which).order_by(Grant.id).with_for_update()).all()
    db.execute(delete(Grant).where(which))
    return len(locked)


def hold_caller(db: Session, token_id: int) -> None:
    """See to it that the token of who calls stays until the transaction ends.

    Raises TokenRefused if it was pruned while the request waited for its turn.
    """
    query = select(Token.id).where(Token.id == token_id)
    if db.scalar(query.with_for_update(read=True, key_share=True)) is None:
        raise errors.TokenRefused


class TokenService:
    """Changes the tokens of one organisation, and tells the audit.

    `caller`, the id of the token that asks for it, must still be there: else TokenRefused is raised.
    """

    def __init__(
        self,
        db: Session,
        organisation_id: int,
        audit: AuditLog,
        now: datetime,
        caller: int | None = None,
    ) -> None:
        self._db, self._organisation_id = db, organisation_id
        self._audit, self._now, self._caller = audit, now, caller

    def issue(self, *, admin: bool, label: str = "") -> str:
        """A new raw token, for the only time. Raises BadLabel."""
        if len(label) > MAX_LABEL or not is_one_line(label):
            raise errors.BadLabel
        if self._caller is not None:
            hold_caller(self._db, self._caller)
        raw = new_token()
        digest = digest_of(raw)
        self._db.add(
            Token(
                organisation_id=self._organisation_id,
                digest=digest,
                admin=admin,
                label=label,
                created_at=self._now,
            )
        )
        issued = events.TokenIssued(events.token_name(digest), admin, label)
        self._audit.record(issued, self._organisation_id)
        return raw

    def has_admin(self) -> bool:
        """Whether the organisation has an admin token, and until the transaction ends nobody else asks."""
        owner = select(Organisation.id).where(Organisation.id == self._organisation_id)
        self._db.execute(owner.with_for_update(key_share=True))
        admins = select(Token.id).where(Token.organisation_id == self._organisation_id, Token.admin)
        return bool(self._db.scalar(select(exists(admins))))

    def tokens(self) -> Sequence[Token]:
        """All tokens, oldest first."""
        own = select(Token).where(Token.organisation_id == self._organisation_id)
        return self._db.scalars(own.order_by(Token.id)).all()

    def prune(self, digest: str) -> None:
        """Remove a token and its grants, at once and for every process. Raises TokenNotFound."""
        own = Token.organisation_id == self._organisation_id
        # The caller's too, in one order: two may be pruning one another. And whoever grants the token
        # something has done so before, or finds it gone.
        either = or_(Token.digest == digest, Token.id == self._caller)
        rows = select(Token.digest, Token.id).where(own, either).order_by(Token.id)
        held = {each.digest: each.id for each in self._db.execute(rows.with_for_update())}
        if self._caller is not None and self._caller not in held.values():
            raise errors.TokenRefused
        token_id = held.get(digest)
        if token_id is None:
            raise errors.TokenNotFound
        grants = _remove_grants(self._db, Grant.token_id == token_id)
        self._db.execute(delete(Token).where(Token.id == token_id))
        pruned = events.TokenPruned(events.token_name(digest), grants)
        self._audit.record(pruned, self._organisation_id)


class ProductService:
    """Changes the products of one organisation, and tells the audit."""

    def __init__(
        self,
        db: Session,
        organisation: OrganisationRef,
        blobs: BlobService,
        audit: AuditLog,
        now: datetime,
    ) -> None:
        self._db, self._organisation, self._blobs = db, organisation, blobs
        self._audit, self._now = audit, now

    def _hold(self, product: ProductFacts) -> None:
        """See to it that a product stays until this transaction ends. Raises ProductNotFound.

        By its id: another may bear its name by now.
        """
        query = select(Product.id).where(*self._is(product))
        if self._db.scalar(query.with_for_update(read=True, key_share=True)) is None:
            raise errors.ProductNotFound

    def _is(self, product: ProductFacts) -> tuple[ColumnElement[bool], ...]:
        return Product.organisation_id == self._organisation.id, Product.id == product.id

    def _held_token(self, digest: str) -> int:
        """The id of a token that stays as long as this transaction lasts. Raises TokenNotFound."""
        own = (Token.organisation_id == self._organisation.id, Token.digest == digest)
        query = select(Token.id).where(*own)
        found = self._db.scalar(query.with_for_update(read=True, key_share=True))
        if found is None:
            raise errors.TokenNotFound
        return found

    def create(self, name: str, creator: int) -> None:
        """A new product, at which the token `creator` may do everything. Raises ProductExists."""
        owner = self._organisation.id
        values = {"organisation_id": owner, "name": name, "created_at": self._now}
        if not insert_if_absent(self._db, Product, **values):
            raise errors.ProductExists(name)
        made = Product.named(self._organisation, name).with_only_columns(Product.id)
        self._grant(self._db.scalars(made).one(), creator, FLAGS)
        self._audit.record(events.ProductCreated(name))

    def delete(self, product: ProductFacts) -> None:
        """Remove a product, its grants and its versions. Raises ProductNotFound."""
        query = select(Product.id).where(*self._is(product))
        if self._db.scalar(query.with_for_update()) is None:
            raise errors.ProductNotFound
        blobs = select(ProductVersion.blob_id).where(ProductVersion.product_id == product.id)
        released = self._db.scalars(blobs.order_by(ProductVersion.blob_id)).all()
        _remove_grants(self._db, Grant.product_id == product.id)
        self._db.execute(delete(ProductVersion).where(ProductVersion.product_id == product.id))
        self._db.execute(delete(Product).where(Product.id == product.id))
        if released:
            self._blobs.release(*released)
        self._audit.record(events.ProductDeleted(product.name, len(released)))

    def set_grant(self, product: ProductFacts, digest: str, flags: Collection[str]) -> None:
        """Let a token do this with a product, and nothing else. Raises ProductNotFound, TokenNotFound."""
        self._hold(product)
        self._grant(product.id, self._held_token(digest), flags)
        given = [flag for flag in FLAGS if flag in flags]
        self._audit.record(events.GrantSet(product.name, events.token_name(digest), given))

    def _grant(self, product_id: int, token_id: int, flags: Collection[str]) -> None:
        at = {"organisation_id": self._organisation.id, "product_id": product_id}
        given = {flag: flag in flags for flag in FLAGS}
        if not insert_if_absent(self._db, Grant, **at, token_id=token_id, **given):
            there = (Grant.product_id == product_id, Grant.token_id == token_id)
            self._db.execute(update(Grant).where(*there).values(given))

    def remove_grant(self, product: ProductFacts, digest: str) -> None:
        """Let a token do nothing more with a product. Raises ProductNotFound, GrantNotFound."""
        self._hold(product)
        owner = self._organisation.id
        token = select(Token.id).where(Token.organisation_id == owner, Token.digest == digest)
        there = (Grant.product_id == product.id, Grant.token_id == token.scalar_subquery())
        removed = self._db.scalar(delete(Grant).where(*there).returning(Grant.id))
        if removed is None:
            raise errors.GrantNotFound
        self._audit.record(events.GrantRemoved(product.name, events.token_name(digest)))

    def upload(self, product: ProductFacts, identifier: str, filename: str, stage: Stage) -> Blob:
        """A new version: the staged bytes. Raises ProductNotFound, VersionExists, QuotaExceeded."""
        self._hold(product)
        name = product.name
        if self._version(product, identifier) is not None:
            raise errors.VersionExists(name, identifier)
        blob = self._blobs.put(stage)
        is_new = insert_if_absent(
            self._db,
            ProductVersion,
            organisation_id=self._organisation.id,
            product_id=product.id,
            identifier=identifier,
            filename=filename,
            blob_id=blob.id,
            created_at=self._now,
        )
        if not is_new:
            raise errors.VersionExists(name, identifier)
        hashed = content_hash(blob.digest)
        self._audit.record(events.VersionUploaded(name, identifier, filename, hashed, blob.size))
        return blob

    def delete_version(self, product: ProductFacts, identifier: str) -> None:
        """Remove a version and its bytes. Raises ProductNotFound, VersionNotFound."""
        self._hold(product)
        found = self._version(product, identifier)
        if found is None:
            raise errors.VersionNotFound
        version_id, blob_id = found
        # The blob first: uploads lock the two in this order.
        self._blobs.release(blob_id)
        gone = delete(ProductVersion).where(ProductVersion.id == version_id)
        if self._db.scalar(gone.returning(ProductVersion.id)) is None:
            raise errors.VersionNotFound
        self._audit.record(events.VersionDeleted(product.name, identifier))

    def _version(self, product: ProductFacts, identifier: str) -> tuple[int, int] | None:
        """The id of a version, and that of its blob."""
        own = (ProductVersion.product_id == product.id, ProductVersion.identifier == identifier)
        row = self._db.execute(
            select(ProductVersion.id, ProductVersion.blob_id).where(
                ProductVersion.organisation_id == self._organisation.id, *own
            )
        ).one_or_none()
        return None if row is None else (row.id, row.blob_id)
