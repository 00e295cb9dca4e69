"""A backup: a folder with the rows of one moment, and every blob that they tell of.

    backup.json                 what it is: written last, so a folder without it is no backup yet
    rows-<moment>/<table>.gz    the rows, a line each
    blobs/<organisation>/…      the bytes, as a store on disk has them

Made again into the same folder it copies only what is new, and stays the old backup until it is the
new one.
"""

import fcntl
import gzip
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

from sqlalchemy import Connection, Table, func, select, update

from hubrepo.kernel.base import Tell, iso_micros, now, sync_folder, tell_nobody, write_durably
from hubrepo.kernel.blobs import (
    BLOB_FACTS,
    MAIN,
    Blob,
    BlobFacts,
    DiskStore,
    Outcome,
    Store,
    Stores,
    ascending,
    copy_if_whole,
    hold,
    in_parallel,
    is_whole,
    sweep,
)
from hubrepo.kernel.db import Base, Database, heads_of, upgrade
from hubrepo.kernel.transfer.errors import CopyDamaged, InUse, NotACopy, NotEmpty
from hubrepo.kernel.transfer.manifests import Manifest, Rows, TableFacts
from hubrepo.kernel.transfer.rows import is_numbered, last_id, load, set_last_id, tables_found
from hubrepo.kernel.transfer.snapshots import (
    LEFT_OUT,
    open_anywhere,
    upgrade_as,
    write_blobs,
    write_rows,
)

KIND = "hubrepo backup"
MANIFEST, LOCK, BLOBS, ROWS = "backup.json", ".lock", "blobs", "rows-"
# The next manifest, until it takes the place of the last one.
FRESH = f"{MANIFEST}.new"
# Which blobs there are, in the order of their keys: a part beside the tables.
LIST = "blobs"

# What comes in the order of keys, as messages name it.
LISTED, FOUND = "the blobs of the hub", "the files of the backup"


@dataclass
class Done:
    """What a backup or a restore did: rows and blobs in all, and the blobs that it had to copy.

    `damaged` are the keys of blobs that it could not copy: they are missing, or not what they were.
    """

    rows: int = 0
    blobs: int = 0
    size: int = 0
    copied_blobs: int = 0
    copied_size: int = 0
    removed_blobs: int = 0
    damaged: list[str] = field(default_factory=list)

    def count(self, blob: BlobFacts, outcome: Outcome) -> None:
        """One more blob, and what became of it."""
        if outcome is Outcome.DAMAGED:
            self.damaged.append(blob.key)
        elif outcome is not Outcome.GONE:
            self.blobs += 1
            self.size += blob.size
            if outcome is Outcome.COPIED:
                self.copied_blobs += 1
                self.copied_size += blob.size


class Wanted(NamedTuple):
    """A blob that a copy should have, and whether it has one of that size already."""

    blob: BlobFacts
    is_there: bool


