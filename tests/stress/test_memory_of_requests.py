"""What a hub needs in memory does not grow with what is thrown at it."""

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.support.archives import package_zip
from tests.support.bodies import BODIES, FORM
from tests.support.memory import forget_peak, memory
from tests.support.process import HubProcess, Wire
from tests.support.publishers import until
from tests.support.shapes import SHAPES

pytestmark = pytest.mark.stress

MIB = 1024 * 1024
# Beyond what an idle hub needs.
MOST = 64
SECONDS, SENDERS = 12, 4
VERSIONS = "/api/packages/widget/versions"

Work = Callable[[HubProcess, int, float], None]


def at_once(work: Callable[[int, float], None]) -> None:
    """Several at the same work, each told its number and when to end."""
    end = time.monotonic() + SECONDS
    threads = [threading.Thread(target=work, args=(n, end)) for n in range(SENDERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def send_bodies(hub: HubProcess, number: int, end: float) -> None:
    """All odd bodies in turn."""
    with hub.wire() as wire:
        for body in itertools.islice(itertools.cycle(BODIES), number * 40, None):
            headers = {"Content-Type": body.content_type}
            assert wire.ask("POST", VERSIONS, body.data, headers).status < 500
            if time.monotonic() > end:
                return


def send_forms(hub: HubProcess, _: int, end: float) -> None:
    """A form whose only field does not end for 200 MiB, again and again."""
    beginning = b'--frontier\r\nContent-Disposition: form-data; name="summary"\r\n\r\n'
    headers = {"Content-Type": FORM, "Content-Length": str(200 * MIB)}
    while time.monotonic() < end:
        with hub.wire() as wire, suppress(OSError):
            wire.socket.sendall(wire.head("POST", VERSIONS, headers) + beginning)
            for _ in range(199):
                wire.socket.sendall(b"y" * MIB)
            wire.socket.sendall(b"y" * (MIB - len(beginning)))
            assert wire.receive().status == 400


def send_heads(hub: HubProcess, _: int, end: float) -> None:
    """First lines, headers, sizes of chunks and trailers that never end."""
    post = b"POST /api/packages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    endless = (b"GET /", b"GET / HTTP/1.1\r\nX: ", post + b"2;", post + b"0\r\nX: ")
    for beginning in itertools.cycle(endless):
        with Wire(hub.port) as wire, suppress(OSError):
            wire.socket.sendall(beginning)
            for _ in range(100):
                wire.socket.sendall(b"z" * MIB)
        if time.monotonic() > end:
            return


def send_shapes(hub: HubProcess, _: int, end: float) -> None:
    """All odd requests in turn."""
    for shape in itertools.cycle(SHAPES):
        data = shape.data.replace(b"{host}", b"x").replace(b"{key}", hub.key.encode())
        with Wire(hub.port, timeout=0.05) as wire, suppress(OSError):
            wire.socket.sendall(data)
            wire.socket.recv(65536)
        if time.monotonic() > end:
            return


@pytest.mark.parametrize("work", [send_bodies, send_forms, send_heads, send_shapes])
def test_memory_is_flat(tmp_path: Path, work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    with HubProcess(tmp_path) as hub:
        with hub.wire() as wire:
            for _ in range(20):
                assert wire.publish("widget", package_zip("widget")).status == 201
        idle = memory(hub.pid)
        forget_peak(hub.pid)
        at_once(partial(work, hub))
        more = memory(hub.pid, "VmHWM") - idle
        with capsys.disabled():
            print(f"\n{work.__name__}: {idle:.0f} MiB at rest, {more:.0f} MiB more at most")
        assert more < MOST
        until(lambda: not list((hub.blobs / ".stage").iterdir()), 10)
