"""What is remembered is never older than what is asked for."""

import pytest
from sqlalchemy import bindparam, event, select, update

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


def test_a_commit_is_seen_by_the_next_read(database):
    for number in range(5):
        add(database, f"{number:02}")
        assert len(names(database)) == number + 1


def test_a_commit_of_another_process_is_seen_too(database, url):
    add(database, "alice")
    assert names(database) == ["alice"]
    other = Database(url)
    with other.write() as db:
        db.execute(update(User).values(username="bob"))
    other.close()
    assert names(database) == ["bob"]


def test_a_rollback_changes_nothing(database):
    add(database, "alice")
    names(database)
    with database.writing() as db:
        insert_if_absent(db, User, username="bob", created_at=now(), active=True)
        db.rollback()
    assert names(database) == ["alice"]


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


def test_what_strangers_make_long_is_not_remembered():
    memory = Memory(lambda: 1)
    short, long = ("statement", "a" * MOST_KEY, 7), ("statement", ("a", ("b" * MOST_KEY,)))
    for key in (short, long):
        memory.put(1, key, "made", [])
    assert (memory.get(1, short), memory.get(1, long)) == (UNKNOWN, UNKNOWN)
    memory.put(1, ("statement", "a", ("b", "c")), "made", [])
    assert memory.get(1, ("statement", "a", ("b", "c"))) == "made"
