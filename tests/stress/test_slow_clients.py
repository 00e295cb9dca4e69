"""Hundreds of clients that are slow on purpose, behind the shipped nginx: nobody else waits for them."""

import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.archives import make_zip, manifest, package_zip
from tests.support.nginx import HUB_HOST, Nginx
from tests.support.process import HubProcess
from tests.support.publishers import until

pytestmark = [pytest.mark.stress, pytest.mark.serial, pytest.mark.usefixtures("nginx_is_here")]

OF_EACH_KIND, CALLERS, SECONDS, PROMISED = 300, 3, 8.0, 0.25


def begin(nginx: Nginx, beginning: bytes) -> socket.socket:
    """Connect, with room for little of the answer, and send the beginning of a request."""
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.settimeout(10)
    wire.connect(("127.0.0.1", nginx.port))
    wire.sendall(beginning)
    return wire


@contextmanager
def slow_clients(nginx: Nginx, key: str) -> Iterator[None]:
    """Hold so many connections of each kind; those that send go on by a byte each second."""
    host = f"Host: {HUB_HOST}\r\nAuthorization: Api-Key {key}\r\n"
    senders = (
        f"GET /api/packages HTTP/1.1\r\n{host}X-Slow: ",
        f"POST /api/packages HTTP/1.1\r\n{host}Content-Length: 900000\r\n\r\n",
    )
    reader = f"GET /api/packages/large/latest HTTP/1.1\r\n{host}\r\n"
    readers = [begin(nginx, reader.encode()) for _ in range(OF_EACH_KIND)]
    slow = [[text.encode(), begin(nginx, text.encode())] for text in senders * OF_EACH_KIND]
    is_over = threading.Event()

    def drip() -> None:
        while not is_over.wait(1):
            for each in slow:
                try:
                    each[1].sendall(b"x")
                except OSError:
                    # Nginx hung up: begin anew.
                    each[1].close()
                    with suppress(OSError):
                        each[1] = begin(nginx, each[0])

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        for each in (*readers, *(wire for _, wire in slow)):
            each.close()


def p99(nginx: Nginx, key: str) -> float:
    """Return the seconds within which 99 % of others have their answers, who read, publish and come anew."""
    found: list[float] = []
    end = time.monotonic() + SECONDS

    def call(number: int) -> None:
        name, turn = f"small-{number}", 0
        archive = package_zip(name)
        while (started := time.monotonic()) < end:
            with nginx.wire(key) as wire:
                if turn % 10:
                    assert wire.ask("GET", "/api/packages/large").status == 200
                else:
                    assert wire.publish(name, archive).status == 201
            found.append(time.monotonic() - started)
            turn += 1

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(call, range(CALLERS)))
    assert len(found) > 100
    return statistics.quantiles(found, n=100)[98]


def answers_at_once(nginx: Nginx) -> bool:
    """True if the hub has sent what slow readers wanted: by now nginx has it."""
    started = time.monotonic()
    with nginx.wire() as wire:
        assert wire.ask("GET", "/_ah/health").status == 200
    return time.monotonic() - started < PROMISED / 5


def test_nobody_waits_for_nine_hundred_slow_clients(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub, Nginx(hub) as nginx:
        members = {"package.toml": manifest("large"), "noise": os.urandom(1024 * 1024)}
        with nginx.wire(hub.key) as wire:
            assert wire.publish("large", make_zip(members)).status == 201
        without = p99(nginx, hub.key)
        with slow_clients(nginx, hub.key):
            until(lambda: answers_at_once(nginx), 60)
            beside = p99(nginx, hub.key)
        print(f"p99: {without * 1000:.0f} ms, beside slow clients {beside * 1000:.0f} ms")
        assert beside < PROMISED
