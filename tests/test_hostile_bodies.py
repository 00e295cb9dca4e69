"""Bodies that no good client sends: refused in the hub's words, leaving nothing behind."""

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from hubrepo.door import MOST_THROWN_AWAY
from tests.support.archives import package_zip
from tests.support.bodies import BODIES, FORM, WHOLE, text
from tests.support.connection import Connection
from tests.support.features import needs_artifacts
from tests.support.hub import Client, Hub
from tests.support.process import HubProcess, Wire
from tests.support.publishers import until

MIB = 1024 * 1024
VERSIONS, PAGES = "/api/packages/widget/versions", "/api/pages"
# What artifacts make of bodies; whatever they are called, they are read as what is expected.
ARTIFACTS = (
    ("PUT", "/product/create"),
    ("PUT", "/product/modify/addToken"),
    ("DELETE", "/product/modify/deleteToken"),
    ("DELETE", "/api/product/modify/deleteVersion"),
)
# Of a version that is there: what can be understood is 409.
THERE = text("product", b"gadget") + text("version", b"v1")


def staged(hub: Hub) -> list[str]:
    """Return what lies in the stage of the shared hub."""
    folder = Path(hub.settings["hubrepo.blobs"].removeprefix("osfs://"), ".stage")
    return [each.name for each in folder.iterdir()]


def test_every_body_has_its_verdict_and_leaves_nothing(acme: Client):
    acme.publish("widget")
    for body in BODIES:
        for path, expected in (
            (VERSIONS, {body.status}),
            (PAGES, {400, 413, 415, 422}),
            ("/api/packages", {400, 413, 415, 422}),
        ):
            answer = acme.call("POST", path, body.data, content_type=body.content_type)
            assert answer.status_int in expected, (body.name, path, answer.body[:300])
            assert isinstance(answer.json["detail"], str), (body.name, path)
    assert [each["version"] for each in acme.get(VERSIONS).json] == [1]
    assert acme.get(PAGES).json == []
    assert staged(acme.hub) == []


@needs_artifacts
def test_so_it_has_where_artifacts_are(acme: Client):
    """Any file will do there, so a form is understood if it is one."""
    token = acme.artifacts
    token.create("gadget")
    token.put("gadget", "v1")
    for body in BODIES:
        for method, path in ARTIFACTS:
            answer = token.call(method, path, body.data, content_type=body.content_type)
            assert answer.status_int in {400, 413}, (body.name, path, answer.body[:300])
            assert isinstance(answer.json["error"], str), (body.name, path)
        before, edge, after = body.data.partition(b"--frontier\r\n")
        data = before + THERE + edge + after if edge else body.data
        answer = token.call("POST", "/product/upload", data, content_type=body.content_type)
        understood = {409} if body.status == 409 else {400, 409, 413}
        assert answer.status_int in understood, (body.name, answer.body[:300])
        assert isinstance(answer.json["error"], str), body.name
    assert token.get("/product/access").json == ["gadget"]
    assert list(token.get("/product/fetch/gadget").json["versions"]) == ["v1"]
    assert staged(acme.hub) == []


def begin(wire: Wire, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    wire.socket.sendall(wire.head("POST", VERSIONS, {"Content-Type": FORM, **named}))


@pytest.mark.long
@pytest.mark.parametrize("cut", [0, 100, len(WHOLE) - 1])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_who_hangs_up_in_a_body_leaves_nothing(server: HubProcess, cut: int, is_chunked: bool):
    with server.wire() as wire:
        assert wire.publish("widget", package_zip("widget")).status == 201
        versions = wire.ask("GET", VERSIONS).json
    with server.wire() as other:
        if is_chunked:
            begin(other, Transfer_Encoding="chunked")
            other.socket.sendall(b"%x\r\n" % len(WHOLE))
        else:
            begin(other, Content_Length=str(len(WHOLE)))
        other.socket.sendall(WHOLE[:cut])
        other.socket.shutdown(socket.SHUT_WR)
        assert other.reader.read() == b""
    with server.wire() as wire:
        assert wire.ask("GET", VERSIONS).json == versions
    until(lambda: not list((server.blobs / ".stage").iterdir()))


@pytest.mark.long
@pytest.mark.parametrize(("short", "status"), [(1, 409), (2, 409), (20, 400), (200, 400)])
def test_a_length_that_is_too_small_cuts_the_form(server: HubProcess, short: int, status: int):
    """What is left of the body is no request. The last line end of a form may be missing."""
    with server.wire() as other:
        assert other.publish("widget", package_zip("widget")).status == 201
        begin(other, Content_Length=str(len(WHOLE) - short))
        with suppress(OSError):
            other.socket.sendall(WHOLE)
        assert other.receive().status == status


TOO_LARGE = (b" 413 ", b"the request is too large")
TOO_SMALL = (b" 400 ", b"the chunks are too small")


@pytest.mark.parametrize(
    ("piece", "most", "refusal"),
    [
        (b"10000\r\n" + b"x" * 65_536 + b"\r\n", 9 * MIB, TOO_LARGE),
        (b"80\r\n" + b"x" * 128 + b"\r\n", 9 * MIB, TOO_LARGE),
        (b"1\r\nx\r\n", MIB, TOO_SMALL),
        (b"1;" + b"y" * 900 + b"\r\nx\r\n", 4 * MIB, TOO_SMALL),
    ],
    ids=["large", "middling", "tiny", "tiny-with-extensions"],
)
def test_a_body_without_an_end_is_refused_soon(
    hub: Hub, piece: bytes, most: int, refusal: tuple[bytes, bytes]
):
    several, sent, said = piece * max(1, 60_000 // len(piece)), 0, b""
    with Connection(hub.wsgi, max_request_body_size=str(8 * MIB)) as connection:
        head = f"POST {VERSIONS} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        connection.send(head)
        while not said and sent < 64 * MIB:
            said = connection.send(several)
            sent += len(several)
        assert sent < most
        assert all(each in said for each in refusal)
        # Some is read on and thrown away, so that whoever still sends can hear of the refusal.
        while not connection.is_closing and sent < 64 * MIB:
            connection.send(several)
            sent += len(several)
        assert sent < most + MOST_THROWN_AWAY + MIB
        assert connection.calls == 0
