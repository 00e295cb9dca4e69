"""Many things at once, few ahead and in order; and what is away for a moment is come back to."""

import sqlite3
import threading
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from hubrepo.kernel.blobs import OutOfOrder, StoreUnavailable, ascending, in_parallel, parallel
from hubrepo.kernel.blobs.stores import Stored


def test_results_come_in_the_order_of_the_things_of_which_few_are_taken_ahead():
    taken = []

    def things():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_parallel(lambda number: number * 2, things(), threads=2)
    assert next(results) == 0
    assert len(taken) <= 5
    results.close()
    assert len(taken) <= 5
    assert list(in_parallel(lambda number: number * 2, things())) == list(range(0, 200, 2))


def test_they_are_done_at_once():
    together = threading.Barrier(4, timeout=60)
    assert list(in_parallel(lambda _: together.wait() >= 0, range(4), threads=4)) == [True] * 4


BUSY = OperationalError("", {}, sqlite3.OperationalError("database is locked"))
BUSY.orig.sqlite_errorcode = sqlite3.SQLITE_BUSY


@pytest.fixture
def tried(monkeypatch):
    """Try something that fails so often; return how often it was called, and the seconds that passed."""
    clock = [0.0]
    monkeypatch.setattr(parallel, "PATIENCE", 10.0)
    monkeypatch.setattr(parallel, "monotonic", lambda: clock[0])
    monkeypatch.setattr(parallel, "sleep", lambda seconds: clock.append(clock.pop() + seconds))

    def run(error, times):
        calls = []

        def act(thing):
            calls.append(thing)
            if len(calls) <= times:
                raise error
            return thing

        clock[0] = 0.0
        with suppress(type(error)):
            assert list(in_parallel(act, ["thing"])) == ["thing"]
        return len(calls), clock[0]

    return run


def test_what_is_away_for_a_moment_is_tried_again_for_some_seconds_and_a_defect_is_not(tried):
    for error in (StoreUnavailable(), BUSY):
        calls, seconds = tried(error, 3)
        assert calls == 4
        assert 0 < seconds < 10
        calls, seconds = tried(error, 100)
        assert 4 < calls < 100
        assert seconds <= 10
    for error in (ValueError(), ProgrammingError("", {}, Exception())):
        assert tried(error, 1) == (1, 0)


def test_two_lists_that_are_compared_in_one_pass_must_be_in_order():
    def things(*keys):
        return [Stored(key, 1, datetime(2026, 1, 1, tzinfo=UTC)) for key in keys]

    assert list(ascending("they", things("0", "a", "aa", "b"))) == things("0", "a", "aa", "b")
    for keys in (("b", "aa"), ("a", "a")):
        with pytest.raises(OutOfOrder, match="they are not in the order of keys"):
            list(ascending("they", things(*keys)))
