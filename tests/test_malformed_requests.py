"""Whatever bytes arrive, nobody is answered twice for one request, and nobody gets what is another's.

The parser is a function of bytes: its table is tried in process. A dozen shapes go through sockets and
the shipped nginx as well; `tests/stress/test_malformed_requests.py` sends all of them there.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest

from hubrepo import door as door_module
from tests.support.connection import Connection
from tests.support.features import HAS_ARTIFACTS, needs_artifacts
from tests.support.hub import Client, Hub
from tests.support.process import HubProcess, Wire
from tests.support.shapes import SENTINEL, SHAPES, Door, Shape, check, doors, statuses

MIB = 1024 * 1024
HOST = "127.0.0.1"


@pytest.mark.parametrize("piece", [1 << 30, 1], ids=["whole", "byte-by-byte"])
def test_every_shape_of_a_request_has_its_verdict(hub: Hub, acme: Client, piece: int):
    for shape in SHAPES:
        if piece == 1 and len(shape.data) > 400:
            continue
        data = (shape.data + SENTINEL).replace(b"{key}", acme.key.encode())
        with Connection(hub.wsgi) as connection:
            said = connection.send(data.replace(b"{host}", HOST.encode()), piece)
            check(shape, shape.door, said, connection.calls, shape.calls)


@pytest.fixture(scope="module", params=["door", "nginx"])
def door(nginx_is_here: None, server: HubProcess, request: pytest.FixtureRequest) -> Iterator[Door]:
    with ExitStack() as stack:
        yield doors(server, stack)[request.param]


@pytest.mark.long
@pytest.mark.usefixtures("nginx_is_here")
@pytest.mark.parametrize("shape", SHAPES[5::13], ids=lambda shape: shape.name)
def test_a_dozen_of_them_have_it_over_sockets_and_behind_nginx(door: Door, shape: Shape):
    door.try_(shape)


@pytest.mark.long
def test_nginx_judges_for_itself_what_it_does_not_pass_on(server: HubProcess, nginx_is_here: None):
    """All shapes that it answers otherwise than the hub would."""
    own = [
        each for each in SHAPES if (each.nginx, each.calls_behind_nginx) != (each.door, each.calls)
    ]
    assert len(own) > 20
    with ExitStack() as stack:
        door = doors(server, stack)["nginx"]
        for shape in own:
            door.try_(shape)


def refused(hub: Hub, data: bytes, **settings: str) -> tuple[bytes, bytes]:
    """Return the head and the body of the answer to a request that the application never hears of."""
    with Connection(hub.wsgi, **settings) as connection:
        head, _, body = connection.send(data).partition(b"\r\n\r\n")
        assert connection.calls == 0
    return head.lower(), body


def headers_of(answer: bytes) -> dict[bytes, bytes]:
    lines = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")[1:]
    found = dict(line.split(b": ", 1) for line in lines)
    # These differ from answer to answer.
    return found | dict.fromkeys((b"content-length", b"date", b"x-request-id", b"connection"), b"")


def test_a_refusal_looks_like_any_other_answer(hub: Hub, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "hubrepo.access"):
        head, body = refused(hub, b"GET /_ah/health HTTP/1.1\r\n\r\n")
    assert body == b'{"detail":"the request names no host"}'
    assert re.search(rb"x-request-id: [0-9a-f]{16}", head)
    assert "not taken: the request names no host" in caplog.text
    with Connection(hub.wsgi) as connection:
        usual = connection.send(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    assert headers_of(head) == headers_of(usual)


# How an error begins at each surface, and a header that it has there.
JSON = b"content-type: application/json"
SURFACES = [
    ("/api/packages", b'{"detail":', JSON),
    ("/products", b'{"detail":', b"x-frame-options: deny"),
    ("/pages/acme/product", b"<!doctype html>", b"content-type: text/html; charset=utf-8"),
]
BELOW_A_PREFIX = {"/shop": b"detail", "/shop/api/packages": b"detail"}
if HAS_ARTIFACTS:
    SURFACES += [
        ("/product/upload", b'{"error":', JSON),
        ("//product", b'{"error":', b"x-frame-options: deny"),
        ("http://hub/%61pi/product?x=/pages", b'{"error":', b"x-frame-options: deny"),
        ("/api/register", b'{"error":', b"cache-control: no-store"),
    ]
    BELOW_A_PREFIX |= {"/shop/product": b"error", "/product": b"error"}
# What is wrong with a request, at each moment at which the parser may notice it.
WRONG = {
    "at the first line": b"GET {path} HTTP/2.0\r\nHost: a\r\n\r\n",
    "at an unfinished head": b"GET {path} HTTP/1.1\nHost: a\n",
    "at a header": b"\r\nGET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "at the size of the head": b"GET {path} HTTP/1.1\r\nX: " + b"y" * 70_000,
    "at the size of the body": b"GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    "in the body": b"GET {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_refusal_has_the_shape_of_the_surface_that_was_asked(hub: Hub, wrong: bytes):
    for path, begins, header in SURFACES:
        head, body = refused(hub, wrong.replace(b"{path}", path.encode()))
        assert statuses(head.upper() + b"\r\n")[0] in {400, 413, 431, 505}, path
        assert body.startswith(begins), (path, body)
        assert header in head, path


def test_below_a_prefix_too(hub: Hub):
    for path, shape in BELOW_A_PREFIX.items():
        data = f"GET {path} HTTP/1.1\r\n\r\n".encode()
        body = refused(hub, data, url_prefix="/shop")[1]
        assert body == b'{"%s":"the request names no host"}' % shape, path


@needs_artifacts
def test_a_secret_in_a_request_that_is_refused_is_in_no_log(
    hub: Hub, caplog: pytest.LogCaptureFixture
):
    token = "0123456789abcdef" * 3
    with caplog.at_level(logging.INFO, "hubrepo.access"):
        for before in ("/", "/" + "x" * 160 + "/"):
            refused(hub, f"GET /fetch{before}{token} HTTP/1.1\r\n\r\n".encode())
    assert caplog.text.count("GET /fetch") == 2
    assert token[:24] not in caplog.text


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(hub: Hub):
    head, body = refused(
        hub,
        b"POST /api/packages HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        b"Content-Length: 1000000000000\r\n\r\n",
    )
    assert head.startswith(b"http/1.1 413 ")
    assert body == b'{"detail":"the request is too large"}'


def test_who_sends_slowly_after_a_refusal_is_hung_up_on(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr(door_module, "time", clock)
    with Connection(hub.wsgi) as connection:
        connection.send(b"GET /_ah/health HTTP/1.1\r\n\r\n")
        connection.send(b"x")
        assert not connection.is_closing
        clock.monotonic = lambda: door_module.PATIENCE + 0.1
        assert connection.is_closing


@pytest.mark.long
def test_who_is_still_sending_reads_why_it_was_refused(server: HubProcess):
    for _ in range(3):
        with server.wire() as wire:
            length = {"Content-Length": str(3 * MIB), "content-type": "a/b", "Content-Type": "a/b"}
            wire.socket.sendall(wire.head("POST", "/api/packages/widget/versions", length))
            wire.socket.sendall(b"x" * 3 * MIB)
            assert wire.receive().json == {"detail": "the header content-type is there twice"}
            assert wire.reader.read() == b""


@pytest.mark.long
def test_who_sends_on_and_on_after_a_refusal_is_hung_up_on(server: HubProcess):
    sent = 0
    with Wire(server.port) as wire, suppress(OSError):
        wire.socket.sendall(b"GET /_ah/health HTTP/1.1\r\n\r\n")
        while sent < 100 * MIB:
            sent += wire.socket.send(b"x" * 65_536)
    assert sent < 50 * MIB
