"""The memory of a hub does not grow with what is thrown at it."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.stress.clients import Crowd
from tests.support.archives import package_zip
from tests.support.bodies import BODIES, FORM
from tests.support.memory import forget_peak, memory
from tests.support.process import HubProcess, Wire
from tests.support.publishers import until
from tests.support.shapes import SHAPES

pytestmark = pytest.mark.stress

# MiB beyond what an idle hub needs.
MOST, MIB, SENDERS = 64, 1024 * 1024, 4
VERSIONS = "/api/packages/widget/versions"


def send_bodies(hub: HubProcess, dice: random.Random) -> None:
    """Send some of the odd bodies."""
    with hub.wire() as wire:
        for body in dice.choices(BODIES, k=10):
            headers = {"Content-Type": body.content_type}
            assert wire.ask("POST", VERSIONS, body.data, headers).status < 500


def send_forms(hub: HubProcess, _dice: random.Random) -> None:
    """Send a form whose only field does not end for 200 MiB."""
    beginning = b'--frontier\r\nContent-Disposition: form-data; name="summary"\r\n\r\n'
    headers = {"Content-Type": FORM, "Content-Length": str(200 * MIB)}
    with hub.wire() as wire, suppress(OSError):
        wire.socket.sendall(wire.head("POST", VERSIONS, headers))
        wire.socket.sendall(beginning.ljust(MIB, b"y"))
        for _ in range(199):
            wire.socket.sendall(b"y" * MIB)
        assert wire.receive().status == 400


def send_heads(hub: HubProcess, dice: random.Random) -> None:
    """Send a first line, a header, the size of a chunk or a trailer that never ends."""
    post = b"POST /api/packages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    endless = (b"GET /", b"GET / HTTP/1.1\r\nX: ", post + b"2;", post + b"0\r\nX: ")
    with Wire(hub.port) as wire, suppress(OSError):
        wire.socket.sendall(dice.choice(endless))
        for _ in range(100):
            wire.socket.sendall(b"z" * MIB)


def send_shapes(hub: HubProcess, dice: random.Random) -> None:
    """Send an odd request."""
    data = dice.choice(SHAPES).data.replace(b"{host}", b"x").replace(b"{key}", hub.key.encode())
    with Wire(hub.port, timeout=0.05) as wire, suppress(OSError):
        wire.socket.sendall(data)
        wire.socket.recv(65536)


def send_until(is_over: Callable[[], bool], send, *arguments: object) -> None:
    while not is_over():
        send(*arguments)


def test_memory_is_flat(tmp_path: Path, budget) -> None:
    with HubProcess(tmp_path) as hub:
        with hub.wire() as wire:
            for _ in range(20):
                assert wire.publish("widget", package_zip("widget")).status == 201
        idle = memory(hub.pid)
        for send in (send_bodies, send_forms, send_heads, send_shapes):
            forget_peak(hub.pid)
            crowd, is_over = Crowd(), budget.is_over(share=1 / 4)
            for number in range(SENDERS):
                dice = random.Random(f"{budget.seed} {number}")
                crowd.add(send_until, is_over, send, hub, dice)
            crowd.join()
            more = memory(hub.pid, "VmHWM") - idle
            print(f"{send.__name__}: {idle:.0f} MiB at rest, {more:.0f} MiB more at most")
            assert more < MOST
        until(lambda: not list((hub.blobs / ".stage").iterdir()), 60)
