"""Hundreds of clients that are slow on purpose, behind the shipped nginx: nobody else waits for them."""

import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.archives import make_zip, manifest, package_zip
from tests.support.nginx import HUB_HOST, Nginx
from tests.support.process import HubProcess
from tests.support.publishers import until

pytestmark = [pytest.mark.stress, pytest.mark.serial, pytest.mark.usefixtures("nginx_is_here")]

OF_EACH_KIND = 300
SECONDS, CALLERS = 8.0, 3
PROMISED = 0.25
MIB = 1024 * 1024
DOWNLOAD = "/api/packages/large/latest"


class Slow:
    """A connection that has begun something, and goes on by a byte now and then, or not at all."""

    def __init__(self, nginx: Nginx, beginning: bytes, goes_on: bool) -> None:
        self._nginx, self._beginning, self._goes_on = nginx, beginning, goes_on
        self._socket = self._begin()

    def _begin(self) -> socket.socket:
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(10)
        wire.connect(("127.0.0.1", self._nginx.port))
        wire.sendall(self._beginning)
        return wire

    def go_on(self) -> int:
        """Send a byte. Where nobody listens any more, begin anew: how often that was."""
        if not self._goes_on:
            return 0
        try:
            self._socket.sendall(b"x")
        except OSError:
            self.close()
            self._socket = self._begin()
            return 1
        return 0

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextmanager
def slow_clients(nginx: Nginx, key: str) -> Iterator[list[Slow]]:
    """So many of each kind, while the block runs."""
    host = f"Host: {HUB_HOST}\r\nAuthorization: Api-Key {key}\r\n"
    beginnings = (
        (f"GET /api/packages HTTP/1.1\r\n{host}X-Slow: ", True),
        (f"POST /api/packages HTTP/1.1\r\n{host}Content-Length: 900000\r\n\r\n", True),
        (f"GET {DOWNLOAD} HTTP/1.1\r\n{host}\r\n", False),
    )
    slow, is_over, again = [], threading.Event(), []
    for beginning, goes_on in beginnings:
        slow += [Slow(nginx, beginning.encode(), goes_on) for _ in range(OF_EACH_KIND)]

    def drip() -> None:
        while not is_over.wait(1):
            for each in slow:
                with suppress(OSError):
                    again.append(each.go_on())

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield slow
    finally:
        is_over.set()
        thread.join()
        for each in slow:
            each.close()


def durations(nginx: Nginx, key: str) -> list[float]:
    """Seconds that others wait for their answers, who read, publish and come anew."""
    found: list[float] = []
    end = time.monotonic() + SECONDS

    def call(number: int) -> None:
        for turn in range(1_000_000):
            started = time.monotonic()
            if started > end:
                return
            with nginx.wire(key) as wire:
                if turn % 10:
                    assert wire.ask("GET", "/api/packages/large").status == 200
                else:
                    name = f"small-{number}"
                    assert wire.publish(name, package_zip(name)).status == 201
            found.append(time.monotonic() - started)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) > 100
    return found


def _answers_at_once(nginx: Nginx) -> bool:
    """Whether the hub has sent what slow readers wanted: by now nginx has it."""
    started = time.monotonic()
    with nginx.wire() as wire:
        assert wire.ask("GET", "/_ah/health").status == 200
    return time.monotonic() - started < PROMISED / 5


def p99(found: list[float]) -> float:
    return statistics.quantiles(found, n=100)[98]


def test_nobody_waits_for_nine_hundred_slow_clients(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with HubProcess(tmp_path) as hub, Nginx(hub) as nginx:
        members = {"package.toml": manifest("large"), "noise": os.urandom(MIB)}
        with nginx.wire(hub.key) as wire:
            assert wire.publish("large", make_zip(members)).status == 201
        # Once more, should somebody else have kept the machine busy.
        for _ in range(2):
            alone = p99(durations(nginx, hub.key))
            with slow_clients(nginx, hub.key):
                until(lambda: _answers_at_once(nginx), 60)
                beside = p99(durations(nginx, hub.key))
            with capsys.disabled():
                print(
                    f"\np99 of others: {alone * 1000:.0f} ms alone, {beside * 1000:.0f} ms beside"
                    f" {3 * OF_EACH_KIND} slow clients"
                )
            if beside < PROMISED:
                break
        assert beside < PROMISED
        with nginx.wire(hub.key) as wire:
            assert wire.ask("GET", "/_ah/health").status == 200
