"""Many things at once, few ahead; and what is away for a moment is come back to."""

import sqlite3
import threading

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from hubrepo.kernel.blobs import StoreUnavailable, in_parallel, parallel


def test_results_come_in_the_order_of_the_things():
    assert list(in_parallel(lambda number: number * 2, range(100))) == list(range(0, 200, 2))


def test_few_things_are_taken_ahead():
    taken = []

    def things():
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_parallel(lambda number: number, things(), threads=2)
    assert next(results) == 0
    assert len(taken) <= 5
    results.close()
    assert len(taken) <= 5


def test_they_are_done_at_once():
    together = threading.Barrier(4, timeout=10)
    assert list(in_parallel(lambda _: together.wait() >= 0, range(4), threads=4)) == [True] * 4


class Flaky:
    """Fails so often, in the same way, then works."""

    def __init__(self, error, times):
        self.error, self.left = error, times

    def __call__(self, thing):
        if self.left:
            self.left -= 1
            raise self.error
        return thing


BUSY = OperationalError("", {}, sqlite3.OperationalError("database is locked"))
BUSY.orig.sqlite_errorcode = sqlite3.SQLITE_BUSY


@pytest.mark.parametrize("error", [StoreUnavailable(), BUSY], ids=["store", "database"])
def test_what_is_away_for_a_moment_is_tried_again(error, monkeypatch):
    monkeypatch.setattr(parallel, "PATIENCE", 10.0)
    assert list(in_parallel(Flaky(error, 2), ["thing"])) == ["thing"]


@pytest.mark.parametrize("error", [StoreUnavailable(), BUSY], ids=["store", "database"])
def test_what_stays_away_ends_it(error, monkeypatch):
    monkeypatch.setattr(parallel, "PATIENCE", 0.5)
    with pytest.raises(type(error)):
        list(in_parallel(Flaky(error, 100), ["thing"]))


@pytest.mark.parametrize("error", [ValueError(), ProgrammingError("", {}, Exception())])
def test_a_defect_is_not_tried_again(error, monkeypatch):
    monkeypatch.setattr(parallel, "PATIENCE", 10.0)
    act = Flaky(error, 1)
    with pytest.raises(type(error)):
        list(in_parallel(act, ["thing"]))
    assert not act.left
