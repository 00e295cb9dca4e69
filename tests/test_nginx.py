"""`deploy/nginx.conf`, as it is shipped: what a stranger costs, and that nobody else notices it."""

import configparser
import fcntl
import os
import re
import socket
import ssl
import struct
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.archives import make_zip, manifest, package_zip, page_zip
from tests.support.features import HAS_ARTIFACTS, needs_artifacts
from tests.support.nginx import CONFIGURATION, HUB_HOST, PAGES_HOST, Nginx
from tests.support.process import FORM_TYPE, PROJECT, Answer, HubProcess, Wire, multipart
from tests.support.publishers import until

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("nginx_is_here")]

MIB = 1024 * 1024
GIB = 1024 * MIB
UPLOAD = "/api/packages/widget/versions"
UNKNOWN_KEY = "kpf_00000000_" + "A" * 43
MISSING = {"detail": "Authentication credentials were not provided."}
BAD = {"detail": "invalid API key"}
ARTIFACT_UPLOADS = ("/product/upload", "/api/product/upload")
UNKNOWN_TOKEN = "0" * 48
NO_TOKEN = {"error": "an API token is required, in the header X-Api-Token"}
BAD_TOKEN = {"error": "the API token is not valid"}
BEHIND_A_PROXY = {
    "trusted_proxy": "127.0.0.1",
    "trusted_proxy_headers": "x-forwarded-for x-forwarded-proto x-forwarded-host",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    settings = {
        "pages_host": PAGES_HOST,
        "uploads.max_size": str(64 * MIB),
        "security.failures_per_minute": "20",
    }
    with HubProcess(tmp_path_factory.mktemp("hub"), settings, BEHIND_A_PROXY) as hub:
        yield hub


@pytest.fixture(scope="module")
def nginx(hub: HubProcess) -> Iterator[Nginx]:
    with Nginx(hub) as nginx:
        yield nginx


def pour(wire: socket.socket, head: bytes, most: int) -> int:
    """Send a head and then a body without an end; how many bytes of it the other end's system took.

    Those that this end's still keeps do not count.
    """
    wire.settimeout(2)
    wire.sendall(head)
    sent = taken = at_last = 0
    try:
        while sent < most:
            sent += wire.send(b"x" * 16_384)
            # What was found before the last piece went: once the connection is reset nothing is kept.
            taken = max(taken, at_last)
            at_last = sent - struct.unpack("i", fcntl.ioctl(wire, termios.TIOCOUTQ, b"\0" * 4))[0]
    except OSError:
        pass
    return taken


def refused(
    wire: Wire, path: str, size: int, headers: Mapping[str, str], most: int = MIB
) -> Answer:
    """Return the refusal of an upload of which next to nothing was taken."""
    length = {"Content-Length": str(size), "Content-Type": FORM_TYPE}
    assert pour(wire.socket, wire.head("POST", path, length | headers), size) < most
    return wire.receive()


KEY_REFUSALS = [
    (UPLOAD, {}, MISSING),
    (UPLOAD, {"Authorization": f"Api-Key {UNKNOWN_KEY}"}, BAD),
    (UPLOAD, {"Authorization": "Api-Key kpf_x"}, BAD),
]
# A good key is none there; the refusal is the surface's own.
TOKEN_REFUSALS = [
    (path, {"Authorization": "{key}", **token}, refusal)
    for path in ARTIFACT_UPLOADS
    for token, refusal in (({}, NO_TOKEN), ({"X-Api-Token": UNKNOWN_TOKEN}, BAD_TOKEN))
]


@pytest.mark.parametrize("size", [3 * MIB, GIB])
@pytest.mark.parametrize(
    ("path", "headers", "refusal"), KEY_REFUSALS + TOKEN_REFUSALS * HAS_ARTIFACTS
)
def test_a_stranger_who_uploads_costs_less_than_a_mebibyte(
    nginx: Nginx, size: int, path: str, headers: Mapping[str, str], refusal: object
) -> None:
    headers = {k: v.replace("{key}", f"Api-Key {nginx.hub.key}") for k, v in headers.items()}
    with nginx.wire() as stranger:
        answer = refused(stranger, path, size, headers)
    assert (answer.status, answer.json) == (401, refusal)
    scheme = "Api-Key" if path == UPLOAD else 'ApiKey realm="artifacts"'
    assert answer.headers["www-authenticate"] == scheme
    assert answer.is_ending


@pytest.mark.parametrize("credential", ["Api-Key a\x01b", "Api-Key \x7f", "\x1f"])
def test_nor_does_one_whose_credential_is_none(nginx: Nginx, credential: str) -> None:
    """Such a question the hub refuses, which is no answer to a proxy."""
    cases = [(UPLOAD, "Authorization", "detail")]
    if HAS_ARTIFACTS:
        cases += [(path, "X-Api-Token", "error") for path in ARTIFACT_UPLOADS]
    for path, header, member in cases:
        with nginx.wire() as stranger:
            answer = refused(stranger, path, GIB, {header: credential})
        assert (answer.status, list(answer.json)) == (401, [member]), path


@pytest.mark.parametrize(
    "path",
    [
        UPLOAD, *ARTIFACT_UPLOADS, "/nothing", "/pages/acme/x/", "/%61pi/packages", "//api/pages", "/api",
        "/register", "/fetch/x", "//product/upload", "/%70roduct/upload",
    ],
)  # fmt: skip
def test_nor_does_one_who_sends_chunks(nginx: Nginx, path: str) -> None:
    with nginx.wire() as stranger:
        head = stranger.head("POST", path, {"Transfer-Encoding": "chunked"})
        assert pour(stranger.socket, head + b"1000000\r\n", GIB) < MIB


def test_nor_over_tls_or_plain_http(nginx: Nginx) -> None:
    with nginx.wire() as stranger:
        head = stranger.head("POST", UPLOAD, {"Content-Length": str(GIB)})
    with nginx.tls() as wire:
        assert pour(wire, head, GIB) < MIB
    for host, path in ((HUB_HOST, UPLOAD), (HUB_HOST, "/nothing"), ("nowhere.example", UPLOAD)):
        for framing in ({"Content-Length": str(GIB)}, {"Transfer-Encoding": "chunked"}):
            with Wire(nginx.redirecting_port, host=host) as stranger:
                head = stranger.head("POST", path, framing) + b"1000000\r\n"
                assert pour(stranger.socket, head, GIB) < MIB


def test_nor_where_much_was_sent_before(nginx: Nginx) -> None:
    """Systems hold more for a connection that was much used, unless they are told not to."""
    for _ in range(2):
        with nginx.wire() as stranger:
            for _ in range(12):
                assert stranger.ask("POST", UPLOAD, b"x" * 900_000).status == 401
            assert refused(stranger, UPLOAD, GIB, {}).status == 401


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/nothing", 2 * MIB),
        ("/pages/acme/x/", 2 * MIB),
        ("/_ah/health", 2 * MIB),
        (UPLOAD, 2 * GIB),
    ],
)
def test_nobody_may_send_more_than_the_hub_takes_there(nginx: Nginx, path: str, size: int) -> None:
    with nginx.wire(nginx.hub.key) as sender:
        answer = refused(sender, path, size, {})
    assert (answer.status, answer.json) == (413, {"detail": "the request is too large"})


