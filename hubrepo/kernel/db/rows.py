"""Reading rows as plain values, and not reading again what nobody has changed.

Most requests read what the request before them read: a key, and a package. SQLite tells for the
price of a function call whether anybody, in any process, has committed since it was last asked
(`PRAGMA data_version`). As long as nobody has, what was read then is what would be read now, to the
last bit; so it is remembered, and one commit forgets it all. Servers have nothing as cheap: there,
everything is read when it is asked for.
"""

import sqlite3
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Select

# A remembered result has at most so many rows and characters, what it is remembered by has at most so
# many, for strangers may choose that; and so many are remembered at once.
MOST_ROWS = 64
MOST_KEY = 2 * 1024
MOST_TEXT = 16 * 1024
MOST_RESULTS = 1024

UNKNOWN = object()
NO_VALUES: Mapping[str, Hashable] = {}


Made = TypeVar("Made")


def as_they_are(rows: Sequence[Any]) -> Sequence[Any]:
    """The rows themselves."""
    return rows


class Rows:
    """Reads over a connection that somebody else opened."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(
        self,
        statement: Select[*tuple[Any, ...]],
        values: Mapping[str, Hashable],
        make: Callable[[Sequence[Any]], Made],
    ) -> Made:
        """What `make` makes of all rows of `statement`, put together once, with these `values`.

        It may be kept and given to others: `make` makes nothing that can be changed, always of the
        same statement the same.
        """
        return make(self._connection.execute(statement, values).all())

    def all(
        self, statement: Select[*tuple[Any, ...]], values: Mapping[str, Hashable] = NO_VALUES
    ) -> Sequence[Any]:
        """All rows."""
        return self.read(statement, values, as_they_are)

    def first(
        self, statement: Select[*tuple[Any, ...]], values: Mapping[str, Hashable] = NO_VALUES
    ) -> Any:
        """The first row, or None."""
        rows = self.all(statement, values)
        return rows[0] if rows else None


class Memory:
    """What a thread read in one state of the database. Another state begins an empty one.

    Each thread has its own: to wait for one another would cost more than all the rest.
    """

    def __init__(self, state: Callable[[], object]) -> None:
        self.state = state
        self._held: tuple[object, dict[Hashable, Any]] = (None, {})

    def get(self, state: object, key: Hashable) -> Any:
        """What was kept under `key` in `state`, or UNKNOWN."""
        held, results = self._held
        return results.get(key, UNKNOWN) if held == state else UNKNOWN

    def put(self, state: object, key: Hashable, made: object, rows: Sequence[Any]) -> None:
        """Keep what was made of `rows`, unless they are many or long."""
        held, results = self._held
        if held != state or len(results) >= MOST_RESULTS:
            self._held = (state, results) = (state, {})
        if len(rows) <= MOST_ROWS and _length(rows) <= MOST_TEXT and _weight(key) <= MOST_KEY:
            results[key] = made


def _length(rows: Sequence[Any]) -> int:
    return sum(len(cell) for row in rows for cell in row if isinstance(cell, str))


def _weight(key: Hashable) -> int:
    """The characters in a text, or in texts within tuples."""
    if isinstance(key, str):
        return len(key)
    return sum(map(_weight, key)) if isinstance(key, tuple) else 0


class RememberedRows(Rows):
    """The reads of one request: from memory, or over a connection that is opened when it must be.

    The state is asked for once, before anything is read, so what is remembered for it is never older.
    """

    def __init__(self, engine: Engine, memory: Memory) -> None:
        self._engine, self._memory = engine, memory
        self._state = memory.state()
        self._opened: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The connection, opened at first touch: a snapshot from then on."""
        if self._opened is None:
            self._opened = self._engine.connect()
        return self._opened

    def read(
        self,
        statement: Select[*tuple[Any, ...]],
        values: Mapping[str, Hashable],
        make: Callable[[Sequence[Any]], Made],
    ) -> Made:
        """What `make` makes of all rows of `statement`."""
        if self._state is None:
            return make(self.connection.execute(statement, values).all())
        key = (statement, *values.values())
        made = self._memory.get(self._state, key)
        if made is UNKNOWN:
            rows = self.connection.execute(statement, values).all()
            made = make(rows)
            self._memory.put(self._state, key, made, rows)
        return made  # type: ignore[no-any-return]

    def close(self) -> None:
        """Give the connection back."""
        if self._opened is not None:
            self._opened.close()


class DataVersion:
    """The state of a SQLite file, as a connection sees it that never writes itself."""

    _connection: sqlite3.Connection | None = None

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def __call__(self) -> object:
        """A number that stays the same as long as nobody commits."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0]  # type: ignore[union-attr]

    def __del__(self) -> None:
        """Close the connection: the thread that it belonged to has ended."""
        if self._connection is not None:
            self._connection.close()


def unknown_state() -> None:
    """The state of a database that cannot tell it: nothing is remembered."""
