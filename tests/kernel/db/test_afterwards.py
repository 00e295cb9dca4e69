"""What no answer waits for is done in order, and holds up no end."""

from threading import Event

import pytest

from hubrepo.kernel.db import Afterwards
from hubrepo.server import Server
from tests.support.hub import Hub

LONG = 30


@pytest.fixture
def later():
    later = Afterwards(None)
    yield later
    later._thread.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def blocked(later):
    """Set it to let what waits behind it go on."""
    go_on = Event()
    later.call("what takes long", lambda: go_on.wait(LONG))
    yield go_on
    go_on.set()


def test_whatever_fails_is_logged_and_the_next_one_done(later, caplog):
    done = []

    def fail():
        raise ValueError("no reason")

    later.call("the first", fail)
    later.call("the second", lambda: done.append(2))
    later.settle()
    assert done == [2]
    assert "could not write the first" in caplog.text
    assert "no reason" in caplog.text


def test_what_takes_long_comes_in_parts_and_others_between_them(later, blocked):
    done = []

    def act(part=1):
        done.append(part)
        if part < 3:
            later.call("more", lambda: act(part + 1))

    later.call("much", act)
    later.call("little", lambda: done.append("little"))
    blocked.set()
    later.settle()
    assert done == [1, "little", 2, 3]


def test_what_waits_is_done_before_the_end(later, blocked):
    done = []
    later.call("something", lambda: done.append(1))
    blocked.set()
    later.close(LONG)
    assert done == [1]


def test_the_end_waits_for_some_time_only(later, blocked, caplog):
    done = []
    later.call("something", lambda: done.append(1))
    later.close(0.01)
    assert later._unfinished == 2, "what takes long is not done yet"
    blocked.set()
    later._thread.shutdown()
    assert done == []
    assert "dropped what waited" in caplog.text


def test_what_comes_after_the_end_is_dropped(later, caplog):
    later.close(LONG)
    later.call("something", lambda: None)
    assert "too late: dropped something" in caplog.text


def test_a_server_that_ends_takes_what_waits_and_leaves_off_what_takes_long(tmp_path):
    hub = Hub.below(tmp_path)
    later, seen = hub.registry.afterwards, []
    server = Server(hub.wsgi, {"listen": "127.0.0.1:0"})
    server.end()
    later.call("something", lambda: seen.append(1))
    assert not later.is_ending
    server.run()
    assert later.is_ending
    assert seen == [1]
    hub.registry.database.close()
