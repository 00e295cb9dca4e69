"""Bodies that no good client sends: refused in the hub's words, leaving nothing behind."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hubrepo.door import MOST_THROWN_AWAY
from tests.support.archives import package_zip
from tests.support.bodies import BODIES, FORM, WHOLE, Body, text
from tests.support.features import HAS_ARTIFACTS, needs_artifacts
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
if not HAS_ARTIFACTS:
    ARTIFACTS = ()
UPLOAD = "/product/upload"
# Of a version that is there: what can be understood is 409.
THERE = text("product", b"gadget") + text("version", b"v1")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    server = {"max_request_body_size": str(8 * MIB)}
    with HubProcess(tmp_path_factory.mktemp("hub"), server=server) as hub:
        with hub.wire() as wire:
            assert wire.publish("widget", package_zip("widget")).status == 201
        yield hub


@pytest.fixture(scope="module")
def wire(running: HubProcess) -> Iterator[Wire]:
    if not HAS_ARTIFACTS:
        with running.wire() as wire:
            yield wire
        return
    with running.wire() as wire:
        slug = wire.ask("GET", "/api/organisation").json["slug"]
    token = running.command("issue-artifact-token", "--org", slug, "--admin")
    with Wire(running.port, running.key, token=token) as wire:
        assert wire.ask_json("PUT", "/product/create", {"name": "gadget"}).status == 201
        assert wire.ask("POST", UPLOAD, THERE + WHOLE, {"Content-Type": FORM}).status == 201
        yield wire


def stages(hub: HubProcess) -> list[str]:
    return [each.name for each in (hub.blobs / ".stage").iterdir()]


def check_clean(hub: HubProcess, wire: Wire) -> None:
    """Nothing was published, and what was staged is gone."""
    assert [each["version"] for each in wire.ask("GET", VERSIONS).json] == [1]
    assert wire.ask("GET", PAGES).json == []
    if HAS_ARTIFACTS:
        assert wire.ask("GET", "/product/access").json == ["gadget"]
        assert list(wire.ask("GET", "/product/fetch/gadget").json["versions"]) == ["v1"]
    until(lambda: not stages(hub), 5)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_every_body_has_its_verdict(running: HubProcess, wire: Wire, body: Body) -> None:
    answer = wire.ask("POST", VERSIONS, body.data, {"Content-Type": body.content_type})
    assert answer.status == body.status, answer.body[:300]
    assert isinstance(answer.json["detail"], str)
    for path in (PAGES, "/api/packages"):
        answer = wire.ask("POST", path, body.data, {"Content-Type": body.content_type})
        assert answer.status in {400, 413, 415, 422}, (path, answer.body[:300])
        assert isinstance(answer.json["detail"], str)
    for method, path in ARTIFACTS:
        answer = wire.ask(method, path, body.data, {"Content-Type": body.content_type})
        assert answer.status in {400, 413}, (path, answer.body[:300])
        assert isinstance(answer.json["error"], str)
    check_clean(running, wire)


@needs_artifacts
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_so_it_has_as_an_artifact(running: HubProcess, wire: Wire, body: Body) -> None:
    """Any file will do there, so a form is understood if it is one."""
    before, edge, after = body.data.partition(b"--frontier\r\n")
    data = before + THERE + edge + after if edge else body.data
    answer = wire.ask("POST", UPLOAD, data, {"Content-Type": body.content_type})
    assert answer.status in ({409} if body.status == 409 else {400, 409, 413}), answer.body[:300]
    assert isinstance(answer.json["error"], str)
    check_clean(running, wire)


def begin(wire: Wire, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    wire.socket.sendall(wire.head("POST", VERSIONS, {"Content-Type": FORM, **named}))


@pytest.mark.parametrize("cut", [0, 1, 100, len(WHOLE) // 2, len(WHOLE) - 1])
def test_who_hangs_up_in_a_body_leaves_nothing(running: HubProcess, wire: Wire, cut: int) -> None:
    with running.wire() as other:
        begin(other, Content_Length=str(len(WHOLE)))
        other.socket.sendall(WHOLE[:cut])
        other.socket.shutdown(socket.SHUT_WR)
        assert other.reader.read() == b""
    with running.wire() as other:
        begin(other, Transfer_Encoding="chunked")
        other.socket.sendall(b"%x\r\n" % len(WHOLE) + WHOLE[:cut])
        other.socket.shutdown(socket.SHUT_WR)
        assert other.reader.read() == b""
    check_clean(running, wire)


@pytest.mark.parametrize("short", [1, 2, 20, 200])
def test_a_length_that_is_too_small_cuts_the_form(
    running: HubProcess, wire: Wire, short: int
) -> None:
    """What is left of the body is no request."""
    with running.wire() as other:
        begin(other, Content_Length=str(len(WHOLE) - short))
        with suppress(OSError):
            other.socket.sendall(WHOLE)
        answer = other.receive()
        # The last line end of a form may be missing.
        assert answer.status == (409 if short <= 2 else 400)
    check_clean(running, wire)


TOO_LARGE = (413, {"detail": "the request is too large"})
TOO_SMALL = (400, {"detail": "the chunks are too small"})


@pytest.mark.parametrize(
    ("piece", "most", "refusal"),
    [
        (b"10000\r\n" + b"x" * 65_536 + b"\r\n", 32 * MIB, TOO_LARGE),
        (b"80\r\n" + b"x" * 128 + b"\r\n", 32 * MIB, TOO_LARGE),
        (b"1\r\nx\r\n", 8 * MIB, TOO_SMALL),
        (b"1;" + b"y" * 900 + b"\r\nx\r\n", 16 * MIB, TOO_SMALL),
    ],
    ids=["large", "middling", "tiny", "tiny-with-extensions"],
)
def test_a_body_without_an_end_is_refused_soon(
    running: HubProcess, wire: Wire, piece: bytes, most: int, refusal: tuple[int, object]
) -> None:
    several, sent = piece * max(1, 60_000 // len(piece)), 0
    with running.wire() as other:
        begin(other, Transfer_Encoding="chunked")
        with suppress(OSError):
            while sent < 64 * MIB:
                sent += other.socket.send(several)
        # After a refusal some is thrown away, so that whoever still sends can hear of it.
        assert sent < most + MOST_THROWN_AWAY
        with suppress(OSError):  # It may be lost with what was still on its way.
            answer = other.receive()
            assert (answer.status, answer.json) == refusal
    check_clean(running, wire)
