"""The desktop client's page calls through a real server, every byte as .NET writes them; then visits.

WebTest calls the application; here are the things that only a server and a socket show: keep-alive,
pieces of large files, readers that are slow, hosts and prefixes as they are written.
"""

import gzip
import hashlib
import random
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from io import BytesIO

import pytest

from tests.support.archives import make_zip
from tests.support.process import Answer, HubProcess, Wire

pytestmark = pytest.mark.long

MIB = 1024 * 1024
SITE = {
    "index.html": "<!doctype html><link rel=stylesheet href=style/main.css><p>Hello",
    "style/main.css": "p { color: teal }\n" * 40,
    "guide/index.html": "<!doctype html><p>Guide",
    "grün %?/index.html": "<!doctype html><p>Green",
}
GZIP, IDENTITY = {"Accept-Encoding": "gzip, deflate, br"}, {"Accept-Encoding": "identity"}

# Some MiB, of which one deflates to about a half: too many for any buffer on the way.
LARGE = {
    "stored.bin": random.Random(6).randbytes(5 * MIB),
    "deflated.txt": random.Random(5).randbytes(2 * MIB).hex().encode(),
}
SENDINGS = [("stored.bin", GZIP), ("deflated.txt", GZIP), ("deflated.txt", IDENTITY)]


def large_zip(index: str) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.html", index)
        archive.writestr("stored.bin", LARGE["stored.bin"], zipfile.ZIP_STORED)
        archive.writestr("deflated.txt", LARGE["deflated.txt"], zipfile.ZIP_DEFLATED, 1)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that keeps no past publications and holds little of an answer that is read slowly."""
    # Waitress would hold an answer of up to 16 MiB itself, and no thread would have to wait.
    settings, server = {"pages.keep_publications": "0"}, {"outbuf_high_watermark": str(MIB)}
    with HubProcess(tmp_path_factory.mktemp("served"), settings, server) as hub, hub.wire() as wire:
        assert wire.publish_page(make_zip(SITE), path="site").status == 201
        assert wire.publish_page(large_zip("large"), path="large").status == 201
        yield hub


@pytest.fixture
def wire(running: HubProcess) -> Iterator[Wire]:
    with running.wire() as wire:
        yield wire


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub below a prefix, with another host for pages."""
    settings, server = {"pages_host": "pages.example.net:8443"}, {"url_prefix": "/workshop"}
    with HubProcess(tmp_path_factory.mktemp("apart"), settings, server) as hub:
        yield hub


def test_the_page_calls_of_the_desktop_client(wire: Wire) -> None:
    """None ends in a slash, and its ZIPs have no `pages.toml`."""
    assert wire.ask("GET", "/api/pages/dev/chess24").status == 404
    archive = make_zip(SITE)
    first = wire.publish_page(archive, path="dev/chess24", author="Acme")
    assert first.status == 201, first.body
    assert first.json["path"] == "dev/chess24"
    assert first.json["url"] == "/pages/acme/dev/chess24/"
    assert first.json["published_by"] == "Acme"
    assert first.json["content_hash"] == hashlib.sha256(archive).hexdigest()
    assert first.json["published_at"].endswith("Z")
    assert datetime.fromisoformat(first.json["published_at"]).tzinfo is not None
    anonymous = wire.publish_page(archive, path="dev/other")
    assert (anonymous.status, anonymous.json["published_by"]) == (201, "service")

    listed = wire.ask("GET", "/api/pages").json
    assert [each["path"] for each in listed[:2]] == ["dev/other", "dev/chess24"]
    assert wire.ask("GET", "/api/pages/dev/chess24").json == listed[1] == first.json
    assert wire.ask("GET", first.json["url"]).body.decode() == SITE["index.html"]
    for data, path, status, detail in (
        (archive, "dev", 409, "path overlaps published page 'dev/"),
        (archive, "A", 422, "invalid path segment: 'A'"),
        (b"no ZIP", "a", 422, "invalid pages bundle - file is not a valid ZIP"),
    ):
        refused = wire.publish_page(data, path=path)
        assert refused.status == status
        assert refused.json["detail"].startswith(detail)

    assert wire.publish_page(make_zip({"index.html": "v2"}), path="dev/chess24").status == 201
    assert wire.ask("GET", first.json["url"]).body == b"v2"
    for path in ("dev/chess24", "dev/other"):
        assert wire.ask("DELETE", f"/api/pages/{path}").status == 204
    gone = wire.ask("DELETE", "/api/pages/dev/chess24")
    assert (gone.status, gone.json) == (404, {"detail": "not currently published"})
    assert wire.ask("GET", first.json["url"]).status == 404


