"""Bytes that join the transaction: put before the row is committed, removed after.

A crash leaves at worst bytes without a row, never a row without bytes.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

import transaction
from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from hubrepo.kernel.accounts import Organisation, OrganisationRef, count_bytes, reserve_bytes
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs.memory import SMALL, BlobMemory
from hubrepo.kernel.blobs.models import Blob, references
from hubrepo.kernel.blobs.stores import Stage, Store, StoreFull, StoreUnavailable
from hubrepo.kernel.db import Database, insert_if_absent

log = logging.getLogger(__name__)

SWEEP_AT_ONCE = 20
RELEASE_AT_ONCE = 500
DIGEST_LENGTH = 64


def batched(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """`numbers` in lists of at most `size` (itertools has it from Python 3.12 on)."""
    rest = iter(numbers)
    while some := list(islice(rest, size)):
        yield some


def key_of(organisation: str, digest: str) -> str:
    """Where the bytes of that digest lie, for an organisation's GUID in hex. No two share any."""
    return f"{organisation}/{digest[:2]}/{digest[2:]}"


class _Promotion:
    """Data manager: a stage that becomes a blob when the transaction commits.

    It votes before the database does (`~sqlalchemy` sorts last), so bytes are durable first.
    """

    def __init__(self, store: Store, stage: Stage, key: str, manager: Any) -> None:
        self._store, self._stage, self._key = store, stage, key
        self.transaction_manager = manager

    def sortKey(self) -> str:  # noqa: N802 - the name that transaction asks for
        return "blobs"

    def tpc_begin(self, _transaction: Any) -> None: ...

    def commit(self, _transaction: Any) -> None: ...

    def tpc_vote(self, _transaction: Any) -> None:
        self._store.promote(self._stage, self._key)

    def tpc_finish(self, _transaction: Any) -> None: ...

    def abort(self, _transaction: Any) -> None:
        self._stage.discard()

    tpc_abort = abort


