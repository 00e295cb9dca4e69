"""The database of one hub, and how code comes by a session of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, sessionmaker

from hubrepo.kernel.base import setting
from hubrepo.kernel.db.engine import make_engine
from hubrepo.kernel.db.rows import DataVersion, Memory, RememberedRows, unknown_state
from hubrepo.kernel.db.types import Base


@dataclass(frozen=True)
class DatabaseSettings:
    """Which database keeps the rows."""

    database: str = setting(
        help="URL of the database: `sqlite:////srv/hub.sqlite`, or `postgresql://user:password@host/name`."
    )
    database_busy_timeout: int = setting(
        5, minimum=1, help="Seconds a writer waits for its turn on SQLite before the answer is 503."
    )
    migrate_on_start: bool = setting(
        False, help="Bring the database up to date at start instead of refusing to start."
    )


class Database:
    """An engine and its two kinds of session: those that only read, and those that may write."""

    def __init__(self, url: str, busy_timeout: int = 5) -> None:
        self.engine = make_engine(url, busy_timeout)
        self.reading = sessionmaker(self.engine)
        self.writing = sessionmaker(self.engine.execution_options(writes=True))
        path = self.engine.url.database
        on_disk = self.engine.dialect.name == "sqlite" and path and path != ":memory:"
        self._path = Path(path) if on_disk and path else None
        self._threads = threading.local()

    def rows(self) -> RememberedRows:
        """For reading plain values; the caller closes it."""
        memory: Memory | None = getattr(self._threads, "memory", None)
        if memory is None:
            memory = Memory(DataVersion(str(self._path)) if self._path else unknown_state)
            self._threads.memory = memory
        return RememberedRows(self.engine, memory)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self._threads = threading.local()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading, closed at the end."""
        with self.reading() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in a transaction of its own: committed at the end, rolled back on an error."""
        with self.writing.begin() as session:
            yield session

    def ping(self) -> None:
        """Raises when the database does not answer."""
        with self.read() as session:
            session.scalar(select(1))

    def make_folder(self) -> None:
        """Make the folder a SQLite file is to lie in."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)


def insert_if_absent(db: Session, model: type[Base], **values: object) -> bool:
    """Insert a row unless a unique constraint has it already; whether it was inserted.

    Of two transactions that insert the same row the second waits for the first to end.
    """
    insert = sqlite.insert if db.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(model).values(**values).on_conflict_do_nothing()
    return bool(db.execute(statement).rowcount)  # type: ignore[attr-defined]
