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
    adopt_orphans,
    key_of,
    sweep,
)
from hubrepo.kernel.blobs.orphans import Orphan
from hubrepo.kernel.blobs.stores import StoreUnavailable
from hubrepo.kernel.blobs.sweeping import Swept
from tests.contracts.store import FUTURE, put

pytestmark = pytest.mark.backend

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(stores):
    return stores.main


def new_organisation(database):
    guid = uuid4()
    with database.write() as db:
        row = Organisation(guid=guid, name=guid.hex, slug=guid.hex[:20], created_at=NOW)
        db.add(row)
        db.flush()
        return OrganisationRef(row.id, guid.hex, row.slug, None)


@pytest.fixture
def organisation(database):
    return new_organisation(database)


class Work:
    """One transaction, as a request has it."""

    def __init__(self, database, stores, organisation, limit=0):
        self.manager = transaction.TransactionManager(explicit=True)
        self.manager.begin()
        self.db = database.writing()
        register(self.db, transaction_manager=self.manager)
        self.store = stores.main
        self.blobs = BlobService(
            database, self.db, stores, organisation, self.manager, NOW, limit
        )  # fmt: skip

    def put(self, content: bytes) -> Blob:
        stage = self.store.stage()
        stage.write(content)
        try:
            return self.blobs.put(stage)
        except QuotaExceeded:
            stage.discard()
            raise


@pytest.fixture
def begin(database, stores, organisation):
    return lambda limit=0: Work(database, stores, organisation, limit)


@pytest.fixture
def kept(begin):
    """The `id` of a blob that was committed: `content`."""
    work = begin()
    blob_id = work.put(b"content").id
    work.manager.commit()
    return blob_id


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stored_bytes(database, organisation) -> int:
    with database.read() as db:
        return db.get(Organisation, organisation.id).stored_bytes


def sizes(store) -> list[int]:
    return sorted(stored.size for stored in store.list())


def fail(*_args):
    raise StoreUnavailable


def test_bytes_are_durable_before_the_rows_are_and_there_with_them(
    begin, database, store, organisation, monkeypatch
):
    """Whatever stops the process between the two leaves bytes without a row, never the reverse."""
    work = begin()
    blob_id = work.put(b"content").id
    assert sizes(store) == []
    seen = []
    real = store.promote

    def promote(stage, key):
        with database.read() as db:
            seen.append(db.get(Blob, blob_id))
        real(stage, key)

    monkeypatch.setattr(store, "promote", promote)
    work.manager.commit()
    assert seen == [None]
    with BlobReader(store, organisation).open(digest(b"content")) as file:
        assert file.read() == b"content"


def test_an_abort_leaves_neither_row_nor_bytes_nor_stage(
    begin, database, store, organisation, monkeypatch
):
    work = begin()
    work.put(b"content")
    work.manager.abort()
    work = begin()
    blob_id = work.put(b"content").id
    monkeypatch.setattr(store, "promote", fail)
    with pytest.raises(StoreUnavailable):
        work.manager.commit()
    work.manager.abort()
    assert sizes(store) == []
    assert store.sweep_stages(FUTURE) == 0
    assert stored_bytes(database, organisation) == 0
    with database.read() as db:
        assert db.get(Blob, blob_id) is None


def test_the_same_bytes_twice_are_one_blob_of_each_organisation(
    begin, kept, database, stores, organisation
):
    work = begin()
    assert work.put(b"content").id == kept
    work.manager.commit()
    assert stored_bytes(database, organisation) == 7
    work = Work(database, stores, new_organisation(database))
    assert work.put(b"content").id != kept
    work.manager.commit()
    assert sizes(stores.main) == [7, 7]


def test_released_bytes_go_after_the_commit_and_not_before(
    begin, kept, database, stores, store, organisation
):
    work = begin()
    work.blobs.release(kept)
    work.manager.abort()
    assert sweep(database, stores) == 0
    work = begin()
    work.blobs.release(kept)
    assert sizes(store) == [7]
    work.manager.commit()
    assert sizes(store) == []
    assert stored_bytes(database, organisation) == 0
    with pytest.raises(BlobMissing):
        BlobReader(store, organisation).open(digest(b"content"))


