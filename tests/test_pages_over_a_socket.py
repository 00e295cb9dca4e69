"""The desktop client's page calls through a real server, every byte as .NET writes them; then visits.

WebTest calls the application; here are the things that only a server and a socket show: keep-alive,
both codings, pieces of large files, readers that are slow, hosts and prefixes as they are written.
"""

import gzip
import hashlib
import random
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.archives import make_zip, page_zip
from tests.support.process import Answer, HubProcess, Wire

pytestmark = pytest.mark.long

MIB = 1024 * 1024
SITE = {
    "index.html": "<!doctype html><link rel=stylesheet href=style/main.css><p>Hello",
    "style/main.css": "p { color: teal }\n" * 40,
    "guide/index.html": "<!doctype html><p>Guide",
    "data.json": '{"answer": 42}',
}
GZIP, IDENTITY = {"Accept-Encoding": "gzip, deflate, br"}, {"Accept-Encoding": "identity"}

# Some MiB that deflate to about half of that: too many for any buffer on the way.
LINES = random.Random(5).randbytes(3 * MIB).hex().encode()
NOISE = random.Random(6).randbytes(6 * MIB)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("served")
    # Waitress would hold an answer of up to 16 MiB itself, and no thread would have to wait.
    settings, server = {"uploads.max_size": str(64 * MIB)}, {"outbuf_high_watermark": str(MIB)}
    with HubProcess(folder, settings, server) as hub, hub.wire() as wire:
        assert wire.publish_page(make_zip(SITE), path="site").status == 201
        assert wire.publish_page(large_zip(), path="large").status == 201
        yield hub


@cache
def large_zip() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.html", "large")
        archive.writestr("stored.bin", NOISE, zipfile.ZIP_STORED)
        archive.writestr("deflated.txt", LINES, zipfile.ZIP_DEFLATED, 1)
    return buffer.getvalue()


LARGE = {"stored.bin": NOISE, "deflated.txt": LINES}
SENDINGS = [("stored.bin", GZIP), ("deflated.txt", GZIP), ("deflated.txt", IDENTITY)]


@pytest.fixture
def wire(running: HubProcess) -> Iterator[Wire]:
    with running.wire() as wire:
        yield wire


@pytest.fixture
def visitor(running: HubProcess) -> Iterator[Wire]:
    """Somebody without a key."""
    with Wire(running.port) as wire:
        yield wire


@pytest.fixture(scope="module")
def below_prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("prefixed")
    with HubProcess(folder, server={"url_prefix": "/workshop"}) as hub:
        yield hub


def test_the_page_calls_of_the_desktop_client(wire: Wire) -> None:
    tour(wire, "", already=2)


def test_the_same_calls_below_a_prefix(below_prefix: HubProcess) -> None:
    with below_prefix.wire() as wire:
        tour(wire, "/workshop", already=0)


def tour(wire: Wire, prefix: str, already: int) -> None:
    """All page calls of the client; none ends in a slash, and its ZIPs have no `pages.toml`."""
    pages = f"{prefix}/api/pages"
    assert len(wire.ask("GET", pages).json) == already
    assert wire.ask("GET", f"{pages}/dev/chess24").status == 404

    archive = make_zip(SITE)
    first = wire.publish_page(archive, prefix, path="dev/chess24", author="Acme")
    assert first.status == 201, first.body
    assert first.json["path"] == "dev/chess24"
    assert first.json["url"] == f"{prefix}/pages/acme/dev/chess24/"
    assert first.json["published_by"] == "Acme"
    assert first.json["content_hash"] == hashlib.sha256(archive).hexdigest()
    assert first.json["published_at"].endswith("Z")
    assert datetime.fromisoformat(first.json["published_at"]).tzinfo is not None
    anonymous = wire.publish_page(archive, prefix, path="dev/other")
    assert (anonymous.status, anonymous.json["published_by"]) == (201, "service")

    listed = wire.ask("GET", pages).json
    assert [each["path"] for each in listed[:2]] == ["dev/other", "dev/chess24"]
    assert wire.ask("GET", f"{pages}/dev/chess24").json == listed[1] == first.json
    assert wire.ask("GET", first.json["url"]).body.decode() == SITE["index.html"]

    for path in ("dev", "dev/chess24/a", "dev/chess24/a/b"):
        refused = wire.publish_page(archive, prefix, path=path)
        assert refused.status == 409, path
        assert refused.json["detail"].startswith("path overlaps published page 'dev/")
    again = wire.publish_page(make_zip({"index.html": "v2"}), prefix, path="dev/chess24")
    assert again.status == 201
    assert wire.ask("GET", first.json["url"]).body == b"v2"
    assert wire.ask("GET", f"{first.json['url']}data.json").status == 404

    assert wire.ask("DELETE", f"{pages}/dev/chess24").status == 204
    assert wire.ask("DELETE", f"{pages}/dev/chess24").status == 404
    gone = wire.ask("GET", f"{pages}/dev/chess24")
    assert (gone.status, gone.json) == (404, {"detail": "not currently published"})
    assert wire.ask("GET", first.json["url"]).status == 404
    assert wire.ask("DELETE", f"{pages}/dev/other").status == 204
    assert len(wire.ask("GET", pages).json) == already