def test_head_get_and_what_is_unchanged_on_one_connection(running: HubProcess) -> None:
    with Wire(running.port) as visitor:
        for name in ("", "style/main.css"):
            for coding in (GZIP, IDENTITY):
                url = f"/pages/acme/site/{name}"
                head, got = (visitor.ask(each, url, headers=coding) for each in ("HEAD", "GET"))
                assert not visitor.is_ending
                assert (head.status, got.status, head.body) == (200, 200, b"")
                assert without_chance(head.headers) == without_chance(got.headers)
                assert int(head.headers["content-length"]) == len(got.body)
                assert decoded(got.headers, got.body).decode() == SITE[name or "index.html"]
                assert ("content-encoding" in got.headers) == (coding == GZIP)
                wish = {**coding, "If-None-Match": got.headers["etag"]}
                same = visitor.ask("GET", url, headers=wish)
                assert (same.status, same.headers["etag"]) == (304, got.headers["etag"])


def without_chance(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name not in {"x-request-id", "date"}}


def decoded(headers: Mapping[str, str], body: bytes) -> bytes:
    return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body


def test_a_large_file_arrives_whole_and_in_pieces(running: HubProcess) -> None:
    with Wire(running.port) as visitor:
        for name, coding in SENDINGS:
            url, content = f"/pages/acme/large/{name}", LARGE[name]
            answer = visitor.ask("GET", url, headers=coding)
            assert len(answer.body) == int(answer.headers["content-length"])
            assert decoded(answer.headers, answer.body) == content
            # Pieces are of the file itself, whoever takes gzip.
            for first, last in ((0, 0), (2 * MIB + 7, 3 * MIB), (70_000, len(content) - 1)):
                wish = {**coding, "Range": f"bytes={first}-{last}"}
                part = visitor.ask("GET", url, headers=wish)
                assert (part.status, "content-encoding" in part.headers) == (206, False)
                assert part.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
                assert part.body == content[first : last + 1]


@pytest.mark.parametrize(("name", "coding"), SENDINGS, ids=["stored", "gzip", "inflated"])
def test_slow_readers_of_a_page_hold_up_nobody(
    running: HubProcess, wire: Wire, name: str, coding: dict[str, str]
) -> None:
    url = f"/pages/acme/large/{name}"
    with ExitStack() as stack:
        readers = []
        for number in range(8):
            reader = stack.enter_context(Wire(running.port))
            wish = {"Range": "bytes=0-"} if number % 2 else {}
            reader.socket.sendall(reader.head("GET", url, coding | wish))
            status, headers = reader.receive_head()
            assert status == (206 if wish else 200)
            readers.append((reader, headers))
        # None of them reads on, and they are more than the threads of the hub.
        assert wire.publish_page(make_zip(SITE), path="quick").status == 201
        assert wire.ask("GET", "/pages/acme/quick/").status == 200
        for reader, headers in readers[:2]:
            body = reader.reader.read(int(headers["content-length"]))
            assert decoded(headers, body) == LARGE[name]
            # What comes next on that connection is an answer, not the rest of this one.
            assert reader.ask("GET", "/pages/acme/site/").status == 200


