"""Reading an export, proving it, and putting its organisation into another hub.

Numbers are given out anew, so whatever refers to a row by its number is told the new one; names,
GUIDs, hashes and keys stay what they are. The rows pass through a database of their own first: there
they are proved to belong together, and rows that an older hub wrote are migrated.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO, cast
from zipfile import ZipFile

from sqlalchemy import Column, Table, func, insert, or_, select
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.orm import Session

from hubrepo.kernel.accounts import Organisation, User
from hubrepo.kernel.audit import AuditLog
from hubrepo.kernel.base import Conflict, Tell, batched, tell_nobody
from hubrepo.kernel.blobs import (
    BLOB_FACTS,
    Blob,
    BlobFacts,
    Stores,
    copy_blob,
    digest_of,
    facts_of,
    in_parallel,
)
from hubrepo.kernel.db import Base, Database, upgrade
from hubrepo.kernel.transfer.errors import CopyDamaged, NotACopy
from hubrepo.kernel.transfer.events import OrganisationImported
from hubrepo.kernel.transfer.exports import BLOBS, KIND, MANIFEST, ROWS, Moved
from hubrepo.kernel.transfer.manifests import LONGEST, UNREADABLE, Manifest, Rows
from hubrepo.kernel.transfer.rows import AT_ONCE, is_numbered, load, tables_found
from hubrepo.kernel.transfer.snapshots import upgrade_as


class AlreadyHere(Conflict):
    """Something of the organisation is in this hub already."""

    code = "already-here"


class Export:
    """An export in a file, open for reading. Raises NotACopy."""

    def __init__(self, path: Path) -> None:
        try:
            self._archive = ZipFile(path)
            if self._archive.getinfo(MANIFEST).file_size > LONGEST:
                raise NotACopy("its manifest is far too long")
            self.manifest = Manifest.load(self._archive.read(MANIFEST), KIND)
        except FileNotFoundError as error:
            raise NotACopy(f"{path} cannot be read: {error.strerror}") from None
        except UNREADABLE:
            raise NotACopy(f"{path} is no export of an organisation, or not a whole one") from None
        self.rows = sum(each.rows for each in self.manifest.tables.values())

    @contextmanager
    def organisation(self, migrations: Sequence[Path]) -> Iterator[Session]:
        """Its rows, in a database of their own, brought up to date. Raises NotACopy, CopyDamaged."""
        with tempfile.TemporaryDirectory(prefix="hubrepo-") as folder:
            scratch = Database(f"sqlite:///{folder}/organisation.sqlite")
            try:
                self._fill(scratch, migrations)
                with scratch.read() as db:
                    yield db
            finally:
                scratch.close()

    def _fill(self, scratch: Database, migrations: Sequence[Path]) -> None:
        upgrade_as(scratch, migrations, self.manifest)
        try:
            with scratch.write() as db:
                for name, table in tables_found(db.connection()).items():
                    if name in self.manifest.tables and name in Base.metadata.tables:
                        load(db.connection(), table, self._rows(name))
            upgrade(scratch, migrations)
            _read_all(scratch)
        except OperationalError:
            raise  # no room for it, most likely
        except StatementError as error:
            reason = getattr(error, "orig", error)
            raise CopyDamaged(f"its rows contradict one another: {reason}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CopyDamaged("its rows are not such as a hub writes") from None
        with scratch.read() as db:
            found = db.scalar(select(func.count()).select_from(Organisation))
        if found != 1:
            raise CopyDamaged(f"it holds {found} organisations instead of one")

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            with self._archive.open(f"{ROWS}/{name}") as file:
                yield from Rows().read(name, cast("BinaryIO", file), self.manifest.tables[name])
        except UNREADABLE:
            raise CopyDamaged(f"the rows of {name} are missing") from None

    def prove(self, blob: BlobFacts) -> int:
        """Read a blob; its size. Raises CopyDamaged."""
        damaged = CopyDamaged(f"the bytes of {blob.digest} are damaged or missing")
        try:
            with self._open(blob.digest) as file:
                if digest_of(file) != blob.digest or file.tell() != blob.size:
                    raise damaged
        except UNREADABLE:
            raise damaged from None
        return blob.size

    def put(self, stores: Stores, blob: BlobFacts) -> int:
        """Put a blob, which was proved, into the store where it belongs; its size."""
        store = stores[stores.chosen(blob.store)]
        return copy_blob(partial(self._open, blob.digest), store, blob.key)

    def _open(self, digest: str) -> BinaryIO:
        return cast("BinaryIO", self._archive.open(f"{BLOBS}/{digest}"))


def _read_all(database: Database) -> None:
    """See to it that every value is of its column's type, of which SQLite itself takes any."""
    with database.read() as db:
        for table in Base.metadata.sorted_tables:
            for _ in db.execute(select(table).execution_options(yield_per=AT_ONCE)):
                pass


