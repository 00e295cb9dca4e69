"""Whatever bytes arrive, nobody is answered twice for one request, and nobody gets what is another's.

Each shape is sent at the hub's own door and through the shipped nginx, on a connection of its own; then
comes a plain request, by which one sees whether the connection has ended or is still in step.
"""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.archives import package_zip
from tests.support.features import HAS_ARTIFACTS, needs_artifacts
from tests.support.nginx import HUB_HOST, Nginx
from tests.support.process import HubProcess, Wire
from tests.support.publishers import until
from tests.support.shapes import NOTHING, SHAPES, Shape

MIB = 1024 * 1024
CANARY = "nobody-elses-business"
SENTINEL = b"GET /api/organisation HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
# Seconds after which nothing more will come.
SILENCE = 1.0

_STATUS = re.compile(rb"(?:^|(?<=[\r\n}\]]))HTTP/1\.[01] ([0-9]{3}) ")


@dataclass(frozen=True)
class Door:
    """Where requests are sent, who watches what comes of them, and who must not notice."""

    hub: HubProcess
    port: int
    host: str
    stranger: str

    @property
    def calls(self) -> int:
        """How often the application was called, this call not counted."""
        with Wire(self.hub.port) as wire:
            told = wire.ask("GET", "/_ah/metrics").body.decode()
        counts = re.findall(
            r"^hubrepo_request_seconds_count\{.*\} ([0-9.e+]+)$", told, re.MULTILINE
        )
        return int(sum(map(float, counts)))

    def send(self, data: bytes, piece: int = 1 << 30, patience: float = 10) -> bytes:
        """All that is answered to `data`, sent so many bytes at a time, and to a plain request behind it.

        It is over when the connection ends, or nothing comes: within `patience` seconds at first.
        """
        said = bytearray()
        filled = data.replace(b"{key}", self.stranger.encode()) + SENTINEL
        filled = filled.replace(b"{host}", self.host.encode())
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):  # It may have heard enough.
                for at in range(0, len(filled), piece):
                    wire.sendall(filled[at : at + piece])
            wire.settimeout(patience)
            with suppress(OSError):
                while heard := wire.recv(65536):
                    said += heard
                    wire.settimeout(SILENCE)
        return bytes(said)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as hub:
        with hub.wire() as wire:
            assert wire.publish(CANARY, package_zip(CANARY)).status == 201
        yield hub


@pytest.fixture(scope="module", params=["door", "nginx"])
def door(running: HubProcess, request: pytest.FixtureRequest) -> Iterator[Door]:
    slug = f"stranger-{request.param}"
    key = running.command("bootstrap-org", "--name", slug, "--slug", slug, "--quiet")
    with ExitStack() as stack:
        if request.param == "nginx":
            request.getfixturevalue("nginx_is_here")
            nginx = stack.enter_context(Nginx(running))
            yield Door(running, nginx.port, HUB_HOST, key)
        else:
            yield Door(running, running.port, f"127.0.0.1:{running.port}", key)


def statuses(said: bytes) -> list[int]:
    """The statuses of all answers, the first of which may be of HTTP/0.9 and have none."""
    return [int(each) for each in _STATUS.findall(said) if each != b"100"]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_shape_of_a_request_has_its_verdict(door: Door, shape: Shape) -> None:
    behind = door.port != door.hub.port
    verdict = shape.nginx if behind else shape.door
    before = door.calls
    said = door.send(shape.data, patience=SILENCE if verdict == NOTHING else 10)
    calls = door.calls - before - 1
    answers = statuses(said)
    assert (answers[0] if answers else NOTHING) == verdict, said[:600]
    assert all(each < 500 or each in {501, 505} for each in answers), said[:600]
    # The plain request behind it needs a key that it has not: it is answered 401, once or not at all.
    in_step = answers[shape.requests :] == [401]
    assert in_step or len(answers) <= shape.requests + 1, said[:600]
    assert calls - in_step == (shape.calls_behind_nginx if behind else shape.calls), said[:600]
    assert CANARY.encode() not in said
    if behind:
        # All share the proxy's connections to the hub: one that was out of step would show here.
        with Wire(door.port, door.hub.key, host=door.host) as wire:
            for _ in range(3):
                answer = wire.ask("GET", "/api/packages")
                assert [each["name"] for each in answer.json] == [CANARY]


def test_a_refusal_at_the_door_looks_like_any_other(running: HubProcess) -> None:
    with Wire(running.port) as wire:
        wire.socket.sendall(b"GET /_ah/health HTTP/1.1\r\n\r\n")
        refused = wire.receive()
        usual = wire.ask("GET", "/nothing")
    assert (refused.status, refused.json) == (400, {"detail": "the request names no host"})
    own = {"content-length", "date", "x-request-id"}
    assert {**usual.headers, **dict.fromkeys(own)} == {
        **{name: text for name, text in refused.headers.items() if name != "connection"},
        **dict.fromkeys(own),
    }
    assert re.fullmatch("[0-9a-f]{16}", refused.headers["x-request-id"])
    until(lambda: "not taken: the request names no host" in running.log.read_text(), 5)


