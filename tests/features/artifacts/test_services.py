"""The rules of tokens and products that no request reaches."""

import hashlib
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import transaction
from sqlalchemy import func, select
from zope.sqlalchemy import register

from hubrepo.features.artifacts import errors
from hubrepo.features.artifacts.catalogue import Catalogue
from hubrepo.features.artifacts.models import Grant, Product, ProductVersion, Token
from hubrepo.features.artifacts.permissions import FLAGS
from hubrepo.features.artifacts.services import ProductService, TokenService, hold_caller
from hubrepo.features.artifacts.tokens import (
    digest_named,
    digest_of,
    holder_of,
    is_digest,
    new_token,
)
from hubrepo.kernel.accounts import Organisation, OrganisationRef
from hubrepo.kernel.audit import Actor, AuditLog
from hubrepo.kernel.blobs import BlobService, Stores
from hubrepo.kernel.blobs.stores import MemoryStore
from hubrepo.kernel.db import Rows
from tests.support.hub import Hub

pytestmark = pytest.mark.backend

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    hub = Hub.below(tmp_path_factory.mktemp("artifacts"))
    yield hub.registry.database
    hub.registry.database.close()


class Acme:
    """An organisation whose clock stands still."""

    def __init__(self, database):
        self.database, self.store, guid = database, MemoryStore(), uuid4()
        with database.write() as db:
            row = Organisation(guid=guid, name=guid.hex, slug=guid.hex[:20], created_at=NOW)
            db.add(row)
            db.flush()
            self.organisation = OrganisationRef(row.id, guid.hex, row.slug, None)

    def _audit(self, db):
        return AuditLog(db, Actor("token:test", self.organisation.id), NOW)

    @contextmanager
    def tokens(self):
        with self.database.write() as db:
            yield TokenService(db, self.organisation.id, self._audit(db), NOW)

    @contextmanager
    def products(self):
        """One transaction, as a request has it."""
        manager = transaction.TransactionManager(explicit=True)
        manager.begin()
        db = self.database.writing()
        register(db, transaction_manager=manager)
        blobs = BlobService(self.database, db, Stores(self.store), self.organisation, manager, NOW)
        try:
            yield ProductService(db, self.organisation, blobs, self._audit(db), NOW)
        except BaseException:
            manager.abort()
            raise
        manager.commit()

    @contextmanager
    def catalogue(self):
        with self.database.engine.connect() as connection:
            yield Catalogue(Rows(connection), self.organisation)

    def issue(self, **wish):
        """A new token: its id and its digest."""
        with self.tokens() as tokens:
            digest = digest_of(tokens.issue(**{"admin": False, **wish}))
        with self.database.read() as db:
            return db.scalar(select(Token.id).where(Token.digest == digest)), digest

    def product(self, name):
        """A product, as those see it who have no grant there."""
        with self.catalogue() as catalogue:
            return catalogue.product(name, -1)

    def count(self, model):
        with self.database.read() as db:
            own = model.organisation_id == self.organisation.id
            return db.scalar(select(func.count()).select_from(model).where(own))


@pytest.fixture
def acme(database):
    return Acme(database)


@pytest.fixture
def zeta(database):
    return Acme(database)


class TestTokens:
    def test_a_token_has_192_bits_and_cannot_be_taken_for_a_digest(self):
        raws = {new_token() for _ in range(100)}
        assert len(raws) == 100
        assert {len(bytes.fromhex(each)) * 8 for each in raws} == {192}
        assert not any(map(is_digest, raws))

    def test_it_may_be_named_by_itself_or_its_digest(self):
        raw = new_token()
        digest = hashlib.sha256(raw.encode()).hexdigest()
        assert digest_named(raw) == digest_named(digest) == digest_of(raw) == digest
        assert digest_named(digest.upper()) != digest
        assert not is_digest(f"{digest}\n")
        assert digest_named("\udc80ü")  # whatever a header has, it has a digest

    def test_only_itself_leads_to_its_holder(self, acme, database):
        token_id, digest = acme.issue(admin=True)
        with acme.tokens() as tokens:
            raw = tokens.issue(admin=False)
        with database.engine.connect() as connection:
            rows = Rows(connection)
            assert holder_of(rows, digest) is None
            assert holder_of(rows, "") is None
            holder = holder_of(rows, raw)
        assert holder.organisation == acme.organisation
        assert (holder.is_admin, holder.last_used_at) == (False, None)
        assert holder.token_id != token_id


class TestProducts:
    def test_who_was_pruned_meanwhile_changes_nothing(self, acme, database):
        token_id, digest = acme.issue()
        with database.write() as db:
            hold_caller(db, token_id)
        with acme.tokens() as tokens:
            tokens.prune(digest)
        with pytest.raises(errors.TokenRefused), database.write() as db:
            hold_caller(db, token_id)

    def test_no_grant_joins_two_organisations(self, acme, zeta):
        token_id, _ = acme.issue()
        _, theirs = zeta.issue()
        with acme.products() as products:
            products.create("my-lib", token_id)
        product = acme.product("my-lib")
        with pytest.raises(errors.TokenNotFound), acme.products() as products:
            products.set_grant(product, theirs, FLAGS)
        with pytest.raises(errors.GrantNotFound), acme.products() as products:
            products.remove_grant(product, theirs)
        with pytest.raises(errors.ProductNotFound), zeta.products() as products:
            products.set_grant(product, theirs, FLAGS)
        assert (acme.count(Grant), zeta.count(Grant)) == (1, 0)

    def test_who_was_judged_for_a_product_changes_no_other_of_its_name(self, acme):
        token_id, digest = acme.issue()
        with acme.products() as products:
            products.create("my-lib", token_id)
        judged = acme.product("my-lib")
        with acme.products() as products:
            products.delete(judged)
            products.create("my-lib", token_id)
        for change in (
            lambda products: products.delete(judged),
            lambda products: products.set_grant(judged, digest, ()),
            lambda products: products.remove_grant(judged, digest),
            lambda products: products.delete_version(judged, "v1"),
            lambda products: products.upload(judged, "v1", "a.bin", acme.store.stage()),
        ):
            with pytest.raises(errors.ProductNotFound), acme.products() as products:
                change(products)
        assert (acme.count(Product), acme.count(Grant), acme.count(ProductVersion)) == (1, 1, 0)