class Backup:
    """The backup in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(
        self, database: Database, stores: Stores, tell: Tell = tell_nobody, *, deep: bool = False
    ) -> Done:
        """Copy a hub, which may be serving meanwhile. `tell` is called with 1 for each blob.

        What an earlier backup has is taken for whole if its size is right; with `deep` it is read, and
        copied again if it is damaged.

        Raises NotEmpty, NotACopy, InUse, HoldLapsed, and what stores and databases raise.
        """
        self._prepare()
        done = Done()
        with self._alone():
            with hold(database, "backup") as held:
                rows, heads, tables = self._write_rows(database)
                done.rows = sum(each.rows for name, each in tables.items() if name != LIST)
                target = DiskStore(str(self.folder / BLOBS))
                target.sweep_stages(now())
                wanted = _beside(self._blobs(rows, tables), target)
                act = partial(_back_up, stores, target, deep)
                for blob, outcome in in_parallel(act, wanted):
                    done.count(blob, outcome)
                    held.renew()
                    tell(1)
            manifest = Manifest(
                KIND, iso_micros(now()), heads, rows, tables, done.blobs, done.size, done.damaged,
            )  # fmt: skip
            write_durably(self.folder / MANIFEST, FRESH, manifest.dump())
            done.removed_blobs = self._remove_surplus(target, manifest)
        # What was released meanwhile had to wait.
        sweep(database, stores)
        return done

    def expected(self, database: Database) -> int:
        """How many blobs there are to copy."""
        with database.read() as db:
            return db.scalar(select(func.count()).select_from(Blob)) or 0

    def _prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in self.folder.iterdir():
            if each.name not in {MANIFEST, FRESH, LOCK, BLOBS} and not each.name.startswith(ROWS):
                raise NotEmpty(f"{self.folder} has {each.name} in it, which is of no backup")
        if (self.folder / MANIFEST).exists():
            self.manifest()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.folder / LOCK).open("wb") as file:
            _lock(file, fcntl.LOCK_EX, self.folder)
            yield

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Nobody writes meanwhile; where nobody can, nobody is asked."""
        try:
            file = (self.folder / LOCK).open("rb")
        except OSError:
            yield
            return
        with file:
            _lock(file, fcntl.LOCK_SH, self.folder)
            yield

    def manifest(self) -> Manifest:
        """What the backup says of itself. Raises NotACopy."""
        try:
            return Manifest.load((self.folder / MANIFEST).read_bytes(), KIND)
        except OSError as error:
            raise NotACopy(f"{self.folder} is no backup: {error.strerror}") from None

    def _write_rows(self, database: Database) -> tuple[str, tuple[str, ...], dict[str, TableFacts]]:
        """The name of the folder of the rows, the schema that they are of, and what they are."""
        rows = f"{ROWS}{now():%Y%m%dT%H%M%S%f}"
        (self.folder / rows).mkdir(mode=0o700)
        tables = [each for each in Base.metadata.sorted_tables if each.name not in LEFT_OUT]
        with database.snapshot() as db:
            heads = heads_of(database)
            open_part = partial(self._part, rows, "wb")
            facts = write_rows(db, [(each, select(each)) for each in tables], open_part)
            for table in filter(is_numbered, tables):
                last = last_id(db.connection(), table)
                facts[table.name] = facts[table.name]._replace(last_id=last)
            with open_part(LIST) as file:
                facts[LIST] = write_blobs(db, BLOB_FACTS, file)
        sync_folder(self.folder / rows)
        return rows, heads, facts

    @contextmanager
    def _part(self, rows: str, mode: str, name: str) -> Iterator[BinaryIO]:
        with (self.folder / rows / f"{name}.gz").open(mode) as raw:
            with gzip.GzipFile("", mode, 1, cast("BinaryIO", raw), 0) as file:
                yield cast("BinaryIO", file)
            if mode == "wb":
                raw.flush()
                os.fsync(raw.fileno())

    def _read(self, rows: str, name: str, facts: TableFacts) -> Iterator[dict[str, object]]:
        try:
            with self._part(rows, "rb", name) as file:
                yield from Rows().read(name, file, facts)
        except OSError as error:
            raise CopyDamaged(f"the rows of {name} cannot be read: {error.strerror}") from None

    def _blobs(self, rows: str, tables: dict[str, TableFacts]) -> Iterator[BlobFacts]:
        for row in self._read(rows, LIST, tables[LIST]):
            yield BlobFacts(**row)  # type: ignore[arg-type]

    def _remove_surplus(self, store: Store, manifest: Manifest) -> int:
        """Remove what belongs to an earlier backup only; how many blobs."""
        for each in self.folder.iterdir():
            if each.name.startswith(ROWS) and each.name != manifest.rows:
                shutil.rmtree(each)
        blobs = self._blobs(manifest.rows, dict(manifest.tables))
        wanted = (each.key for each in ascending(LISTED, blobs))
        key, removed = next(wanted, None), 0
        for stored in ascending(FOUND, store.list()):
            while key is not None and key < stored.key:
                key = next(wanted, None)
            if key != stored.key:
                store.delete(stored.key)
                removed += 1
        return removed

    def restore(
        self,
        database: Database,
        stores: Stores,
        migrations: Iterable[Path],
        tell: Tell = tell_nobody,
    ) -> Done:
        """Put everything into an empty database and the stores; bytes first, then all rows or none.

        Rows that an older hub wrote are migrated. Raises NotACopy, CopyDamaged, InUse, NotEmpty,
        Misconfigured, and what stores and databases raise.
        """
        with self._undisturbed():
            return self._restore(database, stores, list(migrations), tell)

    def _restore(
        self, database: Database, stores: Stores, migrations: list[Path], tell: Tell
    ) -> Done:
        manifest = self.manifest()
        tables = dict(manifest.tables)
        for name, facts in tables.items():
            for _ in self._read(manifest.rows, name, facts):
                pass
        _make_tables(database, migrations, manifest)
        done = Done()
        source = DiskStore(str(self.folder / BLOBS))
        blobs = self._blobs(manifest.rows, tables)
        for blob, outcome in in_parallel(partial(_put_back, source, stores), blobs):
            done.count(blob, outcome)
            tell(1)
        done.rows = self._load_rows(database, stores, manifest)
        upgrade(database, migrations)
        return done

    def _load_rows(self, database: Database, stores: Stores, manifest: Manifest) -> int:
        done = 0
        with database.write() as db:
            connection = db.connection()
            for name, table in tables_found(connection).items():
                facts = manifest.tables.get(name)
                if facts is not None:
                    done += load(connection, table, self._read(manifest.rows, name, facts))
                    set_last_id(connection, table, facts.last_id)
                if table.name == Blob.__tablename__ and "store" in table.columns:
                    _name_stores(connection, table, stores)
        return done