def import_organisation(
    database: Database,
    stores: Stores,
    migrations: Iterable[Path],
    path: Path,
    log: Callable[[Session], AuditLog],
    *,
    prove: bool = False,
    tell: Tell = tell_nobody,
) -> Moved:
    """Put an exported organisation into this hub: bytes first, then all rows or none.

    All is proved before anything is put; with `prove` that is all. `log` is the audit in a transaction,
    `tell` is called with 1 for each blob that was proved, and for each that was put. Raises NotACopy,
    CopyDamaged, AlreadyHere, and what stores and databases raise.
    """
    export = Export(path)
    with export.organisation(list(migrations)) as source:
        moved = Moved(source.scalars(select(Organisation.slug)).one(), export.rows)
        if not prove:
            with database.read() as db:
                _refuse_what_is_here(source, db)
        for size in in_parallel(export.prove, _blobs(source)):
            moved.blobs += 1
            moved.size += size
            tell(1)
        if not prove:
            # Only now, so that nothing is left of what is damaged.
            for _ in in_parallel(partial(export.put, stores), _blobs(source)):
                tell(1)
            _insert(source, database, stores, moved, log)
    return moved


def _blobs(source: Session) -> Iterator[BlobFacts]:
    return map(facts_of, source.execute(BLOB_FACTS.execution_options(yield_per=AT_ONCE)))


def _insert(
    source: Session,
    database: Database,
    stores: Stores,
    moved: Moved,
    log: Callable[[Session], AuditLog],
) -> None:
    try:
        with database.write() as db:
            _Insertion(source, db, stores, moved.size).insert_all()
            mine = db.scalars(select(Organisation.id).where(Organisation.slug == moved.slug)).one()
            done = OrganisationImported(moved.slug, moved.rows, moved.blobs, moved.size)
            log(db).record(done, mine)
    except IntegrityError as error:
        raise AlreadyHere(f"something of it is in this hub already: {error.orig}") from None


def _refuse_what_is_here(source: Session, db: Session) -> None:
    """Say in words what a unique constraint would say later. Raises AlreadyHere."""
    new = source.scalars(select(Organisation)).one()
    same = or_(
        Organisation.slug == new.slug, Organisation.name == new.name, Organisation.guid == new.guid
    )
    here = db.scalar(select(Organisation.slug).where(same).limit(1))
    if here is not None:
        raise AlreadyHere(f"the organisation {here} of this hub has the same slug, name or GUID")
    for users in batched(source.scalars(select(User)), AT_ONCE):
        names, guids = [each.username for each in users], [each.guid for each in users]
        taken = or_(User.username.in_(names), User.guid.in_(guids))
        here = db.scalar(select(User.username).where(taken).limit(1))
        if here is not None:
            raise AlreadyHere(f"this hub has a user {here} already")


@cache
def numbered_by(column: Column[Any]) -> Table | None:
    """The table whose `id` a column holds, also if it refers to it by way of others."""
    for foreign_key in column.foreign_keys:
        target = foreign_key.column
        return target.table if target.name == "id" else numbered_by(target)
    # The audit refers to nothing, so that it outlives what it tells of.
    return (
        Base.metadata.tables[Organisation.__tablename__]
        if column.name == "organisation_id"
        else None
    )


class _Insertion:
    """Rows on their way from one database to another, where they get other numbers."""

    def __init__(self, source: Session, target: Session, stores: Stores, size: int) -> None:
        self._source, self._target, self._stores, self._size = source, target, stores, size
        self._numbers: dict[str, dict[int, int]] = defaultdict(dict)

    def insert_all(self) -> None:
        """Every row, parents first."""
        for table in Base.metadata.sorted_tables:
            query = select(table).order_by(*table.primary_key)
            rows = self._source.execute(query.execution_options(yield_per=AT_ONCE)).mappings()
            for some in batched(rows, AT_ONCE):
                self._insert(table, some)

    def _insert(self, table: Table, rows: list[Any]) -> None:
        values = [self._renumbered(table, dict(row)) for row in rows]
        if not is_numbered(table):
            self._target.execute(insert(table), values)
            return
        old = [each.pop("id") for each in values]
        given = insert(table).returning(table.columns["id"], sort_by_parameter_order=True)
        new = self._target.scalars(given, values)
        self._numbers[table.name].update(zip(old, new, strict=True))

    def _renumbered(self, table: Table, row: dict[str, Any]) -> dict[str, Any]:
        for column in table.columns:
            parent, value = numbered_by(column), row[column.name]
            if parent is not None and value is not None:
                if value not in self._numbers[parent.name]:
                    raise CopyDamaged(f"a row of {table.name} is of another organisation")
                row[column.name] = self._numbers[parent.name][value]
        if table.name == Organisation.__tablename__:
            row["stored_bytes"] = self._size
        elif table.name == Blob.__tablename__:
            row["store"] = self._stores.chosen(row["store"])
        return row
