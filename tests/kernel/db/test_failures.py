"""What a failing database is answered with, by the number of its error."""

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, TimeoutError  # noqa: A004

from hubrepo.kernel.db.failures import failure_of, is_lost_race
from hubrepo.kernel.db.patience import LEAST, Patience

STATES = [
    ("08006", 503), ("25006", 503), ("28P01", 503), ("3D000", 503), ("40001", 503), ("40P01", 503),
    ("53100", 507), ("53200", 503), ("53300", 503), ("55P03", 503), ("57014", 503), ("57P01", 503),
    ("57P02", 503), ("57P03", 503), ("58030", 503), ("23505", 503),
    ("22P02", None), ("23503", None), ("25P02", None), ("42P01", None), ("XX001", None),
]  # fmt: skip
CODES = [
    (sqlite3.SQLITE_BUSY, 503), (sqlite3.SQLITE_BUSY_SNAPSHOT, 503), (sqlite3.SQLITE_LOCKED, 503),
    (sqlite3.SQLITE_FULL, 507), (sqlite3.SQLITE_IOERR_WRITE, 503), (sqlite3.SQLITE_READONLY, 503),
    (sqlite3.SQLITE_CANTOPEN, 503), (sqlite3.SQLITE_ERROR, None), (sqlite3.SQLITE_MISUSE, None),
]  # fmt: skip


def answered(error):
    """The status, and whether the answer says when to come back."""
    answer = failure_of(error)
    return None if answer is None else (answer.status, "Retry-After" in answer.headers)


def expected(status):
    return None if status is None else (status, status == 503)


def test_what_postgresql_says():
    for state, status in STATES:
        error = DBAPIError("SELECT", {}, psycopg.errors.lookup(state)("injected"))
        assert answered(error) == expected(status), state


def test_what_sqlite_says():
    for code, status in CODES:
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = code
        for each in (error, OperationalError("SELECT", {}, error)):
            assert answered(each) == expected(status), code


def test_what_has_no_number():
    for error, status in [
        (OperationalError("", {}, psycopg.OperationalError("connection refused")), 503),
        (OperationalError("", {}, psycopg.errors.ConnectionTimeout("too late")), 503),
        (DBAPIError("", {}, psycopg.InterfaceError("closed"), connection_invalidated=True), 503),
        (TimeoutError("the pool has none left"), 503),
        (ProgrammingError("", {}, psycopg.ProgrammingError("a defect")), None),
        (OperationalError("", {}, sqlite3.OperationalError("of no number")), None),
    ]:
        assert answered(error) == expected(status), error


def test_only_who_lost_a_race_is_to_try_again():
    lost = {state for state, _ in STATES if is_lost_race(psycopg.errors.lookup(state)("injected"))}
    assert lost == {"23505", "40001", "40P01"}
    assert not is_lost_race(sqlite3.OperationalError("database is locked"))


def test_waits_of_one_request_are_one():
    patience = Patience(4)
    assert not patience.took(0.01)
    assert not patience.is_strained
    assert patience.took(2.5)
    assert (patience.left, patience.is_enough_for_another_try) == (1.5, True)
    assert patience.took(3)
    assert (patience.left, patience.is_enough_for_another_try) == (LEAST, False)
