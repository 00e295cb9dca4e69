"""Bytes and rows come and go together."""

import hashlib
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import transaction
from sqlalchemy import func, select
from zope.sqlalchemy import register

from hubrepo.kernel.accounts import Organisation, OrganisationRef, QuotaExceeded
from hubrepo.kernel.blobs import Blob, BlobMissing, BlobReader, BlobService, hold, key_of, sweep
from hubrepo.kernel.blobs.orphans import Orphan, adopt_orphans
from hubrepo.kernel.blobs.stores import StoreUnavailable
from tests.contracts.store import FUTURE, put, staged
from tests.support.archives import package_zip
from tests.support.faults import Mode, faults_below
from tests.support.hub import Hub

pytestmark = pytest.mark.backend

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class World:
    """A hub and an organisation, whose blobs come and go in transactions."""

    def __init__(self, hub):
        self.database, self.stores = hub.registry.database, hub.registry.stores
        self.store, self.organisation = self.stores.main, self.new_organisation()

    def new_organisation(self):
        guid = uuid4()
        with self.database.write() as db:
            row = Organisation(guid=guid, name=guid.hex, slug=guid.hex[:20], created_at=NOW)
            db.add(row)
            db.flush()
            return OrganisationRef(row.id, guid.hex, row.slug, None)

    @contextmanager
    def work(self, limit=0, owner=None):
        """Begin a transaction, as a request has it, and commit it."""
        manager = transaction.TransactionManager(explicit=True)
        manager.begin()
        db = self.database.writing()
        register(db, transaction_manager=manager)
        owner = owner or self.organisation
        try:
            yield BlobService(self.database, db, self.stores, owner, manager, NOW, limit)
            manager.commit()
        except BaseException:
            manager.abort()
            raise

    def put(self, *contents, **options):
        """Put bytes in one transaction; return the `id` of the last blob."""
        stages = [staged(self.store, content) for content in contents]
        try:
            with self.work(**options) as blobs:
                return [blobs.put(stage).id for stage in stages][-1]
        finally:
            for stage in stages:
                stage.discard()

    def open(self, content):
        return BlobReader(self.store, self.organisation).open(digest(content))

    def sweep(self):
        return sweep(self.database, self.stores)

    def adopt(self, before=FUTURE, *, dry_run=False):
        return adopt_orphans(self.database, self.stores, before, dry_run=dry_run)

    def blobs(self):
        """How many rows the organisation has, and the bytes that it counts."""
        own = select(func.count()).where(Blob.organisation_id == self.organisation.id)
        with self.database.read() as db:
            return db.scalar(own), db.get(Organisation, self.organisation.id).stored_bytes

    def sizes(self):
        return sorted(stored.size for stored in self.store.list())


@pytest.fixture
def world(hub):
    return World(hub)


@pytest.fixture
def kept(world):
    """The `id` of a blob that was committed: `content`."""
    return world.put(b"content")


def test_bytes_are_durable_before_the_rows_are_and_there_with_them(world, monkeypatch):
    """Whatever stops the process between the two leaves bytes without a row, never the reverse."""
    seen, real = [], world.store.promote

    def promote(stage, key):
        seen.append((world.sizes(), world.blobs()))
        real(stage, key)

    monkeypatch.setattr(world.store, "promote", promote)
    world.put(b"content")
    assert seen == [([], (0, 0))]
    assert world.blobs() == (1, 7)
    with world.open(b"content") as file:
        assert file.read() == b"content"


def test_an_abort_leaves_neither_row_nor_bytes_nor_stage(world, monkeypatch):
    def fail(*_args):
        raise StoreUnavailable

    with suppress(ZeroDivisionError), world.work() as blobs:
        blobs.put(staged(world.store, b"content"))
        raise ZeroDivisionError
    monkeypatch.setattr(world.store, "promote", fail)
    with pytest.raises(StoreUnavailable), world.work() as blobs:
        blobs.put(staged(world.store, b"content"))
    assert world.sizes() == []
    assert world.blobs() == (0, 0)
    assert world.store.sweep_stages(FUTURE) == 0