def test_who_waits_for_leave_sends_nothing_for_a_refusal(nginx: Nginx) -> None:
    headers = {"Content-Length": str(GIB), "Expect": "100-continue"}
    with nginx.wire(UNKNOWN_KEY) as stranger:
        stranger.socket.sendall(stranger.head("POST", UPLOAD, headers))
        assert stranger.receive().status == 401
    body = multipart("widget", large("widget"))
    headers = {**headers, "Content-Length": str(len(body)), "Content-Type": FORM_TYPE}
    with nginx.wire(nginx.hub.key) as member:
        member.socket.sendall(member.head("POST", UPLOAD, headers))
        assert member.receive_head()[0] == 100
        member.socket.sendall(body)
        assert member.receive().status == 201


def large(name: str) -> bytes:
    return make_zip({"package.toml": manifest(name), "noise": os.urandom(3 * MIB)})


def test_a_small_body_is_not_asked_for_beforehand(hub: HubProcess, nginx: Nginx) -> None:
    """It costs less to read it; the hub answers for itself, and the connection stays."""
    asked: list[int] = []

    def ask_in_between(marker: str) -> None:
        # The log is written together: what is in it before a later line is complete.
        with hub.wire() as wire:
            wire.ask("GET", f"/{marker}")
        until(lambda: f"/{marker}" in hub.log.read_text())
        asked.append(hub.log.read_text().count("/_ah/admission"))

    ask_in_between("before")
    with nginx.wire(hub.key) as member, nginx.wire() as stranger:
        assert member.publish("small", package_zip("small")).status == 201
        answer = stranger.publish("small", package_zip("small"))
        assert (answer.status, answer.json, answer.is_ending) == (401, MISSING, False)
        ask_in_between("between")
        assert member.publish("small", large("small")).status == 201
        ask_in_between("after")
    assert [after - asked[0] for after in asked] == [0, 0, 1]


