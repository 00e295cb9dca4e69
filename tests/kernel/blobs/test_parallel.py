"""Many things at once, few ahead; and what is away for a moment is come back to."""

import sqlite3
import threading
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from hubrepo.kernel.blobs import StoreUnavailable, in_parallel, parallel


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
def clock(monkeypatch):
    clock = SimpleNamespace(time=0.0)

    def sleep(seconds):
        clock.time += seconds

    monkeypatch.setattr(parallel, "PATIENCE", 10.0)
    monkeypatch.setattr(parallel, "monotonic", lambda: clock.time)
    monkeypatch.setattr(parallel, "sleep", sleep)
    return clock


def failing(error, times):
    """Return a function that fails so often, then works, and the list of its calls."""
    calls = []

    def act(thing):
        calls.append(thing)
        if len(calls) <= times:
            raise error
        return thing

    return act, calls


@pytest.mark.parametrize("error", [StoreUnavailable(), BUSY], ids=["store", "database"])
def test_what_is_away_for_a_moment_is_tried_again_and_what_stays_away_ends_it(error, clock):
    assert list(in_parallel(failing(error, 3)[0], ["thing"])) == ["thing"]
    assert 0 < clock.time < 10
    clock.time = 0.0
    act, calls = failing(error, 100)
    with pytest.raises(type(error)):
        list(in_parallel(act, ["thing"]))
    assert len(calls) > 3
    assert clock.time <= 10


@pytest.mark.parametrize("error", [ValueError(), ProgrammingError("", {}, Exception())])
def test_a_defect_is_not_tried_again(error, clock):
    act, calls = failing(error, 1)
    with pytest.raises(type(error)):
        list(in_parallel(act, ["thing"]))
    assert (len(calls), clock.time) == (1, 0)
