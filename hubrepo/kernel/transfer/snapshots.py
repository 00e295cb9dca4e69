"""What backups and exports have in common: all rows of one moment, and the bytes that they tell of."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from sqlalchemy import Select, Table
from sqlalchemy.orm import Session

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs import BlobFacts, BlobMissing, Stores, facts_of
from hubrepo.kernel.db import Database, upgrade
from hubrepo.kernel.transfer.errors import NotACopy
from hubrepo.kernel.transfer.manifests import Manifest, Rows, TableFacts
from hubrepo.kernel.transfer.rows import AT_ONCE, lines_of

# What is left out: it means something only to the processes that run.
LEFT_OUT = frozenset({"blobs_hold", "security_failure_count"})

OpenPart = Callable[[str], AbstractContextManager[BinaryIO]]


def write_rows(
    db: Session,
    tables: Iterable[tuple[Table, Select[*tuple[Any, ...]]]],
    open_part: OpenPart,
) -> dict[str, TableFacts]:
    """Write the rows of each table that its query chooses to the part that has its name."""
    facts = {}
    for table, query in tables:
        with open_part(table.name) as file:
            rows = lines_of(db, query.order_by(*table.primary_key))
            facts[str(table.name)] = Rows().write(rows, file).facts()
    return facts


def write_blobs(db: Session, query: Select[*tuple[Any, ...]], file: BinaryIO) -> TableFacts:
    """Write which blobs there are, a line each; `query` is made of BLOB_FACTS."""
    found = db.execute(query.execution_options(yield_per=AT_ONCE))
    lines = (orjson.dumps(facts_of(row)._asdict()) + b"\n" for row in found)
    return Rows().write(lines, file).facts()


def upgrade_as(database: Database, migrations: Iterable[Path], manifest: Manifest) -> None:
    """Make the tables that the rows of a copy were written from. Raises NotACopy."""
    try:
        upgrade(database, migrations, manifest.heads)
    except Misconfigured:
        raise NotACopy("it was made by a newer hub, or by one with other features") from None


def open_anywhere(stores: Stores, blob: BlobFacts) -> BinaryIO:
    """The bytes of a blob, also if it has moved to another store since its row was read.

    Raises BlobMissing.
    """
    try:
        return stores[blob.store].open(blob.key)
    except BlobMissing:
        for _, store in stores:
            if store is not stores[blob.store]:
                try:
                    return store.open(blob.key)
                except BlobMissing:
                    continue
        raise