def test_a_stranger_who_tries_again_and_again_is_told_to_wait(nginx: Nginx) -> None:
    """The key is asked for once for each upload: what is counted is counted once."""
    with nginx.wire("kpf_00000001_" + "A" * 43) as stranger:
        told = []
        for _ in range(30):
            stranger.is_ending = stranger.is_ending or bool(told)
            if stranger.is_ending:
                stranger.close()
                stranger._connect()
            length = {"Content-Length": str(GIB)}
            stranger.socket.sendall(stranger.head("POST", UPLOAD, length))
            told.append(stranger.receive())
            if told[-1].status == 429:
                break
    assert told[-1].status == 429
    assert told[-1].json["detail"]
    assert int(told[-1].headers["retry-after"]) > 0
    assert all(each.status == 401 for each in told[:-1])
    with nginx.wire(nginx.hub.key) as member:
        assert member.publish("patient", large("patient")).status == 201


def test_the_whole_way_of_a_package_and_a_page(nginx: Nginx) -> None:
    with nginx.wire(nginx.hub.key) as member, Wire(nginx.port, None, 30, PAGES_HOST) as visitor:
        archive = large("whole")
        published = member.publish("whole", archive)
        assert published.status == 201
        assert member.ask("GET", published.json["download_url"]).status == 200
        part = member.ask("GET", published.json["download_url"], headers={"Range": "bytes=0-3"})
        assert (part.status, part.body) == (206, b"PK\3\4")
        page = member.publish_page(page_zip("site", {"index.html": "<h1>Hello</h1>"}))
        assert page.status == 201
        visited = visitor.ask("GET", "/pages/acme/site/")
        assert (visited.status, visited.body) == (200, b"<h1>Hello</h1>")
        again = {"If-None-Match": visited.headers["etag"]}
        assert visitor.ask("GET", "/pages/acme/site/", headers=again).status == 304
        assert visitor.ask("GET", "/api/packages").status == 404
        moved = member.ask("GET", "/pages/acme/site/")
        assert (moved.status, moved.headers["location"]) == (
            308,
            f"http://{PAGES_HOST}/pages/acme/site/",
        )


