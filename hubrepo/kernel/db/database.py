"""The database of one hub, and how code comes by a session of it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Executable, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, sessionmaker

from hubrepo.kernel.base import setting
from hubrepo.kernel.db.engine import make_engine
from hubrepo.kernel.db.patience import Patience
from hubrepo.kernel.db.rows import DataVersion, Memory, RememberedRows, unknown_state
from hubrepo.kernel.db.types import Base


@dataclass(frozen=True)
class DatabaseSettings:
    """Which database keeps the rows."""

    database: str = setting(
        help="URL of the database: `sqlite:////srv/hub.sqlite`, or `postgresql://user:password@host/name`."
    )
    database_busy_timeout: int = setting(
        4,
        minimum=1,
        help="Seconds that a request waits for its turn to write, or for rows that others are writing, "
        "before the answer is 503. It holds on SQLite and on PostgreSQL.",
    )
    database_connections: int = setting(
        20,
        minimum=2,
        help="Connections to the database that a process has at most: two for each of the server's "
        "threads, and some. PostgreSQL's `max_connections` must allow them for every process.",
    )
    migrate_on_start: bool = setting(
        False, help="Bring the database up to date at start instead of refusing to start."
    )


class Database:
    """An engine and its two kinds of session: those that only read, and those that may write."""

    def __init__(self, url: str, busy_timeout: int = 4, connections: int = 20) -> None:
        self.engine = make_engine(url, busy_timeout, connections)
        self.busy_timeout = busy_timeout
        self.reading = sessionmaker(self.engine)
        self.writing = sessionmaker(self.engine.execution_options(writes=True))
        # On SQLite writers wait at the beginning, for the right to write, and never again.
        self._waits_once = self.engine.dialect.name == "sqlite"
        path = self.engine.url.database
        on_disk = self._waits_once and path and path != ":memory:"
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

    def patient(self, patience: Patience) -> Session:
        """A session for writing whose waits, with those of others that share `patience`, are one."""
        if self._waits_once:
            return self.writing()
        return self.writing(bind=self.engine.execution_options(writes=True, patience=patience))

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

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session that reads all rows as they were at one moment."""
        level = {} if self._waits_once else {"isolation_level": "REPEATABLE READ"}
        with Session(self.engine.execution_options(**level)) as session:
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
    if db.get_bind().dialect.name == "sqlite":
        insert = sqlite.insert(model).values(**values).on_conflict_do_nothing()
        # RETURNING would make SQLite look at every table that may refer to the row.
        return bool(db.execute(insert).rowcount)  # type: ignore[attr-defined]
    # SQLAlchemy counts no rows where the database makes the key.
    return db.scalar(_insert_on_a_server(model, values)) is not None


def _insert_on_a_server(model: type[Base], values: Mapping[str, object]) -> Executable:
    insert = postgresql.insert(model).values(**values).on_conflict_do_nothing()
    return insert.returning(literal_column("1"))
