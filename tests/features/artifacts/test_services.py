"""The rules of tokens and products, without HTTP: what is raised, told and left."""

import hashlib
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import transaction
from sqlalchemy import func, select
from transaction.interfaces import TransientError
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
from hubrepo.kernel.audit import Actor, AuditLog, events_of
from hubrepo.kernel.blobs import Blob, BlobService, Stores
from hubrepo.kernel.blobs.stores import MemoryStore
from hubrepo.kernel.db import Rows
from tests.support.artifacts import caller, kept
from tests.support.hub import Hub

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

    def upload(self, product, version, content=b"content"):
        stage = self.store.stage()
        stage.write(content)
        facts = self.product(product)
        with self.products() as products:
            return products.upload(facts, version, "a.bin", stage).digest

    def product(self, name):
        """A product, as those see it who have no grant there."""
        with self.catalogue() as catalogue:
            return catalogue.product(name, -1)

    def count(self, model):
        with self.database.read() as db:
            own = model.organisation_id == self.organisation.id
            return db.scalar(select(func.count()).select_from(model).where(own))

    def actions(self):
        with self.database.read() as db:
            return [each.action for each in reversed(events_of(db, self.organisation.id))]


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

    def test_whether_there_is_an_admin_is_each_organisation_s_own(self, acme, zeta):
        acme.issue()
        zeta.issue(admin=True)
        with acme.tokens() as tokens:
            assert not tokens.has_admin()
        with zeta.tokens() as tokens:
            assert tokens.has_admin()

    def test_what_is_pruned_is_one_s_own(self, acme, zeta):
        _, digest = acme.issue()
        for service, which in ((zeta, digest), (acme, "0" * 64)):
            with pytest.raises(errors.TokenNotFound), service.tokens() as tokens:
                tokens.prune(which)
        assert acme.count(Token) == 1
        with acme.tokens() as tokens:
            tokens.prune(digest)
        assert acme.count(Token) == 0


class TestProducts:
    def test_the_creator_has_every_flag(self, acme):
        token_id, digest = acme.issue()
        with acme.products() as products:
            products.create("my-lib", token_id)
        with acme.catalogue() as catalogue:
            product = catalogue.product("my-lib", token_id)
            assert product.flags == frozenset(FLAGS)
            assert catalogue.grants(product) == [(digest, frozenset(FLAGS))]
            assert catalogue.product("my-lib", -1).flags is None

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

    def test_what_fails_leaves_neither_row_nor_bytes_nor_a_word(self, acme):
        token_id, _ = acme.issue()
        with acme.products() as products:
            products.create("my-lib", token_id)
        acme.upload("my-lib", "v1")
        told = acme.actions()
        with pytest.raises(errors.VersionExists):
            acme.upload("my-lib", "v1", b"other")
        with pytest.raises(errors.ProductNotFound):
            acme.upload("none", "v1", b"other")
        assert (acme.count(ProductVersion), acme.count(Blob)) == (1, 1)
        assert len(list(acme.store.list())) == 1
        assert acme.actions() == told

    def test_a_product_goes_with_all_that_it_has(self, acme):
        token_id, _ = acme.issue()
        for name in ("my-lib", "other"):
            with acme.products() as products:
                products.create(name, token_id)
            for number in range(30):
                acme.upload(name, f"v{number}", b"%d" % number)
        with acme.products() as products:
            products.delete(acme.product("my-lib"))
        assert (acme.count(Product), acme.count(Grant), acme.count(ProductVersion)) == (1, 1, 30)
        assert len(list(acme.store.list())) == acme.count(Blob) == 30
        with acme.products() as products:
            products.delete(acme.product("other"))
        assert list(acme.store.list()) == []
        assert acme.actions()[-1] == "artifacts:delete"


def again(monkeypatch, method):
    """Let the first try of a change lose a race once all is done."""
    real, tries = getattr(ProductService, method), []

    def lose_once(*values):
        made = real(*values)
        tries.append(1)
        if len(tries) == 1:
            raise TransientError
        return made

    monkeypatch.setattr(ProductService, method, lose_once)
    return tries


def test_an_upload_that_is_tried_again_is_there_once_and_whole(hub, monkeypatch):
    client = caller(hub.organisation())
    client.create("my-lib")
    content = bytes(range(256)) * 100
    tries = again(monkeypatch, "upload")
    told = client.put("my-lib", "v1", content)
    assert len(tries) == 2
    assert client.fetched("my-lib", "v1") == content
    assert kept(client) == {told["checksum"].removeprefix("sha256:")}
    assert [each.action for each in client.events()].count("artifacts:upload") == 1


def test_a_grant_that_is_tried_again_is_what_was_asked_for(hub, monkeypatch):
    owner = hub.organisation()
    client, other = caller(owner), caller(owner)
    client.create("my-lib")
    tries = again(monkeypatch, "set_grant")
    client.grant("my-lib", other, "download")
    assert len(tries) == 2
    assert other.accessible() == ["my-lib"]
    assert [each.action for each in client.events()].count("artifacts:grant") == 1