def test_the_path_in_the_manifest_goes_before_the_one_in_the_form(wire: Wire) -> None:
    answer = wire.publish_page(page_zip("from/manifest"), path="from/form")
    assert (answer.status, answer.json["path"]) == (201, "from/manifest")
    assert wire.ask("GET", "/api/pages/from/form").status == 404


def test_refusals_are_sentences_for_people(wire: Wire) -> None:
    for archive, fields, status, detail in (
        (b"no ZIP", {"path": "a"}, 422, "invalid pages bundle - file is not a valid ZIP"),
        (make_zip(SITE), {}, 422, "invalid pages bundle - missing top-level `pages.toml`"),
        (make_zip(SITE), {"path": "A"}, 422, "invalid path segment: 'A'"),
    ):
        answer = wire.publish_page(archive, **fields)
        assert (answer.status, answer.json["detail"]) == (status, detail)


def test_a_bad_key_publishes_nothing(running: HubProcess, visitor: Wire) -> None:
    with Wire(running.port, "kpf_00000000_" + "x" * 43) as stranger:
        answer = stranger.publish_page(make_zip(SITE), path="stolen")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Api-Key")
        # Reading looks at no credential, so a bad one does no harm.
        assert stranger.ask("GET", "/pages/acme/site/").status == 200
    assert visitor.ask("GET", "/pages/acme/stolen/").status == 404


@pytest.mark.parametrize("name", [*SITE, ""])
def test_head_then_get_on_one_connection(visitor: Wire, name: str) -> None:
    for headers in (GZIP, IDENTITY, {}):
        head = visitor.ask("HEAD", f"/pages/acme/site/{name}", headers=headers)
        got = visitor.ask("GET", f"/pages/acme/site/{name}", headers=headers)
        assert not visitor.is_ending
        assert (head.status, got.status, head.body) == (200, 200, b"")
        assert without_chance(head.headers) == without_chance(got.headers)
        assert int(head.headers["content-length"]) == len(got.body)
        assert decoded(got.headers, got.body).decode() == SITE[name or "index.html"]
        assert ("content-encoding" in got.headers) == (headers == GZIP)


def without_chance(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name not in {"x-request-id", "date"}}


def decoded(headers: Mapping[str, str], body: bytes) -> bytes:
    return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body


def test_what_is_unchanged_is_not_sent_again(wire: Wire) -> None:
    url = "/pages/acme/changing/style/main.css"
    wire.publish_page(make_zip(SITE), path="changing")
    for coding in (GZIP, IDENTITY):
        first = wire.ask("GET", url, headers=coding)
        for name in ("etag", "last-modified"):
            condition = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}[name]
            wish = {**coding, condition: first.headers[name]}
            answer = wire.ask("GET", url, headers=wish)
            assert (answer.status, answer.body) == (304, b"")
            assert answer.headers["etag"] == first.headers["etag"]
            assert "accept-encoding" in answer.headers["vary"].lower()
    other = make_zip({**SITE, "style/main.css": "p { color: red }"})
    wire.publish_page(other, path="changing")
    for coding in (GZIP, IDENTITY):
        wish = {**coding, "If-None-Match": first.headers["etag"]}
        assert wire.ask("GET", url, headers=wish).status == 200
        wish = {**coding, "If-Modified-Since": first.headers["last-modified"]}
        assert wire.ask("GET", url, headers=wish).status == 200


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("coding", [GZIP, IDENTITY], ids=["gzip", "identity"])
def test_a_large_file_arrives_whole(visitor: Wire, name: str, coding: dict[str, str]) -> None:
    answer = visitor.ask("GET", f"/pages/acme/large/{name}", headers=coding)
    assert len(answer.body) == int(answer.headers["content-length"])
    assert decoded(answer.headers, answer.body) == LARGE[name]
    assert ("content-encoding" in answer.headers) == (coding == GZIP and name == "deflated.txt")


