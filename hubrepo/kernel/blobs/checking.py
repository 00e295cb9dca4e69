"""Whether every byte is where it should be: what `hubrepo check` finds. It changes nothing."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import Tell, tell_nobody
from hubrepo.kernel.blobs.comparing import BLOB_FACTS, BlobFacts, Pair, compare, facts_of, named_by
from hubrepo.kernel.blobs.copying import is_whole
from hubrepo.kernel.blobs.models import Blob
from hubrepo.kernel.blobs.named import Stores
from hubrepo.kernel.blobs.orphans import Orphan
from hubrepo.kernel.blobs.parallel import in_parallel
from hubrepo.kernel.blobs.stores import BlobMissing, Stored
from hubrepo.kernel.blobs.sweeping import is_referred_to
from hubrepo.kernel.db import Database, dangling

MISSING, TRUNCATED, CHANGED, UNKNOWN, DANGLING = (
    "missing",
    "truncated",
    "changed",
    "unknown",
    "dangling",
)


class Finding(NamedTuple):
    """Something that is not as it should be: its kind, what it is about, and a sentence.

    `unknown` bytes are no damage. Those of an organisation were left behind by a process that died, and
    `hubrepo gc` removes them; the rest is somebody else's, and is left to people.
    """

    kind: str
    subject: str
    text: str

    @property
    def is_damage(self) -> bool:
        """Whether something that was kept is wrong or gone."""
        return self.kind != UNKNOWN


RowCheck = Callable[[Session], Iterable[Finding]]


def add_check(config: Any, name: str, check: RowCheck) -> None:
    """Directive: `check(db)` finds rows that contradict one another."""
    config.action(("check", name), lambda: config.registry.checks.update({name: check}))


class Check:
    """One run over a hub, which may be serving meanwhile. What was looked at is counted on the way."""

    def __init__(
        self, database: Database, stores: Stores, checks: Iterable[RowCheck], *, deep: bool = False
    ) -> None:
        self._database, self._stores, self._deep = database, stores, deep
        self._checks = (_dangling_rows, _leaked_blobs, _miscounted_bytes, *checks)
        self.blobs = self.bytes = 0

    def expected(self) -> int:
        """How many blobs the rows tell of."""
        with self._database.read() as db:
            return db.scalar(select(func.count()).select_from(Blob)) or 0

    def run(self, tell: Tell = tell_nobody) -> Iterator[Finding]:
        """All findings. `tell` is called with 1 for each blob that is done."""
        pairs = compare(self._database, self._stores)
        for row, finding in in_parallel(self._look, pairs, 8 if self._deep else 1):
            if row is not None:
                self.blobs += 1
                self.bytes += row.size
                tell(1)
            if finding is not None:
                yield finding
        with self._database.read() as db:
            for check in self._checks:
                yield from check(db)

    def _look(self, pair: Pair) -> tuple[BlobFacts | None, Finding | None]:
        store, row, stored = pair
        if row is None:
            assert stored is not None  # noqa: S101 - one of the two knows it
            return row, _unknown(stored) if self._is_unknown(store, stored) else None
        return row, self._judge(row, stored) and self._look_again(row)

    def _judge(self, row: BlobFacts, stored: Stored | None) -> Finding | None:
        """What is wrong with the bytes of `row`, of which the store says `stored`."""
        missing = Finding(
            MISSING, row.key, f"the store {self._stores.chosen(row.store)!r} does not have it"
        )
        if stored is None:
            return missing
        if stored.size != row.size:
            kind = TRUNCATED if stored.size < row.size else CHANGED
            return Finding(kind, row.key, f"{stored.size} bytes instead of {row.size}")
        try:
            if self._deep and not is_whole(self._stores[row.store], row.key):
                return Finding(CHANGED, row.key, "its bytes are not those that its name says")
        except BlobMissing:
            return missing
        return None

    def _look_again(self, row: BlobFacts) -> Finding | None:
        """What is wrong, if the row was the same before one looked and after: the hub may be serving."""
        before: BlobFacts | None = None
        finding: Finding | None = None
        while (found := self._row(row.guid, row.digest)) is not None and found != before:
            before, finding = found, self._judge(found, self._stat(found))
            if finding is None:
                return None
        return None if found is None else finding

    def _stat(self, row: BlobFacts) -> Stored | None:
        try:
            return self._stores[row.store].stat(row.key)
        except BlobMissing:
            return None

    def _is_unknown(self, store: str, stored: Stored) -> bool:
        """Whether no row will be found that means these bytes, however long one waits."""
        guid, digest = named_by(stored.key) or ("", "")
        if guid:
            with self._database.read() as db:
                owner = db.scalar(select(Organisation.id).where(Organisation.guid == UUID(guid)))
            if owner is not None:
                orphan = Orphan(owner, digest, store, stored)
                return orphan.is_one(self._database, self._stores)
        try:
            self._stores[store].stat(stored.key)
        except BlobMissing:
            return False
        return True

    def _row(self, guid: str, digest: str) -> BlobFacts | None:
        """The row of a blob, as it is now. One that is on its way out is none."""
        mine = (Organisation.guid == UUID(guid), Blob.digest == digest)
        wanted = or_(Blob.doomed_at.is_(None), is_referred_to())
        with self._database.read() as db:
            found = db.execute(BLOB_FACTS.where(*mine, wanted)).first()
        return None if found is None else facts_of(found)


def _unknown(stored: Stored) -> Finding:
    if named_by(stored.key) is None:
        return Finding(UNKNOWN, stored.key, f"{stored.size} bytes whose name is not that of a blob")
    return Finding(UNKNOWN, stored.key, f"{stored.size} bytes that no row knows")


def _dangling_rows(db: Session) -> Iterator[Finding]:
    for each in dangling(db):
        columns = ", ".join(each.columns)
        text = f"{each.rows} rows whose {columns} is of no row in {each.parent}"
        yield Finding(DANGLING, each.table, text)


def _leaked_blobs(db: Session) -> Iterator[Finding]:
    leaked = BLOB_FACTS.where(Blob.doomed_at.is_(None), ~is_referred_to())
    for row in map(facts_of, db.execute(leaked)):
        yield Finding(DANGLING, row.key, "a blob that nothing refers to, and nobody released")


def _miscounted_bytes(db: Session) -> Iterator[Finding]:
    kept = (
        select(func.coalesce(func.sum(Blob.size), 0))
        .where(Blob.organisation_id == Organisation.id)
        .scalar_subquery()
    )
    query = select(Organisation.slug, Organisation.stored_bytes, kept).where(
        Organisation.stored_bytes != kept
    )
    for slug, counted, size in db.execute(query):
        yield Finding(DANGLING, f"organisation:{slug}", f"counts {counted} bytes, keeps {size}")