def artifact(product: str, version: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    """An upload of a version: its body, and the header that says what that is."""
    return multipart("tool", content, product=product, version=version), {"Content-Type": FORM_TYPE}


@needs_artifacts
def test_the_whole_way_of_an_artifact_and_its_token(hub: HubProcess, nginx: Nginx) -> None:
    admin = hub.command("issue-artifact-token", "--org", "acme", "--admin", "--force")
    mine, content, tokens = {"X-Api-Token": admin}, os.urandom(3 * MIB), [admin]
    with nginx.wire() as wire:
        assert wire.ask("GET", "/health", headers=mine).json["storage"] == "Storage is fine"
        for at in ("", "/api"):
            token = wire.ask("PUT", f"{at}/register", b"{}", mine).body.decode()
            theirs, product = {"X-Api-Token": token}, f"tool{at.replace('/', '-')}"
            tokens.append(token)
            name = f'{{"name":"{product}"}}'.encode()
            assert wire.ask("PUT", f"{at}/product/create", name, theirs).status == 201
            body, is_a_form = artifact(product, "1", content)
            uploaded = wire.ask("POST", f"{at}/product/upload", body, theirs | is_a_form)
            assert (uploaded.status, uploaded.json["size"]) == (201, len(content))
            sent = wire.ask("GET", f"{at}/product/download/{product}/1", headers=theirs)
            assert (sent.status, sent.body) == (200, content)
            part = theirs | {"Range": "bytes=-2"}
            sent = wire.ask("GET", f"{at}/product/download/{product}/1", headers=part)
            assert (sent.status, sent.body) == (206, content[-2:])
            known = wire.ask("GET", f"{at}/fetch/{token}", headers=theirs)
            assert (known.status, known.headers["cache-control"]) == (200, "no-store")
            assert wire.ask("DELETE", f"{at}/prune/{token}", b"", mine).status == 204
            # Whoever tried too often from here a moment ago makes it 429.
            assert wire.ask("GET", f"{at}/health", headers=theirs).status in {401, 429}
    until(lambda: hub.log.read_text().count("/prune/") >= 2)
    access, errors = nginx.log.read_text(), nginx.errors.read_text()
    assert access.count('"GET /fetch/..." 200 ') == access.count('"GET /api/fetch/..." 200 ') == 1
    assert '"DELETE /prune/..." 204 ' in access
    assert '"GET /product/download/tool/1 HTTP/1.1" 206 ' in access
    assert [each for each in tokens if each in access + errors + hub.log.read_text()] == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/fetch/secret?x", "/fetch/..."),
        ("//api//prune/secret/", "//api//prune/..."),
        ("/product/fetch/my-lib", "/product/fetch/my-lib HTTP/1.1"),
        (f"/product/fetch/{'0123456789abcdef' * 3}", "/product/fetch/..."),
        (f"/nothing?a={'ab' * 24}&b={'cd' * 24}", "/nothing?a=..."),
        (f"/nothing/{'ab' * 32}", f"/nothing/{'ab' * 32} HTTP/1.1"),
        (f"/%66etch/{'ab' * 24}", "/%66etch/..."),
        (f"http://{HUB_HOST}/fetch/{'ab' * 24}", f"http://{HUB_HOST}/fetch/..."),
        (f"/nothing?key={UNKNOWN_KEY}", "/nothing?key=kpf_00000000_..."),
    ],
)
def test_what_may_be_a_secret_is_not_in_the_proxys_log(nginx: Nginx, url: str, shown: str) -> None:
    referrer = {"Referer": f"https://{HUB_HOST}/fetch/{'ef' * 24}"}
    with nginx.wire() as wire:
        assert wire.ask("GET", url, headers=referrer).status in {401, 404}
    # It is written when the answer is out.
    until(lambda: f'] "GET {shown}" ' in nginx.log.read_text(), 5)
    assert "ef" * 24 not in nginx.log.read_text()


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/api/packages", 0, 401), ("/nothing", 0, 404), ("/_ah/metrics", 0, 404), (UPLOAD, GIB, 401),
        ("/nothing", 2 * MIB, 413), ("/%", 0, 400),
    ],
)  # fmt: skip
def test_the_id_of_every_answer_is_in_the_proxys_log(
    nginx: Nginx, path: str, size: int, status: int
) -> None:
    with nginx.wire() as wire:
        wire.socket.sendall(wire.head("GET", path, {"Content-Length": str(size)}))
        answer = wire.receive()
    assert answer.status == status
    line = f'"GET {path} HTTP/1.1" {status} '
    end = f'"-" "-" {answer.headers["x-request-id"]}\n'
    until(lambda: any(
        line in each and each.endswith(end) for each in nginx.log.read_text().splitlines(keepends=True)
    ), 5)  # fmt: skip


