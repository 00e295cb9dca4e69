"""Engines that behave alike: SQLite made as strict as a server, and failures sorted once.

On SQLite the driver's own transaction handling loses updates, so we begin transactions ourselves:
IMMEDIATE for a session that will write (it waits its turn at the start, and cannot fail half-way),
DEFERRED for one that reads (it never blocks a writer).
"""

import sqlite3
from typing import Any

from pyramid_retry import mark_error_retryable
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from hubrepo.kernel.base import Misconfigured

# Serialization failure, deadlock, lock not available, unique violation: a second try may succeed.
_TRANSIENT_STATES = frozenset({"40001", "40P01", "55P03", "23505"})


def make_engine(url: str, busy_timeout: int) -> Engine:
    """An engine for `url`; `busy_timeout` is how many seconds a writer waits for its turn."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError) as error:
        raise Misconfigured(
            "hubrepo.database is not a database URL such as sqlite:////srv/hub.sqlite"
        ) from error
    except ModuleNotFoundError as error:
        raise Misconfigured(f"hubrepo.database needs a driver: pip install {error.name}") from error
    event.listen(engine, "handle_error", _mark_transient)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite(busy_timeout))
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "reset", _reset_sqlite)
    return engine


def is_transient(error: BaseException) -> bool:
    """Whether a second try may succeed: the database was busy, or another writer was first."""
    if isinstance(error, sqlite3.OperationalError):
        return any(word in str(error) for word in ("locked", "busy"))
    return getattr(error, "sqlstate", None) in _TRANSIENT_STATES


def _mark_transient(context: ExceptionContext) -> None:
    if context.sqlalchemy_exception is not None and is_transient(context.original_exception):
        mark_error_retryable(context.sqlalchemy_exception)


def _prepare_sqlite(busy_timeout: int) -> Any:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: in WAL mode, NORMAL may forget acknowledged commits when the power fails.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout * 1000:d}")

    return prepare


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # Cannot fail, and runs on every request: straight to the driver.
        connection.connection.execute("BEGIN DEFERRED")


def _reset_sqlite(connection: sqlite3.Connection, _record: object, _state: object) -> None:
    # A COMMIT that failed leaves its transaction open, and would poison the next user.
    if connection.in_transaction:
        connection.rollback()