def _lock(file: IO[bytes], kind: int, folder: Path) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        raise InUse(f"another process is using {folder}") from None


def _name_stores(connection: Connection, blobs: Table, stores: Stores) -> None:
    """Let no blob name a store that this hub does not have: one day it may, and there they are not."""
    names = [name for name, _ in stores]
    strange = update(blobs).where(blobs.c.store.not_in(names))
    connection.execute(strange.values(store=MAIN))


def _make_tables(database: Database, migrations: list[Path], manifest: Manifest) -> None:
    """Tables of the time of the backup, empty. Raises NotEmpty, Misconfigured."""
    if not heads_of(database):
        upgrade_as(database, migrations, manifest)
    if set(heads_of(database)) != set(manifest.heads):
        raise NotEmpty(
            "the database has tables of another version: restore into one without tables"
        )
    with database.read() as db:
        for name, table in tables_found(db.connection()).items():
            if name in manifest.tables and db.execute(select(table).limit(1)).first() is not None:
                raise NotEmpty("the database is not empty: restore into an empty one")


def _beside(blobs: Iterable[BlobFacts], store: Store) -> Iterator[Wanted]:
    """Each blob, and whether `store` has it. Both are in the order of keys."""
    listing = ascending(FOUND, store.list())
    stored = next(listing, None)
    for blob in ascending(LISTED, blobs):
        while stored is not None and stored.key < blob.key:
            stored = next(listing, None)
        is_there = stored is not None and stored.key == blob.key and stored.size == blob.size
        yield Wanted(blob, is_there)


def _back_up(
    stores: Stores, target: Store, deep: bool, wanted: Wanted
) -> tuple[BlobFacts, Outcome]:
    blob = wanted.blob
    if wanted.is_there and (not deep or is_whole(target, blob.key)):
        return blob, Outcome.PRESENT
    return blob, _copied(partial(open_anywhere, stores, blob), target, blob)


def _put_back(source: Store, stores: Stores, blob: BlobFacts) -> tuple[BlobFacts, Outcome]:
    return blob, _copied(partial(source.open, blob.key), stores[blob.store], blob)


def _copied(open_file: Callable[[], BinaryIO], target: Store, blob: BlobFacts) -> Outcome:
    outcome = copy_if_whole(open_file, target, blob.key)
    # One that was on its way out may be gone; of all others the bytes were promised.
    return Outcome.DAMAGED if outcome is Outcome.GONE and not blob.doomed else outcome
