"""Writers of one process go in the order in which they came, and never longer than they will wait."""

import threading
import time
from collections import deque
from contextlib import suppress

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from hubrepo.kernel.accounts import User
from hubrepo.kernel.base import now
from hubrepo.kernel.db import Database, engine, insert_if_absent
from hubrepo.kernel.db.turns import Turns
from tests.support.races import at_once

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


class NotedTurns(Turns):
    """Turns that note whether each came."""

    def __init__(self):
        super().__init__()
        self.came = []

    def take(self, seconds):
        self.came.append(super().take(seconds))
        return self.came[-1]


@pytest.fixture
def turns(monkeypatch):
    """The turns of `database`, which is made after them."""
    turns = NotedTurns()
    monkeypatch.setattr(engine, "Turns", lambda: turns)
    return turns


def add_user(db, name):
    return insert_if_absent(db, User, username=name, created_at=now(), active=True)


@on_sqlite
def test_who_came_first_writes_first(turns, database):
    """SQLite alone lets some be overtaken by a hundred and more."""
    went, threads = [], []

    def write(number):
        with database.write() as db:
            add_user(db, str(number))
            went.append(number)

    with database.write() as db:
        add_user(db, "alice")
        for number in range(5):
            threads.append(threading.Thread(target=write, args=(number,)))
            threads[-1].start()
            while len(turns._line) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert went == list(range(5))
    assert turns.came == [True] * 6


@on_sqlite
def test_a_turn_ends_with_whatever_ends_the_transaction(turns, database):
    def refused_by_the_database():
        with database.write() as db:
            db.execute(text("INSERT INTO nowhere VALUES (1)"))

    def stopped():
        with database.write() as db:
            add_user(db, "alice")
            raise KeyboardInterrupt

    def lost():
        with database.write() as db:
            db.connection().invalidate()

    def not_committed():
        def fail(_connection):
            raise OperationalError("COMMIT", {}, Exception("injected"))

        event.listen(database.engine, "commit", fail)
        try:
            with database.write() as db:
                add_user(db, "alice")
        finally:
            event.remove(database.engine, "commit", fail)

    for end in (refused_by_the_database, stopped, lost, not_committed):
        with suppress(SQLAlchemyError, KeyboardInterrupt):
            end()
        with database.write() as db:
            assert add_user(db, end.__name__)
    assert turns.came == [True] * 8


@on_sqlite
def test_one_connection_that_writes_again_keeps_its_turn(turns, database):
    with database.engine.execution_options(writes=True).connect() as connection:
        for _ in range(2):
            with connection.begin():
                connection.execute(text("DELETE FROM accounts_user"))
    with database.write() as db:
        assert add_user(db, "alice")
    assert turns.came == [True] * 2


@on_sqlite
def test_who_waits_in_vain_is_told_so_and_is_in_nobodys_way(database, url):
    impatient = Database(url, busy_timeout=0.2)

    def write():
        with pytest.raises(OperationalError, match="locked"), impatient.write() as db:
            add_user(db, "late")

    # Three of one line wait for somebody of another, as of another process.
    with database.write() as db:
        add_user(db, "alice")
        at_once(*[write] * 3)
    with impatient.write() as db:
        assert add_user(db, "bob")
    with database.read() as db:
        assert set(db.scalars(select(User.username))) == {"alice", "bob"}
    impatient.close()


@on_sqlite
def test_a_turn_that_is_lost_locks_nobody_out(single, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Turns, "pass_on", lambda _: None)
        with single.write() as db:
            assert add_user(db, "alice")
    with single.write() as db:
        assert add_user(db, "bob")


@on_sqlite
def test_a_wait_at_sqlite_that_is_broken_off_is_no_other_error(database, monkeypatch):
    """As by Ctrl-C: the driver's connection is gone then."""

    def stop(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(database.engine.dialect, "do_execute", stop)
        with pytest.raises(KeyboardInterrupt), database.write() as db:
            add_user(db, "alice")
    with database.write() as db:
        assert add_user(db, "bob")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_wait_that_is_broken_off_leaves_the_line(monkeypatch, is_there):
    turns = Turns()
    assert turns.take(0)

    def stop(_event, _seconds):
        if is_there:
            turns.pass_on()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Event, "wait", stop)
        with pytest.raises(KeyboardInterrupt):
            turns.take(9)
    if not is_there:
        turns.pass_on()
    assert turns.take(0)


def test_a_collector_of_garbage_may_pass_a_turn_on_anywhere():
    """What it meets is a lock that its own thread has, in the middle of standing in line."""
    turns, met = Turns(), []

    class Line(deque):
        def append(self, mine):
            turns.pass_on()
            met.append(turns._lock.locked())
            super().append(mine)

    turns._line = Line()
    assert turns.take(0)
    assert turns.take(60)
    assert met == [True]
    turns.pass_on()
    assert turns.take(0)