def test_the_same_bytes_twice_are_one_blob_of_each_organisation(world, kept):
    assert world.put(b"content") == kept
    assert world.blobs() == (1, 7)
    assert world.put(b"content", owner=world.new_organisation()) != kept
    assert world.sizes() == [7, 7]


def test_released_bytes_go_after_the_commit_and_not_before(world, kept):
    with suppress(ZeroDivisionError), world.work() as blobs:
        blobs.release(kept)
        raise ZeroDivisionError
    assert world.sweep() == 0
    with world.work() as blobs:
        blobs.release(kept)
        assert world.sizes() == [7]
    assert world.sizes() == []
    assert world.blobs() == (0, 0)
    with pytest.raises(BlobMissing):
        world.open(b"content")


def test_released_bytes_that_come_again_are_saved(world, kept):
    with hold(world.database, "test"), world.work() as blobs:
        blobs.release(kept)
    with hold(world.database, "test"):
        assert world.put(b"content") == kept
    assert world.sweep() == 0
    assert world.sizes() == [7]


def test_a_quota_refuses_what_would_go_beyond_it_and_is_asked_again_by_the_commit(world):
    """Two may find room for one, so what counts is asked last, when nobody else can count."""
    with pytest.raises(QuotaExceeded, match="may keep 10 bytes"):
        world.put(b"12345678901", limit=10)
    with pytest.raises(QuotaExceeded, match="would make it 13"):
        world.put(b"1234567", b"890123", limit=10)
    assert world.blobs() == (0, 0)


class TestOrphans:
    """Bytes whose row was never committed."""

    @pytest.fixture(autouse=True)
    def orphan(self, world):
        put(world.store, key_of(world.organisation.guid, digest(b"orphan")), b"orphan")

    @pytest.mark.usefixtures("kept")
    @pytest.mark.parametrize("quota", [None, 1])
    def test_they_are_adopted_and_swept_whatever_the_quota(self, world, quota):
        with world.database.write() as db:
            db.get(Organisation, world.organisation.id).max_stored_bytes = quota
        assert (world.adopt(NOW).adopted, world.adopt(dry_run=True).adopted) == (0, 1)
        assert world.sweep() == 0
        with hold(world.database, "test"):
            found = world.adopt()
            assert (found.adopted, found.adopted_bytes, world.sweep()) == (1, 6, 0)
        assert world.sweep() == 1
        assert (world.sizes(), world.blobs()) == ([7], (1, 7))

    def test_one_that_is_put_again_is_saved(self, world):
        world.adopt()
        world.put(b"orphan")
        assert world.sweep() == 0
        assert world.sizes() == [6]

    def test_those_that_went_since_they_were_listed_leave_nothing(self, world):
        (stored,) = world.store.list()
        orphan = Orphan(world.organisation.id, digest(b"orphan"), "blobs", stored)
        world.store.delete(stored.key)
        for act in (orphan.is_one, orphan.can_go, orphan.adopt):
            assert not act(world.database, world.stores)
        assert world.blobs() == (0, 0)

    def test_files_of_nobody_are_counted_and_left_alone(self, world):
        for key in ("f" * 32 + "/ab/" + "c" * 62, "notes.txt"):
            put(world.store, key, b"")
        assert world.adopt().unknown == 2
        assert world.sizes() == [0, 0, 6]


def test_an_upload_that_a_disk_cannot_read_again_is_to_be_tried_later(tmp_path):
    client = Hub.below(tmp_path, blobs=f"osfs://{tmp_path}/blobs").organisation()
    files = [("file", "widget.zip", package_zip("widget"))]
    content_type, body = client.app.encode_multipart([], files)
    path = "/api/packages/widget/versions"
    with faults_below(tmp_path / "blobs") as faults:
        with faults.watching():
            client.call("POST", path, body, content_type=content_type, status=201)
        with faults.watching(faults.steps.index("read") + 1, Mode.FAILS):
            answer = client.call("POST", path, body, content_type=content_type, status=503)
    assert answer.json == {"detail": "the store of files is not available, try again"}
    assert answer.headers["Retry-After"] == "1"
    assert client.publish("widget")["version"] == 2
