"""Reading rows as plain values, and not reading again what nobody has changed.

Most requests read what the request before them read: a key, and a package. SQLite tells for the
price of a function call whether anybody, in any process, has committed since it was last asked
(`PRAGMA data_version`). As long as nobody has, what was read then is what would be read now, to the
last bit; so it is remembered, and one commit forgets it all. Servers have nothing as cheap: there,
everything is read when it is asked for.
"""

import sqlite3
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select

# A remembered result has at most so many rows and characters, and so many are remembered at once.
MOST_ROWS = 64
MOST_TEXT = 16 * 1024
MOST_RESULTS = 1024

NO_VALUES: Mapping[str, Hashable] = {}


class Rows:
    """Reads over a connection that somebody else opened."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(
        self, statement: Select[*tuple[Any, ...]], values: Mapping[str, Hashable] = NO_VALUES
    ) -> Sequence[Any]:
        """All rows of `statement`, put together once, with these `values` of its parameters."""
        return self._connection.execute(statement, values).all()

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
        self._held: tuple[object, dict[Hashable, Sequence[Any]]] = (None, {})

    def get(self, state: object, key: Hashable) -> Sequence[Any] | None:
        """What was read under `key` in `state`, if it is known."""
        held, results = self._held
        return results.get(key) if held == state else None

    def put(self, state: object, key: Hashable, rows: Sequence[Any]) -> None:
        """Remember `rows`, unless they are many or long."""
        held, results = self._held
        if held != state or len(results) >= MOST_RESULTS:
            self._held = (state, results) = (state, {})
        if len(rows) <= MOST_ROWS and _length(rows) <= MOST_TEXT:
            results[key] = rows


def _length(rows: Sequence[Any]) -> int:
    return sum(len(cell) for row in rows for cell in row if isinstance(cell, str))


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

    def all(
        self, statement: Select[*tuple[Any, ...]], values: Mapping[str, Hashable] = NO_VALUES
    ) -> Sequence[Any]:
        """All rows of `statement`."""
        if self._state is None:
            return self.connection.execute(statement, values).all()
        key = (statement, *values.values())
        rows = self._memory.get(self._state, key)
        if rows is None:
            rows = self.connection.execute(statement, values).all()
            self._memory.put(self._state, key, rows)
        return rows

    def close(self) -> None:
        """Give the connection back."""
        if self._opened is not None:
            self._opened.close()


class DataVersion:
    """The state of a SQLite file, as a connection sees it that never writes itself."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def __call__(self) -> object:
        """A number that stays the same as long as nobody commits."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    def __del__(self) -> None:
        """Close the connection: the thread that it belonged to has ended."""
        self._connection.close()


def unknown_state() -> None:
    """The state of a database that cannot tell it: nothing is remembered."""