def test_over_tls_and_from_plain_http_to_it(hub: HubProcess, nginx: Nginx) -> None:
    for host, path, status in (
        (HUB_HOST, "/_ah/health", 200),
        (PAGES_HOST, "/_ah/health", 404),
        ("nowhere.example", "/_ah/health", 421),
    ):
        with nginx.tls(host) as wire:
            wire.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
            said = b"".join(iter(lambda: wire.recv(65536), b""))
        assert said.startswith(f"HTTP/1.1 {status} ".encode()), said
        assert b"X-Content-Type-Options: nosniff" in said
    for path in ("/", "/docs?x=1", "/pages/acme/site/"):
        with Wire(nginx.redirecting_port, None, 10, HUB_HOST) as wire:
            answer = wire.ask("GET", path)
        assert (answer.status, answer.headers["location"]) == (308, f"https://{HUB_HOST}{path}")


@pytest.mark.parametrize(
    ("host", "path", "status", "sentence"),
    [
        (HUB_HOST, "/api/packages", 403, "call the hub over HTTPS"),
        (HUB_HOST, "//%61pi", 403, "call the hub over HTTPS"),
        (HUB_HOST, "/product/upload", 403, "call the hub over HTTPS"),
        (HUB_HOST, "/api/product/upload?x", 403, "call the hub over HTTPS"),
        (HUB_HOST, "/health", 403, "call the hub over HTTPS"),
        (HUB_HOST, "/register/", 403, "call the hub over HTTPS"),
        (HUB_HOST, "/fetch/x", 403, "call the hub over HTTPS"),
        (HUB_HOST, "//prune/x", 403, "call the hub over HTTPS"),
        (HUB_HOST, "/%70roduct/upload", 403, "call the hub over HTTPS"),
        ("nowhere.example", "/product/access", 421, "there is no such host here"),
        ("nowhere.example", "/", 421, "there is no such host here"),
        ("nowhere.example", "/api/packages", 421, "there is no such host here"),
        (HUB_HOST, "/%", 400, "the request is not valid HTTP"),
        (HUB_HOST, "/_ah/answer", 404, "Not found."),
    ],
)
def test_over_plain_http_nobody_is_led_on_who_might_send_a_key(
    nginx: Nginx, host: str, path: str, status: int, sentence: str
) -> None:
    with Wire(nginx.redirecting_port, None, 10, host) as wire:
        answer = wire.ask("POST", path, b"{}")
    surface = re.match("/+(api/)?(product|health|register|fetch|prune)", path)
    shape = "detail" if surface is None else "error"
    assert (answer.status, list(answer.json)) == (status, [shape])
    assert answer.json[shape].startswith(sentence)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "location" not in answer.headers
    assert "strict-transport-security" not in answer.headers


def test_tls_is_new_and_is_resumed(nginx: Nginx) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = None
    for is_again in (False, True):
        with (
            socket.create_connection(("127.0.0.1", nginx.tls_port), 10) as plain,
            context.wrap_socket(plain, server_hostname=HUB_HOST, session=session) as wire,
        ):
            assert wire.session_reused is is_again
            session = wire.session
    text = CONFIGURATION.read_text(encoding="utf-8")
    # The libraries here would refuse older ones by themselves.
    assert re.findall("ssl_protocols (.*);", text) == ["TLSv1.2 TLSv1.3"]


# What a host of pages must not lead to, as nginx and the hub might each read it.
ASTRAY = (
    "/", "/docs", "/api", "/api/keys", "/api/packages", "/_ah/health", "/_ah/metrics", "/_ah/admission",
    "/_ah/answer", "/pages", "/pagesx/acme/site/", "//_ah/metrics", "/pages/../api/keys",
    "/pages/..%2fapi/keys", "/pages/%2e%2e/_ah/metrics", "/_ah/metrics/../../pages/",
    "/_ah/metrics/..%2f..%2fpages/acme/site/", "/api/keys/../../pages/acme/site/",
    "/_ah/metrics/%2e./../pages/", f"http://{HUB_HOST}/_ah/metrics",
)  # fmt: skip


