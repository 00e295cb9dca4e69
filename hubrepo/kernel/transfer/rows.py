"""Rows as text: one JSON object a line, the same whichever database they come from and go to.

They are written through the models, and read into whatever tables the database has: so rows that an
older hub wrote are put into the tables of their time, which are then migrated.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Uuid,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Session

from hubrepo.kernel.base import batched, iso_micros

AT_ONCE = 1000

Row = dict[str, Any]


def lines_of(db: Session, query: Select[*tuple[Any, ...]]) -> Iterator[bytes]:
    """Rows, a line each, with the names of their columns."""
    for row in db.execute(query.execution_options(yield_per=AT_ONCE)).mappings():
        yield orjson.dumps({str(key): _plain(value) for key, value in row.items()}) + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso_micros(value)
    if isinstance(value, UUID):
        return value.hex
    return b64encode(value).decode() if isinstance(value, bytes) else value


def load(connection: Connection, table: Table, rows: Iterable[Row]) -> int:
    """Insert plain rows into a table as it was found in the database; how many.

    Raises what values of another type raise: KeyError, TypeError, ValueError, AttributeError.
    """
    readers = {column.name: _reader(column.type) for column in table.columns}
    done = 0
    for some in batched(rows, AT_ONCE):
        values = [{key: readers[key](value) for key, value in row.items()} for row in some]
        connection.execute(insert(table), values)
        done += len(some)
    return done


def _reader(kind: object) -> Callable[[Any], Any]:
    if isinstance(kind, DateTime):
        return lambda text: (
            text and datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
        )
    if isinstance(kind, Uuid):
        return lambda text: text and UUID(text)
    if isinstance(kind, LargeBinary):
        return lambda text: None if text is None else b64decode(text)
    return lambda value: value


def tables_found(connection: Connection) -> Mapping[str, Table]:
    """The tables that the database has, in the order in which they can be filled."""
    found = MetaData()
    found.reflect(connection)
    return {table.name: table for table in found.sorted_tables}


def is_numbered(table: Table) -> bool:
    """Whether its rows have an `id` that the database gives out."""
    return "id" in table.columns and isinstance(table.columns["id"].type, Integer)


def last_id(connection: Connection, table: Table) -> int:
    """The highest `id` that was ever given out, also if its row is gone."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return connection.scalar(query, {"name": table.name}) or 0
    sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, "id")))
    query = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")  # noqa: S608
    return connection.scalar(query) or 0


def set_last_id(connection: Connection, table: Table, number: int) -> None:
    """Give out no `id` up to `number` any more."""
    if not number:
        return
    if connection.dialect.name == "sqlite":
        values = {"name": table.name, "seq": number}
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :seq)"), values)
    else:
        sequence = func.pg_get_serial_sequence(table.name, "id")
        connection.execute(select(func.setval(sequence, number)))
