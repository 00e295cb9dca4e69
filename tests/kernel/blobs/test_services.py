"""Bytes and rows come and go together."""

import hashlib
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import transaction
from sqlalchemy import select
from zope.sqlalchemy import register

from hubrepo.kernel.accounts import Organisation, OrganisationRef, QuotaExceeded
from hubrepo.kernel.blobs import (
    Blob,
    BlobMissing,
    BlobReader,
    BlobService,
    Stores,
    adopt_orphans,
    key_of,
    sweep,
)
from hubrepo.kernel.blobs.orphans import Orphan
from hubrepo.kernel.blobs.stores import MemoryStore, StoreUnavailable
from hubrepo.kernel.blobs.sweeping import Swept
from tests.support.hub import Hub

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    hub = Hub.below(tmp_path_factory.mktemp("blobs"))
    yield hub.registry.database
    hub.registry.database.close()


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def organisation(database):
    guid = uuid4()
    with database.write() as db:
        row = Organisation(guid=guid, name=guid.hex, slug=guid.hex[:20], created_at=NOW)
        db.add(row)
        db.flush()
        return OrganisationRef(row.id, guid.hex, row.slug, None)


class Work:
    """One transaction, as a request has it."""

    def __init__(self, database, store, organisation, limit=0):
        self.manager = transaction.TransactionManager(explicit=True)
        self.manager.begin()
        self.db = database.writing()
        register(self.db, transaction_manager=self.manager)
        self.store = store
        self.blobs = BlobService(
            database, self.db, Stores(store), organisation, self.manager, NOW, limit
        )

    def put(self, content: bytes) -> Blob:
        stage = self.store.stage()
        stage.write(content)
        return self.blobs.put(stage)


@pytest.fixture
def begin(database, store, organisation):
    return lambda limit=0: Work(database, store, organisation, limit)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stored_bytes(database, organisation) -> int:
    with database.read() as db:
        return db.scalar(
            select(Organisation.stored_bytes).where(Organisation.id == organisation.id)
        )


def test_bytes_are_there_once_the_transaction_has_committed(begin, store, organisation):
    work = begin()
    work.put(b"content")
    assert list(store.list()) == []
    work.manager.commit()
    with BlobReader(store, organisation).open(digest(b"content")) as file:
        assert file.read() == b"content"


def test_an_abort_leaves_neither_row_nor_bytes_nor_stage(begin, database, store, organisation):
    work = begin()
    work.put(b"content")
    work.manager.abort()
    assert list(store.list()) == []
    assert store.sweep_stages(datetime(2100, 1, 1, tzinfo=UTC)) == 0
    assert stored_bytes(database, organisation) == 0


def test_bytes_that_cannot_be_stored_abort_the_rows(
    begin, database, store, organisation, monkeypatch
):
    work = begin()
    blob_id = work.put(b"content").id

    def fail(*_args):
        raise StoreUnavailable

    monkeypatch.setattr(store, "promote", fail)
    with pytest.raises(StoreUnavailable):
        work.manager.commit()
    work.manager.abort()
    with database.read() as db:
        assert db.get(Blob, blob_id) is None


def test_bytes_are_durable_before_the_rows_are(begin, database, store, monkeypatch):
    """Whatever stops the process between the two leaves bytes without a row, never the reverse."""
    work = begin()
    blob_id = work.put(b"content").id
    seen = []
    real = store.promote

    def promote(stage, key):
        with database.read() as db:
            seen.append(db.get(Blob, blob_id))
        real(stage, key)

    monkeypatch.setattr(store, "promote", promote)
    work.manager.commit()
    assert seen == [None]


def test_the_same_bytes_twice_are_one_blob_and_count_once(begin, database, organisation):
    ids = set()
    for _ in range(2):
        work = begin()
        ids.add(work.put(b"content").id)
        work.manager.commit()
    assert len(ids) == 1
    assert stored_bytes(database, organisation) == 7


def test_released_bytes_go_after_the_commit_and_not_before(begin, database, store, organisation):
    work = begin()
    blob_id = work.put(b"content").id
    work.manager.commit()
    work = begin()
    work.blobs.release(blob_id)
    assert len(list(store.list())) == 1
    work.manager.commit()
    assert list(store.list()) == []
    assert stored_bytes(database, organisation) == 0
    with pytest.raises(BlobMissing):
        BlobReader(store, organisation).open(digest(b"content"))


def test_an_aborted_release_keeps_the_bytes(begin, database, store):
    work = begin()
    blob_id = work.put(b"content").id
    work.manager.commit()
    work = begin()
    work.blobs.release(blob_id)
    work.manager.abort()
    assert sweep(database, Stores(store)) == 0
    assert len(list(store.list())) == 1


def test_bytes_that_cannot_be_removed_now_are_removed_by_a_later_sweep(
    begin, database, store, monkeypatch
):
    work = begin()
    blob_id = work.put(b"content").id
    work.manager.commit()
    work = begin()
    work.blobs.release(blob_id)

    def fail(_key):
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", fail)
        work.manager.commit()
    assert len(list(store.list())) == 1
    assert sweep(database, Stores(store)) == 1
    assert list(store.list()) == []


