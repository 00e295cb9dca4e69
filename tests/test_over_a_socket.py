"""The desktop client's tour through a real server, every byte as .NET writes it.

WebTest calls the application; here are the things that only a server and a socket show: keep-alive,
bodies that come late or in chunks, readers that are slow, a prefix before every URL.
"""

import hashlib
import os
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.archives import make_zip, manifest, package_zip, read_zip
from tests.support.process import FORM_TYPE, HubProcess, Wire, multipart

pytestmark = pytest.mark.long

DELETED = {"reason": "Deleted via Celbridge."}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("served")
    # Waitress keeps less of an answer than the large ones have, or no reader would ever be slow.
    server = {"outbuf_high_watermark": str(MIB)}
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


def test_the_tour_of_the_desktop_client(wire: Wire) -> None:
    tour(wire, "")


def test_the_same_tour_below_a_prefix(tmp_path: Path) -> None:
    with HubProcess(tmp_path, server={"url_prefix": "/workshop"}) as hub, hub.wire() as wire:
        tour(wire, "/workshop")


def tour(wire: Wire, prefix: str) -> None:
    """All package calls of the client, over one connection, each ending in a slash."""
    packages = f"{prefix}/api/packages/"
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


def test_a_link_to_the_next_page_has_the_prefix(tmp_path: Path) -> None:
    with HubProcess(tmp_path, server={"url_prefix": "/workshop"}) as hub, hub.wire() as wire:
        for name in ("a", "b"):
            wire.publish(name, package_zip(name), "/workshop")
        link = wire.ask("GET", "/workshop/api/packages/?limit=1").headers["link"]
        target = link.partition("<")[2].partition(">")[0]
        path = target.removeprefix(f"http://127.0.0.1:{hub.port}")
        assert path.startswith("/workshop/api/packages")
        assert [each["name"] for each in wire.ask("GET", path).json] == ["b"]


def test_a_bad_key_is_told_apart_from_all_else(running: HubProcess) -> None:
    with Wire(running.port, "kpf_00000000_" + "x" * 43) as stranger:
        answer = stranger.ask("GET", "/api/packages/")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Api-Key")
        assert stranger.publish("a-b", package_zip("a-b")).status == 401


def test_errors_are_sentences_for_people(wire: Wire) -> None:
    answer = wire.publish("no-author", workbench_zip("no-author"))
    assert answer.status == 400
    assert answer.json["detail"].startswith("invalid package - ")
    answer = wire.publish("no-zip", b"not a ZIP")
    assert (answer.status, answer.json["detail"]) == (
        400,
        "invalid package - file is not a valid ZIP",
    )


def test_head_leaves_the_connection_usable(wire: Wire) -> None:
    wire.publish("headed", package_zip("headed"))
    path = "/api/packages/headed/versions/1/download/"
    for _ in range(3):
        head = wire.ask("HEAD", path)
        body = wire.ask("GET", path)
        assert (head.status, body.status) == (200, 200)
        assert head.headers["content-length"] == body.headers["content-length"]
        assert head.headers["etag"] == body.headers["etag"]
    assert wire.ask("HEAD", "/api/packages/").status == 200
    assert wire.ask("HEAD", "/api/packages/nothing/").status == 404
    assert wire.ask("GET", "/api/packages/headed/").status == 200


def test_an_unchanged_download_is_not_sent_again(wire: Wire) -> None:
    wire.publish("cached", package_zip("cached"))
    path = "/api/packages/cached/latest/"
    tag = wire.ask("GET", path).headers["etag"]
    answer = wire.ask("GET", path, headers={"If-None-Match": tag})
    assert (answer.status, answer.body) == (304, b"")


def test_a_body_is_sent_once_the_hub_says_continue(wire: Wire) -> None:
    body = multipart("awaited", package_zip("awaited"))
    headers = {"Content-Type": FORM_TYPE, "Content-Length": str(len(body))}
    path = "/api/packages/awaited/versions/"
    wire.socket.sendall(wire.head("POST", path, {**headers, "Expect": "100-continue"}))
    assert wire.receive_head()[0] == 100
    wire.socket.sendall(body)
    assert wire.receive("POST").status == 201


def test_a_body_may_come_in_chunks(wire: Wire) -> None:
    archive = package_zip("chunked", noise=os.urandom(300_000))
    body = multipart("chunked", archive)
    path = "/api/packages/chunked/versions/"
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
        path = "/api/packages/cut/versions/"
        cut.socket.sendall(cut.head("POST", path, headers) + body[: len(body) // 2])
    assert wire.ask("GET", "/api/packages/cut/").status == 404
    assert list((running.blobs / ".stage").iterdir()) == []


def test_ranges_can_be_fetched_and_resumed(wire: Wire) -> None:
    content_hash = publish_large(wire, "ranged")
    path = "/api/packages/ranged/versions/1/download/"
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
    answer = wire.publish(name, archive)
    assert answer.status == 201, answer.body
    content_hash: str = answer.json["content_hash"]
    return content_hash


def test_slow_readers_hold_up_nobody(running: HubProcess, wire: Wire) -> None:
    content_hash = publish_large(wire, "slow")
    path = "/api/packages/slow/versions/1/download/"
    readers = [running.wire() for _ in range(8)]
    try:
        for number, reader in enumerate(readers):
            wish = {"Range": "bytes=0-"} if number % 2 else {}
            reader.socket.sendall(reader.head("GET", path, wish))
            assert reader.receive_head()[0] == (206 if number % 2 else 200)
        # None of them reads on, and they are more than the threads of the hub.
        started = time.monotonic()
        assert wire.ask("GET", "/api/packages/slow/").status == 200
        assert wire.publish("quick", package_zip("quick")).status == 201
        assert time.monotonic() - started < 5
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
            assert wire.publish(name, package_zip(name)).status == 201
            return wire.ask("GET", f"/api/packages/{name}/latest/").status

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(visit, range(32))) == [200] * 32
