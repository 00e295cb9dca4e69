"""Removing bytes that nothing refers to any more.

A sweep first marks rows as leaving, then removes their bytes, then the rows, in transactions of their
own: no lock is held while a store is asked, and none is relied on, for a database that restarts gives
them up. Nobody can put the bytes of a row that is leaving; whoever tries is told to come back.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from hubrepo.kernel.accounts import count_bytes
from hubrepo.kernel.base import batched, now
from hubrepo.kernel.blobs.comparing import BLOB_FACTS, facts_of
from hubrepo.kernel.blobs.holds import nobody_holds
from hubrepo.kernel.blobs.models import Blob, references
from hubrepo.kernel.blobs.named import Stores
from hubrepo.kernel.blobs.stores import StoreFull, StoreUnavailable
from hubrepo.kernel.db import Database

log = logging.getLogger(__name__)

SWEEP_AT_ONCE = 20
RELEASE_AT_ONCE = 500

# A sweep that died may have asked a store to remove bytes, and a store may do so late. After this time
# it surely has, or never will; a sweep that took half of it removes nothing more.
LEAVING_LASTS = timedelta(minutes=2)


def doom(db: Session, blob_ids: Iterable[int], now: datetime) -> None:
    """Let the next sweep remove these blobs, as far as nothing refers to them."""
    for some in batched(sorted(blob_ids), RELEASE_AT_ONCE):
        these = Blob.id.in_(some)
        if len(some) > 1:
            # In one order, so that two who let go of the same never wait for each other: an update
            # alone takes rows as they lie.
            db.execute(
                select(Blob.id).where(these).order_by(Blob.id).with_for_update(key_share=True)
            )
        db.execute(update(Blob).where(these).values(doomed_at=now))


def is_referred_to() -> ColumnElement[bool]:
    """Whether any row, of any table, refers to a blob."""
    return or_(*(exists(select(column).where(column == Blob.id)) for column in references()))


class Swept(NamedTuple):
    """How many blobs a sweep removed, whether it stopped for want of time, and behind which one."""

    blobs: int
    is_unfinished: bool = False
    last: int = 0


def sweep(database: Database, stores: Stores, *, dry_run: bool = False) -> int:
    """Remove the bytes, then the rows, of doomed blobs that nothing refers to; how many.

    What fails stays doomed, and is tried again by a later sweep; so does all while somebody holds it.
    """
    if dry_run:
        with database.read() as db:
            count = select(func.count(Blob.id)).where(_can_leave(now()), ~is_referred_to())
            return db.scalar(count) or 0
    return sweep_for(None, database, stores).blobs


def _never() -> bool:
    return False


def sweep_for(
    seconds: float | None,
    database: Database,
    stores: Stores,
    behind: int = 0,
    is_ending: Callable[[], bool] = _never,
) -> Swept:
    """The same, for so long at most; None: until it is done.

    It begins behind the blob with that `id`, and leaves off once `is_ending()`.
    """
    began, removed, last = monotonic(), 0, behind
    while not is_ending():
        # A few at a time: others want to write too.
        batch = _Batch.begin(database, last)
        if batch is None:
            return Swept(removed)
        removed += batch.remove(database, stores, is_ending)
        last = batch.last
        if seconds is not None and monotonic() - began > seconds:
            break
    return Swept(removed, is_unfinished=True, last=last)


def _can_leave(moment: datetime) -> ColumnElement[bool]:
    stuck = or_(Blob.leaving_at.is_(None), Blob.leaving_at < moment - LEAVING_LASTS)
    return and_(Blob.doomed_at.is_not(None), stuck, nobody_holds(moment))


class _Batch:
    """Blobs that are leaving: their rows are marked, and their bytes still there."""

    def __init__(self, moment: datetime, ids: Sequence[int]) -> None:
        self._moment, self._ids, self._began = moment, ids, monotonic()
        self.last = ids[-1]

    @classmethod
    def begin(cls, database: Database, last: int) -> "_Batch | None":
        """Mark some of the blobs behind `last`; None if there are none. Those that are wanted are saved."""
        moment = now()
        with database.write() as db:
            ids = db.scalars(
                select(Blob.id)
                .where(_can_leave(moment), Blob.id > last)
                .order_by(Blob.id)
                .limit(SWEEP_AT_ONCE)
                .with_for_update(skip_locked=True)
            ).all()
            if not ids:
                return None
            these = Blob.id.in_(ids)
            # Rows are locked by now, so whoever wants one has said so.
            db.execute(
                update(Blob).where(these, is_referred_to()).values(doomed_at=None, leaving_at=None)
            )
            db.execute(
                update(Blob).where(these, Blob.doomed_at.is_not(None)).values(leaving_at=moment)
            )
        return cls(moment, ids)

    def remove(self, database: Database, stores: Stores, is_ending: Callable[[], bool]) -> int:
        """Remove the bytes, then the rows; how many. Once `is_ending()`, the rest stays."""
        mine = (Blob.id.in_(self._ids), Blob.leaving_at == self._moment)
        with database.read() as db:
            leaving = [facts_of(row) for row in db.execute(BLOB_FACTS.where(*mine))]
        gone: list[int] = []
        kept: list[int] = []
        failed: set[str] = set()
        for blob in leaving:
            if blob.store in failed or self._is_late or is_ending():
                kept.append(blob.id)
                continue
            try:
                stores[blob.store].delete(blob.key)
                gone.append(blob.id)
            except (StoreUnavailable, StoreFull):
                log.exception("the bytes of released blob %d could not be removed yet", blob.id)
                failed.add(blob.store)
                if not stores[blob.store].is_remote:
                    kept.append(blob.id)  # a disk does nothing late
        with database.write() as db:
            if kept:
                # Their bytes are there, or certainly gone, so nobody has to wait for that.
                stays = update(Blob).where(*mine, Blob.id.in_(kept))
                db.execute(stays.values(leaving_at=None))
            return _remove_rows(db, and_(*mine, Blob.id.in_(gone)))

    @property
    def _is_late(self) -> bool:
        return monotonic() - self._began > LEAVING_LASTS.total_seconds() / 2


def _remove_rows(db: Session, which: ColumnElement[bool]) -> int:
    sizes: dict[int, int] = {}
    rows = db.execute(delete(Blob).where(which).returning(Blob.organisation_id, Blob.size)).all()
    for owner, size in rows:
        sizes[owner] = sizes.get(owner, 0) + size
    # In one order, so that two sweeps never wait for each other.
    for owner in sorted(sizes):
        count_bytes(db, owner, -sizes[owner])
    return len(rows)