def assert_only_pages(nginx: Nginx) -> None:
    """That whoever asks for the host of pages, with a good key too, gets pages and nothing else."""
    prefix = nginx.hub.prefix
    with nginx.wire(nginx.hub.key) as member:
        published = member.publish_page(page_zip("site", {"index.html": "Hello"}), prefix)
        assert published.status == 201
    with Wire(nginx.port, nginx.hub.key, 30, PAGES_HOST) as visitor:
        visited = visitor.ask("GET", f"{prefix}/pages/acme/site/")
        assert (visited.status, visited.body) == (200, b"Hello")
        for path in ASTRAY:
            astray = path if path.startswith("http") else prefix + path
            for each in (astray, path):
                answer = visitor.ask("GET", each)
                assert answer.status in {400, 404}, each
                assert list(answer.json) == ["detail"]


def test_the_host_of_pages_leads_to_pages_alone(nginx: Nginx) -> None:
    assert_only_pages(nginx)


def test_it_does_so_where_the_hub_has_not_heard_of_it(server: HubProcess) -> None:
    with Nginx(server) as nginx:
        assert_only_pages(nginx)


def assert_artifacts_are_below(nginx: Nginx, member: Wire) -> None:
    """That they are found below `/shop`, with the rules that they have at the root."""
    hub = nginx.hub
    token = hub.command("issue-artifact-token", "--org", "acme")
    mine = {"X-Api-Token": token}
    made = member.ask("PUT", "/shop/product/create", b'{"name":"tool"}', mine)
    assert made.status == 201
    body, is_a_form = artifact("tool", "1", os.urandom(3 * MIB))
    for at, status in (("/shop", 201), ("/shop/api", 409)):
        answer = member.ask("POST", f"{at}/product/upload", body, mine | is_a_form)
        assert answer.status == status
    assert member.ask("GET", f"/shop/fetch/{token}", headers=mine).status == 200
    until(lambda: '"GET /shop/fetch/..." 200 ' in nginx.log.read_text(), 5)
    with nginx.wire(hub.key) as stranger:
        head = stranger.head("POST", "/shop/product/upload", {"Content-Length": str(GIB)})
        assert pour(stranger.socket, head, GIB) < MIB
        assert stranger.receive().json == NO_TOKEN


def test_a_hub_below_a_prefix_is_there_alone(tmp_path: Path) -> None:
    server = {**BEHIND_A_PROXY, "url_prefix": "/shop"}
    with HubProcess(tmp_path, server=server) as hub, Nginx(hub) as nginx:
        with nginx.wire(hub.key) as member, nginx.wire(UNKNOWN_KEY) as stranger:
            assert member.ask("GET", "/shop/_ah/health").status == 200
            published = member.publish("widget", large("widget"), "/shop")
            assert published.status == 201
            assert published.json["download_url"].startswith("/shop/api/")
            assert member.ask("GET", published.json["download_url"]).status == 200
            head = stranger.head("POST", f"/shop{UPLOAD}", {"Content-Length": str(GIB)})
            assert pour(stranger.socket, head, GIB) < MIB
            answer = stranger.receive()
            assert (answer.status, answer.json) == (401, BAD)
            if HAS_ARTIFACTS:
                assert_artifacts_are_below(nginx, member)
            for path in (
                "/", "/shop", "/shopping/", "/api/packages", "/_ah/health", "/_ah/metrics", "/_ah/answer",
                "/_ah/admission", "/shop/_ah/metrics", "/shop/_ah/admission", "/shop//_ah/metrics",
                "/product/access",
            ):  # fmt: skip
                answer = member.ask("GET", path)
                assert (answer.status, answer.json) == (404, {"detail": "Not found."}), path
        with Wire(nginx.redirecting_port, None, 10, HUB_HOST) as plain:
            assert plain.ask("GET", "/shop/api/packages").status == 403
            refused = plain.ask("GET", "/shop/product/access")
            assert (refused.status, list(refused.json)) == (403, ["error"])
        assert_only_pages(nginx)