# How an error begins at each surface, and a header that it has there.
SURFACES = (
    ("/api/packages", b'{"detail":', ("content-type", "application/json")),
    ("/products", b'{"detail":', ("x-frame-options", "DENY")),
    ("/pages/acme/product", b"<!doctype html>", ("content-type", "text/html; charset=utf-8")),
)
BELOW_A_PREFIX = {"/shop": "detail", "/shop/api/packages": "detail"}
if HAS_ARTIFACTS:
    SURFACES += (
        ("/product/upload", b'{"error":', ("content-type", "application/json")),
        ("//product", b'{"error":', ("x-frame-options", "DENY")),
        ("http://hub/%61pi/product?x=/pages", b'{"error":', ("x-frame-options", "DENY")),
        ("/api/register", b'{"error":', ("cache-control", "no-store")),
    )
    BELOW_A_PREFIX |= {"/shop/product": "error", "/product": "error"}
# What is wrong with a request, at each moment at which the door may notice it.
WRONG = {
    "at the first line": b"GET {path} HTTP/2.0\r\nHost: a\r\n\r\n",
    "at an unfinished head": b"GET {path} HTTP/1.1\nHost: a\n",
    "at a header": b"\r\nGET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "at the size of the head": b"GET {path} HTTP/1.1\r\nX: " + b"y" * 70_000,
    "at the size of the body": b"GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    "in the body": b"GET {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_refusal_at_the_door_has_the_shape_of_the_surface_that_was_asked(
    running: HubProcess, wrong: bytes
) -> None:
    for path, begins, (name, value) in SURFACES:
        with Wire(running.port) as wire:
            wire.socket.sendall(wrong.replace(b"{path}", path.encode()))
            answer = wire.receive()
        assert answer.status in {400, 413, 431, 505}, path
        assert answer.body.startswith(begins), (path, answer.body)
        assert answer.headers[name] == value, path


def test_below_a_prefix_too(tmp_path: Path) -> None:
    with HubProcess(tmp_path, server={"url_prefix": "/shop"}) as hub:
        for path, shape in BELOW_A_PREFIX.items():
            with Wire(hub.port) as wire:
                wire.socket.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
                assert wire.receive().json == {shape: "the request names no host"}, path


@needs_artifacts
def test_a_secret_in_a_request_that_is_refused_is_in_no_log(running: HubProcess) -> None:
    token = "0123456789abcdef" * 3
    for before in ("/", "/" + "x" * 160 + "/"):
        with Wire(running.port) as wire:
            wire.socket.sendall(f"GET /fetch{before}{token} HTTP/1.1\r\n\r\n".encode())
            assert wire.receive().status == 400
    until(lambda: running.log.read_text().count("GET /fetch") == 2, 5)
    assert token[:24] not in running.log.read_text()


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(running: HubProcess) -> None:
    with running.wire() as wire:
        length = {"Content-Length": str(10**12), "Expect": "100-continue"}
        wire.socket.sendall(wire.head("POST", "/api/packages/widget/versions", length))
        answer = wire.receive()
    assert (answer.status, answer.json) == (413, {"detail": "the request is too large"})


def test_who_is_still_sending_reads_why_it_was_refused(running: HubProcess) -> None:
    for _ in range(10):
        with running.wire() as wire:
            length = {"Content-Length": str(3 * MIB), "content-type": "a/b", "Content-Type": "a/b"}
            wire.socket.sendall(wire.head("POST", "/api/packages/widget/versions", length))
            wire.socket.sendall(b"x" * 3 * MIB)
            answer = wire.receive()
            assert answer.json == {"detail": "the header content-type is there twice"}
            assert wire.reader.read() == b""


@pytest.mark.parametrize("pause", [0, 0.3])
def test_who_sends_on_and_on_after_a_refusal_is_hung_up_on(
    running: HubProcess, pause: float
) -> None:
    began, sent = time.monotonic(), 0
    with running.wire() as wire, suppress(OSError):
        wire.socket.sendall(b"GET /_ah/health HTTP/1.1\r\n\r\n")
        while time.monotonic() - began < 20 and sent < 100 * MIB:
            sent += wire.socket.send(b"x" * 65_536)
            time.sleep(pause)
    assert time.monotonic() - began < 10
    assert sent < 50 * MIB


def test_a_shape_may_come_byte_by_byte(running: HubProcess) -> None:
    """What is read must not depend on how it was cut into pieces."""
    door = Door(running, running.port, f"127.0.0.1:{running.port}", running.key)
    for shape in [each for each in SHAPES if len(each.data) < 400 and each.door != NOTHING]:
        assert statuses(door.send(shape.data, 1))[:1] == [shape.door], shape.name