@pytest.mark.parametrize("name", LARGE)
def test_a_large_file_can_be_fetched_in_pieces(visitor: Wire, name: str) -> None:
    url, content = f"/pages/acme/large/{name}", LARGE[name]
    size = len(content)
    head = visitor.ask("HEAD", url, headers=IDENTITY)
    assert head.headers["accept-ranges"] == "bytes"
    for wish, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=0-1048575", 0, MIB - 1),
        (f"bytes={2 * MIB + 7}-{5 * MIB}", 2 * MIB + 7, 5 * MIB),
        (f"bytes={size - 3}-", size - 3, size - 1),
        ("bytes=-70000", size - 70_000, size - 1),
        (f"bytes=5-{10 * size}", 5, size - 1),
    ):
        # Pieces are of the file itself, whoever takes gzip.
        for coding in (IDENTITY, GZIP):
            headers = {**coding, "Range": wish, "If-Range": head.headers["etag"]}
            part = visitor.ask("GET", url, headers=headers)
            assert (part.status, "content-encoding" in part.headers) == (206, False), wish
            assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
            assert part.body == content[first : last + 1], wish
    beyond = visitor.ask("GET", url, headers={"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    stale = visitor.ask("GET", url, headers={"Range": "bytes=0-9", "If-Range": '"old"'})
    assert (stale.status, decoded(stale.headers, stale.body)) == (200, content)


@pytest.mark.parametrize(("name", "coding"), SENDINGS, ids=["stored", "gzip", "inflated"])
def test_slow_readers_of_a_page_hold_up_nobody(
    running: HubProcess, wire: Wire, name: str, coding: dict[str, str]
) -> None:
    url = f"/pages/acme/large/{name}"
    with ExitStack() as stack:
        readers = [stack.enter_context(Wire(running.port)) for _ in range(8)]
        sizes = []
        for number, reader in enumerate(readers):
            wish = {"Range": "bytes=0-"} if number % 2 else {}
            reader.socket.sendall(reader.head("GET", url, coding | wish))
            status, headers = reader.receive_head()
            assert status == (206 if wish else 200)
            sizes.append((headers, int(headers["content-length"])))
        # None of them reads on, and they are more than the threads of the hub.
        started = time.monotonic()
        assert wire.ask("GET", "/pages/acme/site/").status == 200
        assert wire.publish_page(make_zip(SITE), path="quick").status == 201
        assert wire.ask("GET", "/pages/acme/quick/").status == 200
        assert time.monotonic() - started < 5
        for reader, (headers, size) in list(zip(readers, sizes, strict=True))[:2]:
            assert decoded(headers, reader.reader.read(size)) == LARGE[name]
            # What comes next on that connection is an answer, not the rest of this one.
            assert reader.ask("GET", "/pages/acme/site/").status == 200


def test_readers_keep_the_page_that_they_began_with(tmp_path: Path) -> None:
    """Its bytes are let go of while they are being read."""
    settings = {"uploads.max_size": str(64 * MIB), "pages.keep_publications": "0"}
    with HubProcess(tmp_path, settings) as hub, hub.wire() as wire, ExitStack() as stack:
        assert wire.publish_page(large_zip(), path="large").status == 201
        readers = []
        for name, coding in SENDINGS:
            reader = stack.enter_context(Wire(hub.port))
            reader.socket.sendall(reader.head("GET", f"/pages/acme/large/{name}", coding))
            readers.append((name, reader, reader.receive_head()[1]))
        assert wire.publish_page(make_zip(SITE), path="large").status == 201
        assert wire.ask("GET", "/pages/acme/large/stored.bin").status == 404
        blobs = [each for each in hub.blobs.rglob("*") if each.is_file()]
        assert [each.stat().st_size < MIB for each in blobs] == [True]
        for name, reader, headers in readers:
            body = reader.reader.read(int(headers["content-length"]))
            assert decoded(headers, body) == LARGE[name]


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("/pages/acme/linked", "/pages/acme/linked/"),
        ("/pages/acme/linked?a=%2F&b", "/pages/acme/linked/?a=%2F&b"),
        ("/pages/acme/linked/guide", "/pages/acme/linked/guide/"),
        ("/pages/acme/linked/gr%C3%BCn%20%25%3F", "/pages/acme/linked/gr%C3%BCn%20%25%3F/"),
    ],
)
def test_a_missing_slash_is_added_below_the_prefix(
    below_prefix: HubProcess, asked: str, location: str
) -> None:
    with below_prefix.wire() as wire:
        files = {"index.html": "a", "guide/index.html": "b", "grün %?/index.html": "c"}
        assert wire.publish_page(make_zip(files), "/workshop", path="linked").status == 201
        for method in ("GET", "HEAD"):
            for host in (f"127.0.0.1:{below_prefix.port}", "hub.example.net", "evil.example"):
                answer = wire.ask(method, f"/workshop{asked}", headers={"Host": host})
                assert (answer.status, answer.headers["location"]) == (308, f"/workshop{location}")
        assert wire.ask("GET", f"/workshop{location}").status == 200


