"""Engines that behave alike: each as strict as the other, and no wait without an end.

On SQLite the driver's own transaction handling loses updates, so we begin transactions ourselves:
IMMEDIATE for a session that will write (it waits its turn at the start, in the line of its process,
and cannot fail half-way), DEFERRED for one that reads (it never blocks a writer). On PostgreSQL
writers wait for locks on rows; a connection that broke is found out before it is used.
"""

import sqlite3
from contextlib import closing
from time import monotonic, sleep
from typing import Any

from pyramid_retry import mark_error_retryable
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.db.failures import is_lost_race
from hubrepo.kernel.db.patience import LEAST, Patience
from hubrepo.kernel.db.turns import Turns

# Seconds until a wait for one of the pool's connections, or for a new one, is given up.
POOL_TIMEOUT = 4
CONNECT_TIMEOUT = 3

# Seconds for which others may be switching the same new file to WAL.
_SWITCHING_LASTS = 2

# What a connection that has its turn to write is marked with.
_HAS_TURN = "has_turn"

# Seconds and counts after which the other end of a connection is taken for gone: nothing else tells
# of a machine that lost its power.
_KEEP_ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 4000,
}


def make_engine(url: str, busy_timeout: int, connections: int) -> Engine:
    """An engine for `url`, with at most so many `connections`.

    `busy_timeout` is how many seconds a writer waits for its turn. Raises Misconfigured, whose
    message does not repeat the URL: it may hold a password.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, **_options(parsed, busy_timeout, connections))
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise Misconfigured(
            "hubrepo.database is not a database URL such as sqlite:////srv/hub.sqlite"
        ) from None
    except ModuleNotFoundError as error:
        raise Misconfigured(f"hubrepo.database needs a driver: pip install {error.name}") from error
    event.listen(engine, "handle_error", _mark_lost_races)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite(busy_timeout))
        _take_turns(engine, busy_timeout)
        event.listen(engine, "reset", _reset_sqlite)
    else:
        _forgive_lost_rollbacks(engine)
        event.listen(engine, "reset", _reset_postgresql)
        event.listen(engine, "begin", _begin_patiently)
        event.listen(engine, "before_cursor_execute", _before_statement)
        event.listen(engine, "after_cursor_execute", _after_statement)
    return engine


def _options(url: URL, busy_timeout: int, connections: int) -> dict[str, Any]:
    """What SQLAlchemy and the driver are told."""
    if url.get_backend_name() == "sqlite":
        if url.database in {None, "", ":memory:"}:
            return {}
        return {"pool_size": connections, "max_overflow": 0, "pool_timeout": POOL_TIMEOUT}
    ours = {**_KEEP_ALIVE, "connect_timeout": CONNECT_TIMEOUT, "application_name": "hubrepo"}
    return {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": POOL_TIMEOUT,
        "pool_pre_ping": True,
        "pool_use_lifo": True,
        "connect_args": {
            # What the URL says for itself counts.
            **{name: value for name, value in ours.items() if name not in url.query},
            "options": f"-c lock_timeout={busy_timeout}s {url.query.get('options', '')}",
        },
    }


def _mark_lost_races(context: ExceptionContext) -> None:
    """Let the request be tried again, unless it has waited too long for that."""
    error, patience = context.sqlalchemy_exception, None
    if context.connection is not None:
        patience = _patience_of(context.connection)
        if patience is not None and context.execution_context is not None:
            patience.took(monotonic() - context.execution_context.began)  # type: ignore[attr-defined]
    if error is None or not is_lost_race(context.original_exception):
        return
    if patience is None or patience.is_enough_for_another_try:
        mark_error_retryable(error)


def _patience_of(connection: Connection) -> Patience | None:
    found: Patience | None = connection.get_execution_options().get("patience")
    return found


def _begin_patiently(connection: Connection) -> None:
    patience = _patience_of(connection)
    if patience is not None and patience.is_strained:
        _shorten_waits(connection, patience)


def _before_statement(
    connection: Connection, _cursor: object, _text: str, _values: object, context: Any, _many: bool
) -> None:
    if _patience_of(connection) is not None:
        context.began = monotonic()


def _after_statement(
    connection: Connection, _cursor: object, _text: str, _values: object, context: Any, _many: bool
) -> None:
    patience = _patience_of(connection)
    if patience is not None and patience.took(monotonic() - context.began):
        _shorten_waits(connection, patience)


def _shorten_waits(connection: Connection, patience: Patience) -> None:
    # Straight to the driver: this is no statement of anybody's.
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {patience.left * 1000:.0f}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch a file to WAL, if it is not.

    Of several that switch a new file at one moment SQLite refuses all but one, without waiting.
    """
    until = monotonic() + _SWITCHING_LASTS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if monotonic() >= until:
                raise
            sleep(0.01)
        else:
            return


def _prepare_sqlite(busy_timeout: int) -> Any:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        _use_wal(connection)
        # FULL: in WAL mode, NORMAL may forget acknowledged commits when the power fails.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _wait_at_most(connection, busy_timeout)

    return prepare


def _wait_at_most(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def _take_turns(engine: Engine, busy_timeout: int) -> None:
    """Begin transactions: those that write have their turn until the connection is back in the pool."""
    turns = Turns()

    def begin(connection: Connection) -> None:
        driver: Any = connection.connection
        if not connection.get_execution_options().get("writes", False):
            # Cannot fail, and runs on every request: straight to the driver.
            driver.execute("BEGIN DEFERRED")
            return
        began, marks = monotonic(), driver.record_info
        marks[_HAS_TURN] = marks.get(_HAS_TURN) or turns.take(busy_timeout)
        # Other processes are not in the line; and whoever's turn did not come hears it from SQLite.
        _wait_at_most(driver, max(LEAST, busy_timeout - (monotonic() - began)))
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            if driver.is_valid:  # It is not after Ctrl-C.
                _wait_at_most(driver, busy_timeout)

    def give_back(_connection: object, record: Any) -> None:
        if record.record_info.pop(_HAS_TURN, False):
            turns.pass_on()

    event.listen(engine, "begin", begin)
    event.listen(engine, "checkin", give_back)


def _reset_sqlite(connection: sqlite3.Connection, _record: object, _state: object) -> None:
    # A COMMIT that failed leaves its transaction open, and would poison the next user.
    if connection.in_transaction:
        connection.rollback()


def _reset_postgresql(connection: Any, _record: object, _state: object) -> None:
    # As above: where COMMIT never reached the server, SQLAlchemy thinks that all is done.
    if not connection.closed and connection.info.transaction_status:
        connection.rollback()


def _forgive_lost_rollbacks(engine: Engine) -> None:
    """A transaction whose connection is lost was rolled back: to be told so helps nobody.

    Who has read all that there was to read would get an error for it. The pool finds out that the
    connection is closed before it gives it to anybody.
    """
    dialect: Any = engine.dialect
    roll_back = dialect.do_rollback

    def do_rollback(connection: Any) -> None:
        try:
            roll_back(connection)
        except dialect.dbapi.OperationalError:
            if not connection.closed:
                raise

    dialect.do_rollback = do_rollback