def test_readers_keep_the_page_that_they_began_with(running: HubProcess, wire: Wire) -> None:
    """Its bytes are let go of while they are being read."""
    assert wire.publish_page(large_zip("leaving"), path="leaving").status == 201
    assert len(large_blobs(running)) == 2
    with ExitStack() as stack:
        readers = []
        for name, coding in SENDINGS:
            reader = stack.enter_context(Wire(running.port))
            reader.socket.sendall(reader.head("GET", f"/pages/acme/leaving/{name}", coding))
            readers.append((name, reader, reader.receive_head()[1]))
        assert wire.publish_page(make_zip(SITE), path="leaving").status == 201
        assert wire.ask("GET", "/pages/acme/leaving/stored.bin").status == 404
        assert len(large_blobs(running)) == 1
        for name, reader, headers in readers:
            body = reader.reader.read(int(headers["content-length"]))
            assert decoded(headers, body) == LARGE[name]


def large_blobs(hub: HubProcess) -> list[int]:
    sizes = [each.stat().st_size for each in hub.blobs.rglob("*") if each.is_file()]
    return [size for size in sizes if size > MIB]


def test_no_host_header_is_trusted(running: HubProcess) -> None:
    for host in ("evil.example", "[::1]:8080", "hub.example.net.", "hub.example.net:", "x" * 4000):
        for path, status in (
            ("/pages/acme/site/", 200),
            ("/pages/acme/site", 308),
            ("/pages/acme/nothing", 404),
            ("/api/pages", 401),
        ):
            answer = ask_host(running, path, f"Host: {host}\r\n")
            assert answer.status == status, answer
            assert answer.headers.get("location", "/pages/acme/site/") == "/pages/acme/site/"
            has_sandbox = "sandbox" in answer.headers.get("content-security-policy", "")
            assert has_sandbox == path.startswith("/pages")


def test_what_is_no_host_is_refused_and_so_is_none(running: HubProcess) -> None:
    hosts = ["", ":", ":80", "a:b:c", "[", "hub.example.net:99999999", "a b", "a/b?c#d", "<script>"]
    hosts += ["h\xfcb.example", "user:secret@hub.example", "127.0.0.1, evil.example"]
    for line in ("", *(f"Host: {host}\r\n" for host in hosts)):
        page = ask_host(running, "/pages/acme/site/", line)
        assert (page.status, page.is_ending) == (400, True)
        assert page.headers["content-type"].startswith("text/html")
        assert b"<h1>Not possible</h1>" in page.body
        api = ask_host(running, "/api/pages", line)
        assert (api.status, api.is_ending) == (400, True)
        assert not line or api.json == {"detail": "the host of the request is not valid"}


def ask_host(hub: HubProcess, path: str, line: str) -> Answer:
    with Wire(hub.port) as visitor:
        visitor.socket.sendall(f"GET {path} HTTP/1.1\r\n{line}\r\n".encode("latin-1"))
        return visitor.receive()


def test_pages_may_have_a_host_of_their_own_below_a_prefix(apart: HubProcess) -> None:
    with apart.wire() as wire:

        def ask(path: str, host: str, method: str = "GET") -> tuple[int, str]:
            answer = wire.ask(method, f"/workshop{path}", headers={"Host": host})
            assert "sandbox" not in answer.headers.get("content-security-policy", "")
            return answer.status, answer.headers.get("location", "")

        assert wire.publish_page(make_zip(SITE), "/workshop", path="site").status == 201
        for host in ("pages.example.net", "PAGES.example.NET:8443", "pages.example.net."):
            for path in ("site", "site/guide", "site/gr%C3%BCn%20%25%3F"):
                assert ask(f"/pages/acme/{path}/", host) == (200, "")
                assert ask(f"/pages/acme/{path}", host) == (308, f"/workshop/pages/acme/{path}/")
            for path in ("/api/pages", "/api/packages", "/api/pages/site", "/_ah/health", "/api"):
                assert ask(path, host) == (404, ""), (path, host)
            assert ask("/api/pages/site", host, "DELETE") == (404, "")
            refused = wire.publish_page(make_zip(SITE), "/workshop", {"Host": host}, path="other")
            assert refused.status == 404
        for host in ("127.0.0.1", "pages.example.net.evil.example"):
            assert ask("/api/pages", host)[0] == 200
            for path in ("/pages/acme/site/data.json?a=1", "/pages/acme/site", "/pages/acme/none/"):
                moved = (308, f"http://pages.example.net:8443/workshop{path}")
                assert ask(path, host) == ask(path, host, "HEAD") == moved