def test_no_header_of_a_client_chooses_where_the_walk_begins(wire: Wire) -> None:
    for value in ("/api", "/pages", "/pages/acme/site", "/nowhere", "x"):
        headers = {"X-Vhm-Root": value}
        assert wire.ask("GET", "/pages/acme/site/", headers=headers).status == 200
        assert wire.ask("GET", "/api/pages/site", headers=headers).json["path"] == "site"
        assert wire.ask("GET", "/", headers=headers).status == 404
        missing = wire.ask("GET", "/pages/acme/site", headers=headers)
        assert (missing.status, missing.headers["location"]) == (308, "/pages/acme/site/")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "[::1]",
        "[::1]:8080",
        "hub.example.net.",
        "hub.example.net:",
        "x" * 4000,
    ],
)
def test_no_host_header_is_trusted(running: HubProcess, host: str) -> None:
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


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":",
        ":80",
        "a:b:c",
        "[",
        "hub.example.net:99999999",
        "a b",
        "a/b?c#d",
        "<script>",
        "h\xfcb.example",
        "user:secret@hub.example",
        "127.0.0.1, evil.example",
    ],
)
def test_what_is_no_host_is_refused(running: HubProcess, host: str) -> None:
    for path in ("/pages/acme/site/", "/pages/acme/site", "/api/pages"):
        answer = ask_host(running, path, f"Host: {host}\r\n")
        assert (answer.status, answer.is_ending) == (400, True)
        if path.startswith("/api/"):
            assert answer.json == {"detail": "the host of the request is not valid"}
        else:
            assert answer.headers["content-type"].startswith("text/html")
            assert b"<h1>Not possible</h1>" in answer.body


def test_who_names_no_host_is_refused(running: HubProcess) -> None:
    answer = ask_host(running, "/pages/acme/site/", "")
    assert answer.status == 400
    assert b"<h1>Not possible</h1>" in answer.body


def ask_host(hub: HubProcess, path: str, line: str) -> Answer:
    with Wire(hub.port) as visitor:
        visitor.socket.sendall(f"GET {path} HTTP/1.1\r\n{line}\r\n".encode("latin-1"))
        return visitor.receive()


def test_pages_may_have_a_host_of_their_own(tmp_path: Path) -> None:
    settings, server = {"pages_host": "pages.example.net:8443"}, {"url_prefix": "/workshop"}
    with HubProcess(tmp_path, settings, server) as hub, hub.wire() as wire:

        def ask(path: str, host: str, method: str = "GET", **more: str) -> tuple[int, str]:
            headers = {"Host": host, **{name.replace("_", "-"): more[name] for name in more}}
            answer = wire.ask(method, f"/workshop{path}", headers=headers)
            assert "sandbox" not in answer.headers.get("content-security-policy", "")
            return answer.status, answer.headers.get("location", "")

        assert wire.publish_page(make_zip(SITE), "/workshop", path="site").status == 201
        for host in (
            "pages.example.net",
            "pages.example.net:8443",
            "PAGES.example.NET",
            "pages.example.net.",
        ):
            assert ask("/pages/acme/site/", host) == (200, "")
            assert ask("/pages/acme/site", host) == (308, "/workshop/pages/acme/site/")
            for path in ("/api/pages", "/api/packages", "/api/pages/site", "/_ah/health", "/api"):
                assert ask(path, host) == (404, ""), (path, host)
            assert ask("/api/pages/site", host, "DELETE") == (404, "")
            refused = wire.publish_page(make_zip(SITE), "/workshop", {"Host": host}, path="other")
            assert refused.status == 404
        for host in ("127.0.0.1", "hub.example.net", "pages.example.net.evil.example"):
            assert ask("/api/pages", host)[0] == 200
            for path in ("/pages/acme/site/data.json?a=1", "/pages/acme/site", "/pages/acme/none/"):
                moved = (308, f"http://pages.example.net:8443/workshop{path}")
                assert ask(path, host) == ask(path, host, "HEAD") == moved
                # Nor does a header of the client's own say otherwise.
                assert ask(path, host, X_Forwarded_Host="pages.example.net") == moved
