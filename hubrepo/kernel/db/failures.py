"""What a failing database means: for whoever asked, and for whether to try again.

Judged by the numbers that databases give to their errors, for texts are translated and rephrased.
Whatever is not listed here is a defect of ours.
"""

import sqlite3

from sqlalchemy.exc import DBAPIError, TimeoutError  # noqa: A004

from hubrepo.kernel.base import HubError, Unavailable

RETRY_AFTER = {"Retry-After": "1"}

# PostgreSQL: serialization failure, deadlock, unique violation. Somebody else was first.
_LOST_RACES = frozenset({"40001", "40P01", "23505"})
# Lock not available, query cancelled; and the whole class of rollbacks.
_BUSY_STATES = ("55P03", "57014", "23505", "40")
_FULL_STATES = ("53100",)
# Connections, who may connect, to what; resources, interventions of an operator, the system, a
# transaction that may only read.
_AWAY_STATES = ("08", "28", "3D", "53", "57", "58", "25006")

_BUSY_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_AWAY_CODES = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


class DatabaseBusy(Unavailable):
    """Others were there first, and still are."""

    code = "database-busy"
    message = "the database is busy, try again"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or cannot write."""

    code = "database-unavailable"
    message = "the database is not available, try again"


class DatabaseFull(HubError):
    """There is no room left for rows."""

    status = 507
    code = "database-full"
    message = "the database is full"


def is_lost_race(error: BaseException) -> bool:
    """Whether another writer was first, and a second try would see what it wrote.

    Not what has waited as long as it may: it would only wait again. Not a connection that broke: it may
    have committed.
    """
    return getattr(error, "sqlstate", None) in _LOST_RACES


def failure_of(error: Exception) -> HubError | None:
    """The answer to an error of SQLAlchemy or of a driver; None for what is a defect of ours."""
    if isinstance(error, TimeoutError):
        return DatabaseBusy(headers=RETRY_AFTER)
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return DatabaseUnavailable(headers=RETRY_AFTER)
        if error.orig is None:
            return None
        return _failure_of_driver(error.orig)
    return _failure_of_driver(error)


def _failure_of_driver(error: BaseException) -> HubError | None:
    if isinstance(error, sqlite3.Error):
        return _failure_of_sqlite(error)
    state = getattr(error, "sqlstate", None)
    if state is None:
        # What is said of a connection that cannot be made, or is lost, has no number. The driver
        # may not be installed, so its class goes by its name.
        names = {each.__name__ for each in type(error).__mro__}
        return DatabaseUnavailable(headers=RETRY_AFTER) if "OperationalError" in names else None
    if state.startswith(_FULL_STATES):
        return DatabaseFull()
    if state.startswith(_BUSY_STATES):
        return DatabaseBusy(headers=RETRY_AFTER)
    return DatabaseUnavailable(headers=RETRY_AFTER) if state.startswith(_AWAY_STATES) else None


def _failure_of_sqlite(error: sqlite3.Error) -> HubError | None:
    # The lowest byte is the kind; what is above it tells more of the same.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _BUSY_CODES:
        return DatabaseBusy(headers=RETRY_AFTER)
    if code == sqlite3.SQLITE_FULL:
        return DatabaseFull()
    return DatabaseUnavailable(headers=RETRY_AFTER) if code in _AWAY_CODES else None
