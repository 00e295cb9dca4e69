"""Rows: the engine, the session of a request, column types and migrations.

`request.db` is a session, for changing rows as objects. `request.rows` reads rows as plain values,
which costs a third of it, or next to nothing while nobody changes them. Both are made at first
touch. For a safe method they only read; for the others they join the request's transaction and hold
the right to write, so what can be done before is done before: parsing, checking, copying bytes.
"""

import logging
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from zope.sqlalchemy import register

from hubrepo.kernel.base import HubError, one_line
from hubrepo.kernel.db.afterwards import Afterwards
from hubrepo.kernel.db.database import Database, DatabaseSettings, insert_if_absent
from hubrepo.kernel.db.failures import DatabaseBusy, failure_of
from hubrepo.kernel.db.integrity import dangling
from hubrepo.kernel.db.migrations import heads_of, is_current, upgrade
from hubrepo.kernel.db.patience import Patience
from hubrepo.kernel.db.rows import RememberedRows, Rows
from hubrepo.kernel.db.types import Base, Guid, Id, Instant, name_type

log = logging.getLogger(__name__)

__all__ = [
    "Afterwards",
    "Base",
    "Database",
    "DatabaseSettings",
    "Guid",
    "Id",
    "Instant",
    "Rows",
    "dangling",
    "failure_of",
    "heads_of",
    "insert_if_absent",
    "is_current",
    "name_type",
    "upgrade",
]


def session_of(request: Any) -> Session:
    """`request.db` (see the module)."""
    database: Database = request.registry.database
    if request.is_safe:
        session = database.reading()
        request.add_finished_callback(lambda _: session.close())
        return session
    # One for all tries of a request.
    patience = request.environ.setdefault("hubrepo.patience", Patience(database.busy_timeout))
    session = database.patient(patience)
    register(session, transaction_manager=request.tm)
    return session


def rows_of(request: Any) -> Rows:
    """`request.rows` (see the module)."""
    if not request.is_safe:
        return Rows(request.db.connection())
    rows: RememberedRows = request.registry.database.rows()
    request.add_finished_callback(lambda _: rows.close())
    return rows


def answer_to(error: Exception) -> HubError | None:
    """The answer to a database that fails; None for what is a defect of ours. Operators are told why."""
    answer = failure_of(error)
    if answer is not None and not isinstance(answer, DatabaseBusy):
        log.warning("%s: %s", answer.code, one_line(str(getattr(error, "orig", error))))
    return answer


def add_migrations(config: Any, folder: Path) -> None:
    """Directive: `folder` holds one branch of migrations."""
    folders = config.registry.migrations
    config.action(("migrations", str(folder)), lambda: folders.append(folder), order=-1)


def includeme(config: Any) -> None:
    """Make the database of this hub."""
    settings = config.add_section(DatabaseSettings, "hubrepo")
    config.registry.migrations = []
    config.registry.migrate_on_start = settings.migrate_on_start
    config.registry.database = Database(
        settings.database, settings.database_busy_timeout, settings.database_connections
    )
    config.registry.afterwards = Afterwards(config.registry.database)
    config.add_directive("add_migrations", add_migrations)
    config.add_migrations(Path(__file__).parent / "migrations" / "versions")
    config.add_request_method(session_of, "db", reify=True)
    config.add_request_method(rows_of, "rows", reify=True)
    config.add_error_translation(SQLAlchemyError, answer_to)
    # Some of what every request does goes straight to the driver.
    config.add_error_translation(sqlite3.Error, answer_to)
    config.add_health_check("database", config.registry.database.ping)
