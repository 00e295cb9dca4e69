"""Bytes that join the transaction: put before the row is committed, removed after.

A crash leaves at worst bytes without a row, never a row without bytes.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import transaction
from sqlalchemy import select
from sqlalchemy.orm import Session
from transaction.interfaces import TransientError

from hubrepo.kernel.accounts import OrganisationRef, check_bytes, reserve_bytes
from hubrepo.kernel.base import Unavailable
from hubrepo.kernel.blobs.comparing import key_of
from hubrepo.kernel.blobs.fetching import MOST, fetched
from hubrepo.kernel.blobs.memory import SMALL, BlobMemory
from hubrepo.kernel.blobs.models import MAIN, Blob
from hubrepo.kernel.blobs.named import Stores
from hubrepo.kernel.blobs.stores import Stage, Store
from hubrepo.kernel.blobs.sweeping import LEAVING_LASTS, Swept, doom, sweep_for
from hubrepo.kernel.db import Afterwards, Database, insert_if_absent

# Seconds that an answer may wait for bytes to be removed, once what it tells is committed.
SHORT = 1.0


class BlobLeaving(Unavailable, TransientError):  # type: ignore[misc]  # has no types
    """Bytes come while the same are being removed. A second try finds them gone."""

    code = "blob-leaving"
    message = "the same bytes are just being removed, try again"


class _Promotion:
    """Data manager: a stage that becomes a blob when the transaction commits, and is counted then.

    It votes before the database does (`~sqlalchemy` sorts last), so bytes are durable first. They are
    counted after they were put: whoever counts holds the organisation's row until the commit.
    """

    def __init__(
        self,
        store: Store,
        stage: Stage,
        key: str,
        count: Callable[[], None] | None,
        manager: Any,
    ) -> None:
        self._store, self._stage, self._key, self._count = store, stage, key, count
        self.transaction_manager = manager

    def sortKey(self) -> str:  # noqa: N802 - the name that transaction asks for
        return "blobs"

    def tpc_begin(self, _transaction: Any) -> None: ...

    def commit(self, _transaction: Any) -> None: ...

    def tpc_vote(self, _transaction: Any) -> None:
        self._store.promote(self._stage, self._key)
        if self._count is not None:
            self._count()

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
        """A file whose next bytes are those of a blob from `start` on. Raises BlobMissing."""
        key = key_of(self.organisation.guid, digest)
        open_file = partial(self.store.open, key, start, length)
        if length is None or length > SMALL:
            if not self.store.is_remote or length is None or length > MOST:
                return open_file()
            return fetched(open_file, length)
        return BytesIO(self.memory.read((key, start, length), length, open_file))

    def link(self, digest: str, seconds: int, headers: Mapping[str, str]) -> str | None:
        """An address of the blob at the store (see `Store.link`)."""
        return self.store.link(key_of(self.organisation.guid, digest), seconds, headers)


class BlobService:
    """Puts and releases the bytes of one organisation, in the transaction of `db`.

    They are put in the store named `kept_in`.
    """

    def __init__(
        self,
        database: Database,
        db: Session,
        stores: Stores,
        organisation: OrganisationRef,
        manager: transaction.TransactionManager,
        now: datetime,
        hub_limit: int = 0,
        kept_in: str = MAIN,
        afterwards: Afterwards | None = None,
    ) -> None:
        self._database, self._db, self._stores, self._now = database, db, stores, now
        self._organisation, self._manager, self._hub_limit = organisation, manager, hub_limit
        self._kept_in, self._afterwards = stores.chosen(kept_in), afterwards

    def put(self, stage: Stage) -> Blob:
        """The blob of the staged bytes, which are kept if the transaction commits.

        Raises QuotaExceeded, here or by the commit, and BlobLeaving.
        """
        blob, fresh = self._claim(stage)
        owner, size = self._organisation.id, stage.size
        count: Callable[[], None] | None = None
        if fresh:
            check_bytes(self._db, owner, size, self._hub_limit)
            count = partial(reserve_bytes, self._db, owner, size, self._hub_limit)
        elif blob.store == MAIN and self._kept_in != MAIN:
            # What lies in the main store is there for everybody, so there it stays.
            stage = self._moved(stage)
        else:
            blob.store = self._kept_in
        blob.doomed_at = blob.leaving_at = None
        key = key_of(self._organisation.guid, stage.digest)
        promotion = _Promotion(self._stores[blob.store], stage, key, count, self._manager)
        self._manager.get().join(promotion)
        return blob

    def _moved(self, stage: Stage) -> Stage:
        """The bytes of a stage, staged for the main store."""
        moved = self._stores.main.stage()
        try:
            with stage.reader() as file:
                shutil.copyfileobj(file, moved)
        except BaseException:
            moved.discard()
            raise
        stage.discard()
        return moved

    def _claim(self, stage: Stage) -> tuple[Blob, bool]:
        """The locked row of the staged bytes, and whether it is new. Raises BlobLeaving."""
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
                store=self._kept_in,
            )
            blob = self._db.scalar(row.with_for_update(key_share=True))
            if blob is not None:
                if blob.leaving_at is not None and self._now - blob.leaving_at < LEAVING_LASTS:
                    raise BlobLeaving(headers={"Retry-After": "1"})
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
                self._after_commit(committed)

        self._manager.get().addAfterCommitHook(act)

    def _after_commit(self, committed: bool) -> None:
        """Sweep; what takes longer than an answer may wait goes on without it."""
        if not committed:
            return
        swept = sweep_for(SHORT, self._database, self._stores)
        if self._afterwards is not None:
            _go_on(self._afterwards, self._database, self._stores, swept)


def _go_on(later: Afterwards, database: Database, stores: Stores, swept: Swept) -> None:
    """Sweep on later, a slice at a time. What is left when the process ends waits for another sweep."""

    def act() -> None:
        more = sweep_for(SHORT, database, stores, swept.last, lambda: later.is_ending)
        _go_on(later, database, stores, more)

    if swept.is_unfinished and not later.is_ending:
        later.call("the end of released blobs", act)