@dataclass(frozen=True)
class BlobReader:
    """The bytes of one organisation, for reading."""

    store: Store
    organisation: OrganisationRef
    memory: BlobMemory = field(default_factory=BlobMemory)

    def open(self, digest: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """A file that stands at byte `start` of a blob. Raises BlobMissing."""
        key = key_of(self.organisation.guid, digest)
        if length is None or length > SMALL:
            return self.store.open(key, start, length)
        open_file = partial(self.store.open, key, start, length)
        return BytesIO(self.memory.read((key, start, length), length, open_file))


class BlobService:
    """Puts and releases the bytes of one organisation, in the transaction of `db`."""

    def __init__(
        self,
        database: Database,
        db: Session,
        store: Store,
        organisation: OrganisationRef,
        manager: transaction.TransactionManager,
        now: datetime,
        hub_limit: int = 0,
    ) -> None:
        self._database, self._db, self._store, self._now = database, db, store, now
        self._organisation, self._manager, self._hub_limit = organisation, manager, hub_limit

    def put(self, stage: Stage) -> Blob:
        """The blob of the staged bytes, which are kept if the transaction commits.

        Raises QuotaExceeded.
        """
        blob, fresh = self._claim(stage)
        blob.doomed_at = None
        if fresh:
            reserve_bytes(self._db, self._organisation.id, stage.size, self._hub_limit)
        key = key_of(self._organisation.guid, stage.digest)
        self._manager.get().join(_Promotion(self._store, stage, key, self._manager))
        return blob

    def _claim(self, stage: Stage) -> tuple[Blob, bool]:
        """The locked row of the staged bytes, and whether it is new."""
        owner, digest = self._organisation.id, stage.digest
        row = select(Blob).where(Blob.organisation_id == owner, Blob.digest == digest)
        while True:
            fresh = insert_if_absent(
                self._db,
                Blob,
                organisation_id=owner,
                digest=digest,
                size=stage.size,
                created_at=self._now,
            )
            blob = self._db.scalar(row.with_for_update(key_share=True))
            if blob is not None:
                return blob, fresh
            # A sweep removed it between the two statements: it is new after all.

    def release(self, *blob_ids: int) -> None:
        """Nothing refers to these blobs any more: their bytes go once the transaction has committed."""
        doom(self._db, blob_ids, self._now)
        self._manager.get().addAfterCommitHook(self._after_commit)

    def release_afterwards(self, let_go: Callable[[Session], Sequence[int]]) -> None:
        """Once the transaction has committed, release the blobs that `let_go` returns.

        It is called in a transaction of its own, for what no answer depends on.
        """

        def act(committed: bool) -> None:
            if committed:
                with self._database.write() as db:
                    doom(db, let_go(db), self._now)
                sweep(self._database, self._store)

        self._manager.get().addAfterCommitHook(act)

    def _after_commit(self, committed: bool) -> None:
        if committed:
            sweep(self._database, self._store)


def doom(db: Session, blob_ids: Iterable[int], now: datetime) -> None:
    """Let the next sweep remove these blobs, as far as nothing refers to them."""
    for some in batched(blob_ids, RELEASE_AT_ONCE):
        db.execute(update(Blob).where(Blob.id.in_(some)).values(doomed_at=now))


def sweep(database: Database, store: Store) -> int:
    """Remove the bytes, then the rows, of doomed blobs that nothing refers to; how many.

    What fails stays doomed, and is tried again by the next sweep.
    """
    removed, last = 0, 0
    while True:
        # A few at a time: others want to write too.
        with database.write() as db:
            doomed = _doomed_after(db, last)
            gone = [blob for blob, guid in doomed if _remove(db, store, blob, guid)]
            # In one order, so that two sweeps never wait for each other.
            for owner in sorted({blob.organisation_id for blob in gone}):
                count_bytes(db, owner, -sum(b.size for b in gone if b.organisation_id == owner))
            removed += len(gone)
            last = doomed[-1][0].id if doomed else last
        if len(doomed) < SWEEP_AT_ONCE:
            return removed


def _doomed_after(db: Session, last: int) -> Sequence[tuple[Blob, UUID]]:
    query = (
        select(Blob, Organisation.guid)
        .join(Organisation, Organisation.id == Blob.organisation_id)
        .where(Blob.doomed_at.is_not(None), Blob.id > last)
        .order_by(Blob.id)
        .limit(SWEEP_AT_ONCE)
        .with_for_update(skip_locked=True, of=Blob)
    )
    return [(row[0], row[1]) for row in db.execute(query)]


def _remove(db: Session, store: Store, blob: Blob, guid: UUID) -> bool:
    if any(db.scalar(select(exists().where(column == blob.id))) for column in references()):
        blob.doomed_at = None
        return False
    try:
        store.delete(key_of(guid.hex, blob.digest))
    except (StoreUnavailable, StoreFull):
        log.exception("the bytes of released blob %d could not be removed yet", blob.id)
        return False
    db.execute(delete(Blob).where(Blob.id == blob.id))
    return True


@dataclass(frozen=True)
class Orphans:
    """Bytes in the store that no row knows: adopted, or not (yet) ours to touch."""

    adopted: int
    adopted_bytes: int
    unknown: int


def adopt_orphans(database: Database, store: Store, before: datetime, *, dry_run: bool) -> Orphans:
    """Give bytes that have no row, and were put before `before`, a row that is doomed.

    The next sweep removes them as it removes any others, so nothing can go wrong that could not go
    wrong there: somebody who puts the same bytes meanwhile waits for the row, and saves it. Bytes
    of no organisation are counted and left alone.
    """
    adopted = adopted_bytes = unknown = 0
    with database.read() as db:
        owners = {
            guid.hex: owner
            for guid, owner in db.execute(select(Organisation.guid, Organisation.id))
        }
    for stored in store.list():
        guid, _, rest = stored.key.partition("/")
        digest = rest.replace("/", "")
        if guid not in owners or stored.key != key_of(guid, digest) or len(digest) != DIGEST_LENGTH:
            unknown += 1
        elif stored.modified < before and _adopt(
            database, owners[guid], digest, stored.size, dry_run=dry_run
        ):
            adopted += 1
            adopted_bytes += stored.size
    return Orphans(adopted, adopted_bytes, unknown)


def _adopt(database: Database, owner: int, digest: str, size: int, *, dry_run: bool) -> bool:
    with database.read() as db:
        mine = (Blob.organisation_id == owner, Blob.digest == digest)
        orphaned = not db.scalar(select(exists().where(*mine)))
    if dry_run or not orphaned:
        return orphaned
    with database.write() as db:
        moment = now()
        fresh = insert_if_absent(
            db,
            Blob,
            organisation_id=owner,
            digest=digest,
            size=size,
            created_at=moment,
            doomed_at=moment,
        )
        if fresh:
            count_bytes(db, owner, size)
        return fresh
