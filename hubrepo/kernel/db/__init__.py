"""Rows: the engine, the session of a request, column types and migrations.

`request.db` is a session, for changing rows as objects. `request.rows` reads rows as plain values,
which costs a third of it, or next to nothing while nobody changes them. Both are made at first
touch. For a safe method they only read; for the others they join the request's transaction and hold
the right to write, so what can be done before is done before: parsing, checking, copying bytes.
"""

from pathlib import Path
from typing import Any

from pyramid_retry import IRetryableError
from sqlalchemy.exc import OperationalError, SQLAlchemyError, TimeoutError  # noqa: A004
from sqlalchemy.orm import Session
from zope.sqlalchemy import register

from hubrepo.kernel.base import HubError, Unavailable
from hubrepo.kernel.db.afterwards import Afterwards
from hubrepo.kernel.db.database import Database, DatabaseSettings, insert_if_absent
from hubrepo.kernel.db.migrations import is_current, upgrade
from hubrepo.kernel.db.rows import RememberedRows, Rows
from hubrepo.kernel.db.types import Base, Guid, Id, Instant, name_type

__all__ = [
    "Base",
    "Database",
    "DatabaseSettings",
    "Guid",
    "Id",
    "Instant",
    "Rows",
    "insert_if_absent",
    "is_current",
    "name_type",
    "upgrade",
]

RETRY_AFTER = {"Retry-After": "1"}


def session_of(request: Any) -> Session:
    """`request.db` (see the module)."""
    database: Database = request.registry.database
    if request.is_safe:
        session = database.reading()
        request.add_finished_callback(lambda _: session.close())
        return session
    session = database.writing()
    register(session, transaction_manager=request.tm)
    return session


def rows_of(request: Any) -> Rows:
    """`request.rows` (see the module)."""
    if not request.is_safe:
        return Rows(request.db.connection())
    rows: RememberedRows = request.registry.database.rows()
    request.add_finished_callback(lambda _: rows.close())
    return rows


def _busy_or_bug(error: SQLAlchemyError) -> HubError | None:
    """The answer to a database that is busy or away; None for what is a defect of ours."""
    if isinstance(error, OperationalError | TimeoutError) or IRetryableError.providedBy(error):
        return Unavailable("the database is busy, try again", headers=RETRY_AFTER)
    return None


def add_migrations(config: Any, folder: Path) -> None:
    """Directive: `folder` holds one branch of migrations."""
    folders = config.registry.migrations
    config.action(("migrations", str(folder)), lambda: folders.append(folder), order=-1)


def includeme(config: Any) -> None:
    """Make the database of this hub."""
    settings = config.add_section(DatabaseSettings, "hubrepo")
    config.registry.migrations = []
    config.registry.migrate_on_start = settings.migrate_on_start
    config.registry.database = Database(settings.database, settings.database_busy_timeout)
    config.registry.afterwards = Afterwards(config.registry.database)
    config.add_directive("add_migrations", add_migrations)
    config.add_migrations(Path(__file__).parent / "migrations" / "versions")
    config.add_request_method(session_of, "db", reify=True)
    config.add_request_method(rows_of, "rows", reify=True)
    config.add_error_translation(SQLAlchemyError, _busy_or_bug)
    config.add_health_check("database", config.registry.database.ping)