def test_bytes_that_cannot_be_removed_now_are_removed_by_a_later_sweep(
    begin, kept, database, stores, store, monkeypatch
):
    monkeypatch.setattr(type(store), "is_remote", False)
    work = begin()
    work.blobs.release(kept)
    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", fail)
        work.manager.commit()
    assert sizes(store) == [7]
    assert sweep(database, stores) == 1
    assert sizes(store) == []


def test_doomed_bytes_that_come_again_are_saved(begin, kept, database, stores, store, monkeypatch):
    work = begin()
    work.blobs.release(kept)
    with monkeypatch.context() as patch:
        patch.setattr("hubrepo.kernel.blobs.services.sweep_for", lambda *_: Swept(0))
        work.manager.commit()
    work = begin()
    assert work.put(b"content").id == kept
    work.manager.commit()
    assert sweep(database, stores) == 0
    assert sizes(store) == [7]


def test_a_quota_refuses_what_would_go_beyond_it_and_is_asked_again_by_the_commit(
    begin, database, organisation
):
    """Two may find room for one, so what counts is asked last, when nobody else can count."""
    work = begin(limit=10)
    with pytest.raises(QuotaExceeded, match="may keep 10 bytes"):
        work.put(b"12345678901")
    work.manager.abort()
    work = begin(limit=10)
    work.put(b"1234567")
    work.put(b"890123")
    with pytest.raises(QuotaExceeded, match="would make it 13"):
        work.manager.commit()
    work.manager.abort()
    assert stored_bytes(database, organisation) == 0


def test_many_released_blobs_are_removed_a_few_at_a_time(begin, store, monkeypatch):
    monkeypatch.setattr("hubrepo.kernel.blobs.sweeping.SWEEP_AT_ONCE", 3)
    work = begin()
    ids = [work.put(str(number).encode()).id for number in range(8)]
    work.manager.commit()
    work = begin()
    work.blobs.release(*ids)
    work.manager.commit()
    assert sizes(store) == []


class TestOrphans:
    """Bytes whose row was never committed."""

    @pytest.fixture(autouse=True)
    def orphan(self, store, organisation):
        put(store, key_of(organisation.guid, digest(b"orphan")), b"orphan")

    @pytest.mark.usefixtures("kept")
    @pytest.mark.parametrize("quota", [None, 1])
    def test_they_are_adopted_and_swept_whatever_the_quota(
        self, database, stores, store, organisation, quota
    ):
        with database.write() as db:
            db.get(Organisation, organisation.id).max_stored_bytes = quota
        young = adopt_orphans(database, stores, NOW, dry_run=False)
        seen = adopt_orphans(database, stores, FUTURE, dry_run=True)
        assert (young.adopted, seen.adopted, sweep(database, stores)) == (0, 1, 0)
        found = adopt_orphans(database, stores, FUTURE, dry_run=False)
        assert (found.adopted, found.adopted_bytes) == (1, 6)
        assert sweep(database, stores) == 1
        assert sizes(store) == [7]
        assert stored_bytes(database, organisation) == 7

    def test_one_that_is_put_again_is_saved(self, database, stores, store, begin):
        adopt_orphans(database, stores, FUTURE, dry_run=False)
        work = begin()
        work.put(b"orphan")
        work.manager.commit()
        assert sweep(database, stores) == 0
        assert sizes(store) == [6]

    def test_those_that_went_since_they_were_listed_leave_nothing(
        self, database, stores, store, organisation
    ):
        (stored,) = store.list()
        orphan = Orphan(organisation.id, digest(b"orphan"), "blobs", stored)
        store.delete(stored.key)
        for act in (orphan.is_one, orphan.can_go, orphan.adopt):
            assert not act(database, stores)
        with database.read() as db:
            own = select(Blob).where(Blob.organisation_id == organisation.id)
            assert db.scalars(own).all() == []
        assert stored_bytes(database, organisation) == 0

    def test_files_of_nobody_are_counted_and_left_alone(self, database, stores, store):
        for key in ("f" * 32 + "/ab/" + "c" * 62, "notes.txt"):
            put(store, key, b"")
        assert adopt_orphans(database, stores, FUTURE, dry_run=False).unknown == 2
        assert sizes(store) == [0, 0, 6]
