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
from hubrepo.kernel.db import Database, insert_if_absent
from hubrepo.kernel.db.turns import Turns

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def add_user(db, name):
    return insert_if_absent(db, User, username=name, created_at=now(), active=True)


def together(*acts):
    """Run these, each in a thread."""
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_who_came_first_goes_first():
    turns, went, threads = Turns(), [], []

    def go(number):
        assert turns.take(60)
        went.append(number)
        turns.pass_on()

    assert turns.take(0)
    for number in range(12):
        threads.append(threading.Thread(target=go, args=(number,)))
        threads[-1].start()
        while len(turns._line) <= number:
            time.sleep(0.001)
    turns.pass_on()
    for thread in threads:
        thread.join()
    assert went == list(range(12))


@on_sqlite
def test_nobody_waits_in_vain_while_others_come_and_go(database, monkeypatch):
    """Eight who write all the time: SQLite alone lets some be overtaken by a hundred and more."""
    came, went = [], []
    take = Turns.take

    def noted(turns, seconds):
        came.append(threading.current_thread())
        return take(turns, seconds)

    def write():
        for _ in range(25):
            with database.write() as db:
                add_user(db, str(len(went)))
                time.sleep(0.005)
                went.append(threading.current_thread())

    monkeypatch.setattr(Turns, "take", noted)
    together(*[write] * 8)
    assert len(went) == 200
    assert max(overtaken(came, went)) < 40


def overtaken(came, went):
    """By how many that came later each went later; a thread is there once at a time."""
    places = [[place for place, each in enumerate(came) if each is thread] for thread in set(came)]
    arrivals = dict(zip(set(came), map(iter, places), strict=True))
    order = [next(arrivals[thread]) for thread in went]
    return [sum(place > each for place in order[:at]) for at, each in enumerate(order)]


@on_sqlite
def test_a_turn_ends_with_whatever_ends_the_transaction(database):
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
        began = time.monotonic()
        with database.write() as db:
            assert add_user(db, end.__name__)
        assert time.monotonic() - began < 1


@on_sqlite
def test_one_connection_that_writes_again_keeps_its_turn(database):
    with database.engine.execution_options(writes=True).connect() as connection:
        for _ in range(2):
            began = time.monotonic()
            with connection.begin():
                connection.execute(text("DELETE FROM accounts_user"))
            assert time.monotonic() - began < 1
    with database.write() as db:
        assert add_user(db, "alice")


@on_sqlite
def test_who_waits_in_vain_is_told_so_in_time_and_is_in_nobodys_way(database, url):
    impatient, refused = Database(url, busy_timeout=1), []

    def write():
        began = time.monotonic()
        with pytest.raises(OperationalError, match="locked"), impatient.write() as db:
            add_user(db, "late")
        refused.append(time.monotonic() - began)

    # Three of one line wait for somebody of another, as of another process.
    with database.write() as db:
        add_user(db, "alice")
        together(write, write, write)
    assert len(refused) == 3
    assert all(0.9 < seconds < 2.5 for seconds in refused)
    with impatient.write() as db:
        assert add_user(db, "bob")
    with database.read() as db:
        assert set(db.scalars(select(User.username))) == {"alice", "bob"}
    impatient.close()


@on_sqlite
def test_a_turn_that_is_lost_makes_writers_slow_and_locks_nobody_out(database, single, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Turns, "pass_on", lambda _: None)
        with single.write() as db:
            assert add_user(db, "alice")
    began = time.monotonic()
    with single.write() as db:
        assert add_user(db, "bob")
    assert 0.9 < time.monotonic() - began < 2


@on_sqlite
def test_a_wait_at_sqlite_that_is_broken_off_is_no_other_error(database, url, monkeypatch):
    """As by Ctrl-C: the driver's connection is gone then."""
    other = Database(url)

    def stop(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(other.engine.dialect, "do_execute", stop)
        with pytest.raises(KeyboardInterrupt), other.write() as db:
            add_user(db, "alice")
    with other.write() as db:
        assert add_user(db, "bob")
    other.close()


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
