"""Bytes in a store that no row knows: left behind by a process that died between bytes and row.

Whoever puts bytes claims their row first, and has it until the transaction ends: so when the row can
be claimed here, nobody is putting them.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from hubrepo.kernel.accounts import Organisation, count_bytes
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs.comparing import compare, named_by
from hubrepo.kernel.blobs.holds import nobody_holds
from hubrepo.kernel.blobs.models import Blob
from hubrepo.kernel.blobs.named import Stores
from hubrepo.kernel.blobs.stores import BlobMissing, Stored
from hubrepo.kernel.db import Database, insert_if_absent


@dataclass(frozen=True)
class Orphans:
    """Bytes in the stores that no row knows: adopted, or not (yet) ours to touch."""

    adopted: int = 0
    adopted_bytes: int = 0
    unknown: int = 0


def adopt_orphans(
    database: Database, stores: Stores, before: datetime, *, dry_run: bool = False
) -> Orphans:
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
    for store, row, stored in compare(database, stores):
        if stored is None or row is not None:
            continue
        guid, digest = named_by(stored.key) or ("", "")
        if guid not in owners:
            unknown += 1
        elif stored.modified < before:
            orphan = Orphan(owners[guid], digest, store, stored)
            if (orphan.can_go if dry_run else orphan.adopt)(database, stores):
                adopted += 1
                adopted_bytes += stored.size
    return Orphans(adopted, adopted_bytes, unknown)


@dataclass(frozen=True)
class Orphan:
    """Bytes of an organisation in the store named `store`, for which a listing found no row."""

    owner: int
    digest: str
    store: str
    stored: Stored

    def is_one(self, database: Database, stores: Stores) -> bool:
        """Whether no row means them, once whoever was just writing one has committed or not."""
        with database.writing() as db:
            # Never committed: what was claimed is given back.
            return self._claim(db, stores) is not None

    def can_go(self, database: Database, stores: Stores) -> bool:
        """Whether `adopt` would let them go."""
        with database.writing() as db:
            is_new = self._claim(db, stores)
            return is_new or (is_new is False and self._nobody_holds(db))

    def adopt(self, database: Database, stores: Stores) -> bool:
        """Give them a row that is doomed, or remove them if the row that they have means another store."""
        with database.writing() as db:
            is_new = self._claim(db, stores)
            if is_new is None or not (is_new or self._nobody_holds(db)):
                # Not committed: a row that was claimed for nothing is given back.
                return False
            if is_new:
                count_bytes(db, self.owner, self.stored.size)
            else:
                stores[self.store].delete(self.stored.key)
            db.commit()
            return True

    @staticmethod
    def _nobody_holds(db: Session) -> bool:
        return bool(db.scalar(select(nobody_holds(now()))))

    def _claim(self, db: Session, stores: Stores) -> bool | None:
        """Lock their row: True if it is new, False if it means another store. None if they are no orphan.

        Bytes are put while their row is locked, so by now a row is there, or nobody will write one.
        """
        moment = now()
        fresh = insert_if_absent(
            db,
            Blob,
            organisation_id=self.owner,
            digest=self.digest,
            size=self.stored.size,
            created_at=moment,
            doomed_at=moment,
            store=self.store,
        )
        if not fresh:
            own = (Blob.organisation_id == self.owner, Blob.digest == self.digest)
            row = db.scalar(select(Blob).where(*own).with_for_update())
            if row is None or stores[row.store] is stores[self.store]:
                return None
            if _size_at(stores, row.store, self.stored.key) != row.size:
                # The only copy there is: the row is wrong about where, or that store has lost it.
                return None
        # A sweep may have removed them, and then their row, since they were seen.
        return fresh if _size_at(stores, self.store, self.stored.key) is not None else None


def _size_at(stores: Stores, store: str, key: str) -> int | None:
    try:
        return stores[store].stat(key).size
    except BlobMissing:
        return None