def test_doomed_bytes_that_come_again_are_saved(begin, database, store, monkeypatch):
    work = begin()
    blob_id = work.put(b"content").id
    work.manager.commit()
    work = begin()
    work.blobs.release(blob_id)
    with monkeypatch.context() as patch:
        patch.setattr("hubrepo.kernel.blobs.services.sweep_for", lambda *_: Swept(0))
        work.manager.commit()
    work = begin()
    assert work.put(b"content").id == blob_id
    work.manager.commit()
    assert sweep(database, Stores(store)) == 0
    assert len(list(store.list())) == 1


def test_a_quota_refuses_what_would_go_beyond_it(begin, database, organisation):
    work = begin(limit=10)
    with pytest.raises(QuotaExceeded, match="may keep 10 bytes"):
        work.put(b"12345678901")
    work.manager.abort()
    assert stored_bytes(database, organisation) == 0


def test_a_quota_is_asked_again_by_the_commit(begin, database, organisation):
    """Two may find room for one, so what counts is asked last, when nobody else can count."""
    work = begin(limit=10)
    work.put(b"1234567")
    work.put(b"890123")
    with pytest.raises(QuotaExceeded, match="would make it 13"):
        work.manager.commit()
    work.manager.abort()
    assert stored_bytes(database, organisation) == 0


def test_organisations_share_no_bytes(begin, database, store):
    guid = uuid4()
    with database.write() as db:
        row = Organisation(guid=guid, name=guid.hex, slug=guid.hex[:20], created_at=NOW)
        db.add(row)
        db.flush()
        other = OrganisationRef(row.id, guid.hex, row.slug, None)
    for work in (begin(), Work(database, store, other)):
        work.put(b"content")
        work.manager.commit()
    assert len(list(store.list())) == 2


def test_many_released_blobs_are_removed_a_few_at_a_time(begin, store):
    work = begin()
    ids = [work.put(str(number).encode()).id for number in range(55)]
    work.manager.commit()
    work = begin()
    work.blobs.release(*ids)
    work.manager.commit()
    assert list(store.list()) == []


class TestOrphans:
    """Bytes whose row was never committed."""

    LATER = datetime(2100, 1, 1, tzinfo=UTC)

    @pytest.fixture(autouse=True)
    def orphan(self, store, organisation):
        stage = store.stage()
        stage.write(b"orphan")
        store.promote(stage, key_of(organisation.guid, digest(b"orphan")))

    def test_they_are_adopted_and_swept(self, database, store, organisation, begin):
        work = begin()
        work.put(b"kept")
        work.manager.commit()
        found = adopt_orphans(database, Stores(store), self.LATER, dry_run=False)
        assert (found.adopted, found.adopted_bytes) == (1, 6)
        assert sweep(database, Stores(store)) == 1
        assert [stored.size for stored in store.list()] == [4]
        assert stored_bytes(database, organisation) == 4

    def test_a_quota_does_not_protect_them(self, database, store, organisation):
        with database.write() as db:
            db.get(Organisation, organisation.id).max_stored_bytes = 1
        assert adopt_orphans(database, Stores(store), self.LATER, dry_run=False).adopted == 1
        assert sweep(database, Stores(store)) == 1

    def test_looking_first_changes_nothing(self, database, store):
        assert adopt_orphans(database, Stores(store), self.LATER, dry_run=True).adopted == 1
        assert sweep(database, Stores(store)) == 0
        assert len(list(store.list())) == 1

    def test_young_ones_are_left_alone(self, database, store):
        assert adopt_orphans(database, Stores(store), NOW, dry_run=False).adopted == 0

    def test_one_that_is_put_again_is_saved(self, database, store, begin):
        adopt_orphans(database, Stores(store), self.LATER, dry_run=False)
        work = begin()
        work.put(b"orphan")
        work.manager.commit()
        assert sweep(database, Stores(store)) == 0
        assert len(list(store.list())) == 1

    def test_those_that_went_since_they_were_listed_leave_nothing(
        self, database, store, organisation
    ):
        (stored,) = store.list()
        orphan = Orphan(organisation.id, digest(b"orphan"), "blobs", stored)
        store.delete(stored.key)
        assert not orphan.is_one(database, Stores(store))
        assert not orphan.can_go(database, Stores(store))
        assert not orphan.adopt(database, Stores(store))
        with database.read() as db:
            own = select(Blob).where(Blob.organisation_id == organisation.id)
            assert db.scalars(own).all() == []
        assert stored_bytes(database, organisation) == 0

    def test_files_of_nobody_are_counted_and_left_alone(self, database, store):
        for key in ("f" * 32 + "/ab/" + "c" * 62, "notes.txt"):
            stage = store.stage()
            store.promote(stage, key)
        assert adopt_orphans(database, Stores(store), self.LATER, dry_run=False).unknown == 2
        assert len(list(store.list())) == 3