def test_what_the_hub_finds_wrong_with_an_upload_it_says_itself(nginx: Nginx) -> None:
    body = multipart("odd", large("odd"))
    twice = {"Content-Type": FORM_TYPE, "content-type": FORM_TYPE}
    many = {"Content-Type": FORM_TYPE, **{f"X-{number}": "" for number in range(100)}}
    for headers, status, sentence in (
        (twice, 400, "the header content-type is there twice"),
        (many, 431, "the request has too many headers"),
    ):
        for _ in range(10):
            with nginx.wire(nginx.hub.key) as member:
                answer = member.ask("POST", UPLOAD, body, headers)
            assert (answer.status, answer.json) == (status, {"detail": sentence})


def test_what_nginx_keeps_idle_leaves_room_at_the_hub() -> None:
    """On a machine of 32 cores still: each has a process of nginx, which keeps so many."""
    ini = configparser.RawConfigParser()
    ini.read(PROJECT / "production.ini", encoding="utf-8")
    (kept,) = re.findall("keepalive ([0-9]+);", CONFIGURATION.read_text(encoding="utf-8"))
    assert 32 * int(kept) < ini.getint("server:main", "connection_limit")


def test_what_the_proxy_says_itself_looks_like_the_hub(nginx: Nginx) -> None:
    for path, status in (
        ("/_ah/metrics", 404),
        ("/_ah/admission", 404),
        ("/_ah", 404),
        ("/%", 400),
    ):
        with nginx.wire() as wire:
            answer = wire.ask("GET", path)
        assert answer.status == status
        assert list(answer.json) == ["detail"]
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert re.fullmatch("[0-9a-f]{16,32}", answer.headers["x-request-id"])
        # Its name it cannot keep to itself, its version it can.
        assert answer.headers["server"] == "nginx"


@needs_artifacts
def test_it_does_so_in_the_shape_of_the_surface_that_was_asked(nginx: Nginx) -> None:
    token = nginx.hub.command("issue-artifact-token", "--org", "acme")
    for method, path, size, status in (
        ("POST", "/product/upload", 2 * GIB, 413),
        ("POST", "/api/product/upload", 2 * GIB, 413),
        ("PUT", "/register", 2 * MIB, 413),
        ("GET", "/health?" + "x" * 9000, 0, 414),
        ("TRACE", "/product/access", 0, 405),
        ("GET", "/api/product/%", 0, 400),
    ):
        with nginx.wire() as wire:
            headers = {"Content-Length": str(size), "X-Api-Token": token}
            wire.socket.sendall(wire.head(method, path, headers))
            answer = wire.receive()
        assert (answer.status, list(answer.json)) == (status, ["error"]), path


def test_no_header_of_a_client_says_who_calls_and_where(hub: HubProcess, nginx: Nginx) -> None:
    lies = {
        "X-Forwarded-For": "192.0.2.77",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": PAGES_HOST,
        "X-Forwarded-Port": "1",
        "Forwarded": f"for=192.0.2.77;host={PAGES_HOST};proto=https",
        "X-Hubrepo-Refusal": "no",
    }
    with nginx.wire(hub.key) as member:
        assert member.ask("GET", "/api/packages", headers=lies).status == 200
    assert "192.0.2.77" not in hub.log.read_text()


def test_while_the_hub_is_away_the_proxy_says_so(tmp_path: Path) -> None:
    with Nginx(HubProcess(tmp_path)) as nginx:
        with nginx.wire(UNKNOWN_KEY) as member:
            for method, path, body in (
                ("GET", "/api/packages", b""),
                ("POST", UPLOAD, b"x" * 2 * MIB),
                ("GET", "/pages/acme/x/", b""),
                ("POST", "/product/upload", b"x" * 2 * MIB),
                ("GET", "/api/health", b""),
                ("GET", f"/fetch/{UNKNOWN_TOKEN}", b""),
                ("DELETE", f"/api/prune/{UNKNOWN_TOKEN}", b""),
            ):
                shape = "detail" if "/pa" in path else "error"
                length = {"Content-Length": str(len(body))}
                member.socket.sendall(member.head(method, path, length))
                answer = member.receive()
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert answer.json == {shape: "the hub is away, try again"}
                member.close()
                member._connect()
        said = nginx.errors.read_text()
        assert "while connecting to upstream" in said
        assert UNKNOWN_TOKEN not in said + nginx.log.read_text()
