"""The desktop client's tour through a real server, every byte as .NET writes it.

WebTest calls the application; here are the things that only a server and a socket show: keep-alive,
bodies that come late or in chunks, readers that are slow, a prefix before every URL.
"""

import hashlib
import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from tests.support.archives import make_zip, manifest, package_zip, read_zip
from tests.support.process import FORM_TYPE, HubProcess, Wire, multipart

pytestmark = pytest.mark.long

PREFIX = "/workshop"
PACKAGES = f"{PREFIX}/api/packages/"
DELETED = {"reason": "Deleted via Celbridge."}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("served")
    # Waitress keeps less of an answer than the large ones have, or no reader would ever be slow.
    server = {"outbuf_high_watermark": str(MIB), "url_prefix": PREFIX}
    with HubProcess(folder, {"uploads.max_size": str(64 * MIB)}, server) as hub:
        yield hub


@pytest.fixture
def wire(running: HubProcess) -> Iterator[Wire]:
    with running.wire() as wire:
        yield wire


def workbench_zip(name: str, **files: str | bytes) -> bytes:
    """A ZIP of the desktop client: its manifest names no author, and there is no history."""
    files = files or {"readme.md": f"About {name}."}
    return make_zip({"package.toml": manifest(name, author=None), **files})


def test_the_tour_of_the_desktop_client_below_a_prefix(running: HubProcess) -> None:
    """All package calls of the client, over one connection, each ending in a slash."""
    with Wire(running.port, running.organisation("desktop")) as wire:
        tour(wire)


def tour(wire: Wire) -> None:
    packages, prefix = PACKAGES, PREFIX
    assert wire.ask("GET", packages).json == []
    assert wire.ask("GET", f"{packages}my-widget/").status == 404

    first = wire.publish(
        "my-widget", workbench_zip("my-widget"), prefix, author="Acme", summary="The first"
    )
    assert first.status == 201, first.body
    assert first.json["package"] == "my-widget"
    assert (first.json["version"], first.json["author"]) == (1, "Acme")
    assert first.json["download_url"] == f"{packages}my-widget/versions/1/download"
    second = wire.publish("my-widget", workbench_zip("my-widget", a="b"), prefix, author="Acme")
    assert second.json["version"] == 2

    listed = wire.ask("GET", packages).json
    assert [(each["name"], each["versions_count"]) for each in listed] == [("my-widget", 2)]
    assert datetime.fromisoformat(listed[0]["latest_version"]["date"]).tzinfo is not None
    info = wire.ask("GET", f"{packages}my-widget/").json
    assert [each["version"] for each in info["versions"]] == [2, 1]
    assert [each["tombstoned"] for each in info["versions"]] == [False, False]
    assert info["versions"][1]["summary"] == "The first"

    download = wire.ask("GET", f"{packages}my-widget/versions/1/download/")
    assert hash_of(download.body) == first.json["content_hash"]
    assert {"package.toml", "HISTORY.md", "readme.md"} == set(read_zip(download.body))
    assert wire.ask("GET", first.json["download_url"]).body == download.body
    latest = wire.ask("GET", f"{packages}my-widget/latest/")
    assert hash_of(latest.body) == second.json["content_hash"]

    alias = f"{packages}my-widget/aliases/stable/"
    assert wire.ask_json("PUT", alias, {"version": 1}).status == 200
    assert wire.ask_json("PUT", alias, {"version": 9}).status == 404
    aliases = wire.ask("GET", f"{packages}my-widget/").json["aliases"]
    assert [(each["name"], each["version"]) for each in aliases] == [("latest", 2), ("stable", 1)]
    assert wire.ask("DELETE", alias).status == 204
    assert wire.ask("DELETE", alias).status == 404

    history = wire.ask("GET", f"{packages}my-widget/versions/2/history/")
    assert history.headers["content-type"] == "text/markdown; charset=utf-8"
    assert first.json["content_hash"] in history.body.decode()

    version = f"{packages}my-widget/versions/2/"
    assert wire.ask_json("DELETE", version, DELETED).json["tombstoned"] is True
    assert wire.ask_json("DELETE", version, DELETED).status == 410
    assert wire.ask("GET", f"{version}download/").status == 410
    assert wire.ask("GET", f"{packages}my-widget/versions/7/download/").status == 404
    tombstone = wire.ask("GET", f"{packages}my-widget/").json["versions"][0]
    assert tombstone["tombstone_reason"] == DELETED["reason"]
    assert tombstone["content_hash"] == second.json["content_hash"]
    latest = wire.ask("GET", f"{packages}my-widget/latest/")
    assert hash_of(latest.body) == first.json["content_hash"]

    assert wire.ask_json("DELETE", f"{packages}my-widget/", DELETED).status == 204
    assert wire.ask("GET", f"{packages}my-widget/latest/").status == 404
    assert wire.ask("GET", f"{packages}my-widget/versions/1/download/").status == 410
    third = wire.publish("my-widget", workbench_zip("my-widget"), prefix, author="Acme")
    assert third.json["version"] == 3


