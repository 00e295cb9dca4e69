"""What is remembered is never older than what is asked for."""

import pytest
from sqlalchemy import bindparam, delete, event, select

from hubrepo.kernel.accounts import User
from hubrepo.kernel.base import now
from hubrepo.kernel.db import Database, insert_if_absent
from hubrepo.kernel.db.rows import MOST_KEY, MOST_RESULTS, MOST_ROWS, UNKNOWN, Memory
from tests.support.races import at_once

NAMES = select(User.username).where(User.username >= bindparam("least")).order_by(User.username)


def statements(database):
    """The SQL that reaches the database from now on."""
    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


def names(database, least=""):
    rows = database.rows()
    try:
        return [row.username for row in rows.all(NAMES, {"least": least})]
    finally:
        rows.close()


def add(database, name):
    with database.write() as db:
        insert_if_absent(db, User, username=name, created_at=now(), active=True)


@pytest.mark.parametrize(("url", "times"), [("sqlite", 1), ("postgresql", 5)], indirect=["url"])
def test_what_nobody_changed_is_read_once_where_it_is_cheap_to_know(database, url, times):
    add(database, "alice")
    seen = statements(database)
    assert [names(database) for _ in range(5)] == [["alice"]] * 5
    assert len([each for each in seen if each.startswith("SELECT")]) == times


def test_other_values_are_another_question(database):
    add(database, "alice")
    assert (names(database, "a"), names(database, "b")) == (["alice"], [])


def test_a_commit_is_seen_by_the_next_read_and_a_rollback_changes_nothing(database, url):
    for number in range(3):
        add(database, f"{number}")
        assert len(names(database)) == number + 1
    other = Database(url)
    with other.write() as db:
        db.execute(delete(User).where(User.username != "0"))
    other.close()
    assert names(database) == ["0"], "as of another process"
    with database.writing() as db:
        insert_if_absent(db, User, username="bob", created_at=now(), active=True)
        db.rollback()
    assert names(database) == ["0"]


def test_readers_beside_a_writer_never_see_less_than_was_committed(database):
    committed = 0
    behind = []

    def write() -> None:
        nonlocal committed
        for number in range(30):
            add(database, f"{number:03}")
            committed = number + 1

    def read() -> None:
        while committed < 30:
            least = committed
            if len(seen := names(database)) < least:
                behind.append((least, seen))

    at_once(write, read, read)
    assert behind == []


def test_memory_is_bounded():
    memory = Memory(lambda: 1)
    memory.put(1, "long", "made", [()] * (MOST_ROWS + 1))
    memory.put(1, "wide", "made", [("x" * 20_000,)])
    assert memory.get(1, "long") is UNKNOWN
    assert memory.get(1, "wide") is UNKNOWN
    for key in range(MOST_RESULTS * 2 + 1):
        memory.put(1, key, key, [()])
    assert memory.get(1, 0) is UNKNOWN
    assert memory.get(1, MOST_RESULTS * 2) == MOST_RESULTS * 2
    assert memory.get(2, MOST_RESULTS * 2) is UNKNOWN
    short, long = ("statement", "a" * MOST_KEY, 7), ("statement", ("a", ("b" * MOST_KEY,)))
    fine = ("statement", "a", ("b", "c"))
    for key in (short, long, fine):
        memory.put(1, key, "made", [])
    # What strangers make long is not remembered.
    assert [memory.get(1, key) for key in (short, long, fine)] == [UNKNOWN, UNKNOWN, "made"]