def hash_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_link_to_the_next_page_has_the_prefix(running: HubProcess) -> None:
    with Wire(running.port, running.organisation("paging")) as wire:
        for name in ("a", "b"):
            wire.publish(name, package_zip(name), PREFIX)
        link = wire.ask("GET", f"{PACKAGES}?limit=1").headers["link"]
        target = link.partition("<")[2].partition(">")[0]
        path = target.removeprefix(f"http://127.0.0.1:{running.port}")
        assert path.startswith("/workshop/api/packages")
        assert [each["name"] for each in wire.ask("GET", path).json] == ["b"]


def test_head_leaves_the_connection_usable(wire: Wire) -> None:
    wire.publish("headed", package_zip("headed"), PREFIX)
    path = f"{PACKAGES}headed/versions/1/download/"
    for _ in range(3):
        head = wire.ask("HEAD", path)
        body = wire.ask("GET", path)
        assert (head.status, body.status) == (200, 200)
        assert head.headers["content-length"] == body.headers["content-length"]
        assert head.headers["etag"] == body.headers["etag"]
    assert wire.ask("HEAD", PACKAGES).status == 200
    assert wire.ask("HEAD", f"{PACKAGES}nothing/").status == 404
    assert wire.ask("GET", f"{PACKAGES}headed/").status == 200


def test_a_body_is_sent_once_the_hub_says_continue(wire: Wire) -> None:
    body = multipart("awaited", package_zip("awaited"))
    headers = {"Content-Type": FORM_TYPE, "Content-Length": str(len(body))}
    path = f"{PACKAGES}awaited/versions/"
    wire.socket.sendall(wire.head("POST", path, {**headers, "Expect": "100-continue"}))
    assert wire.receive_head()[0] == 100
    wire.socket.sendall(body)
    assert wire.receive("POST").status == 201


def test_a_body_may_come_in_chunks(wire: Wire) -> None:
    archive = package_zip("chunked", noise=os.urandom(300_000))
    body = multipart("chunked", archive)
    path = f"{PACKAGES}chunked/versions/"
    headers = {"Content-Type": FORM_TYPE, "Transfer-Encoding": "chunked"}
    wire.socket.sendall(wire.head("POST", path, headers))
    for at in range(0, len(body), 65_536):
        piece = body[at : at + 65_536]
        wire.socket.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    wire.socket.sendall(b"0\r\n\r\n")
    answer = wire.receive("POST")
    assert answer.status == 201, answer.body
    stored = wire.ask("GET", answer.json["download_url"]).body
    assert read_zip(stored)["noise"] == read_zip(archive)["noise"]


def test_a_body_that_is_cut_off_leaves_nothing(running: HubProcess, wire: Wire) -> None:
    body = multipart("cut", package_zip("cut", noise=os.urandom(2 * MIB)))
    headers = {"Content-Type": FORM_TYPE, "Content-Length": str(len(body))}
    with running.wire() as cut:
        path = f"{PACKAGES}cut/versions/"
        cut.socket.sendall(cut.head("POST", path, headers) + body[: len(body) // 2])
    assert wire.ask("GET", f"{PACKAGES}cut/").status == 404
    assert list((running.blobs / ".stage").iterdir()) == []


def test_ranges_can_be_fetched_and_resumed(wire: Wire) -> None:
    content_hash = publish_large(wire, "ranged")
    path = f"{PACKAGES}ranged/versions/1/download/"
    head = wire.ask("HEAD", path)
    size, tag = int(head.headers["content-length"]), head.headers["etag"]
    pieces = []
    for first in range(0, size, 3 * MIB):
        last = min(first + 3 * MIB, size) - 1
        wish = {"Range": f"bytes={first}-{last}", "If-Range": tag}
        part = wire.ask("GET", path, headers=wish)
        assert part.status == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
        pieces.append(part.body)
    assert hash_of(b"".join(pieces)) == content_hash
    beyond = wire.ask("GET", path, headers={"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")


def publish_large(wire: Wire, name: str) -> str:
    archive = make_zip(
        {"package.toml": manifest(name), "noise": os.urandom(12 * MIB)}, zipfile.ZIP_STORED
    )
    answer = wire.publish(name, archive, PREFIX)
    assert answer.status == 201, answer.body
    content_hash: str = answer.json["content_hash"]
    return content_hash


def test_slow_readers_hold_up_nobody(running: HubProcess, wire: Wire) -> None:
    content_hash = publish_large(wire, "slow")
    path = f"{PACKAGES}slow/versions/1/download/"
    readers = [running.wire() for _ in range(8)]
    try:
        for number, reader in enumerate(readers):
            wish = {"Range": "bytes=0-"} if number % 2 else {}
            reader.socket.sendall(reader.head("GET", path, wish))
            assert reader.receive_head()[0] == (206 if number % 2 else 200)
        # None of them reads on, and they are more than the threads of the hub.
        assert wire.ask("GET", f"{PACKAGES}slow/").status == 200
        assert wire.publish("quick", package_zip("quick"), PREFIX).status == 201
        for reader in readers[:2]:
            size = int(wire.ask("HEAD", path).headers["content-length"])
            assert hash_of(reader.reader.read(size)) == content_hash
    finally:
        for reader in readers:
            reader.close()


def test_many_clients_share_the_hub(running: HubProcess) -> None:
    def visit(number: int) -> int:
        with running.wire() as wire:
            name = f"visitor-{number}"
            assert wire.publish(name, package_zip(name), PREFIX).status == 201
            return wire.ask("GET", f"{PACKAGES}{name}/latest/").status

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(visit, range(32))) == [200] * 32
