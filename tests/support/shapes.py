"""Requests that two readers could read differently, or that are none, with a verdict for each.

Each is a few bytes that a stranger sends on one connection. In them `{host}` stands for the host that
is asked, `{key}` for the stranger's own good key, and `INNER` for a request of his that hides in
something else: it must never be answered for itself.
"""

import re
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from tests.support.archives import package_zip
from tests.support.nginx import HUB_HOST, Nginx
from tests.support.process import HubProcess, Wire

INNER = b"GET /api/packages/inner HTTP/1.1\r\nHost: {host}\r\n\r\n"
OLD_INNER = b"GET /api/packages/inner HTTP/1.0\r\n\r\n"
HEAD = b"GET /_ah/health HTTP/1.1\r\nHost: {host}\r\n"
POST = (
    b"POST /api/packages HTTP/1.1\r\nHost: {host}\r\nAuthorization: Api-Key {key}\r\n"
    b"Content-Type: application/json\r\n"
)
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = b"2\r\n{}\r\n0\r\n\r\n"
NOTHING = "waits"
CANARY = "nobody-elses-business"
# Shows if the connection has ended or is still in step: it has no key and is answered 401, if at all.
SENTINEL = b"GET /api/organisation HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
# Seconds after which nothing more will come.
SILENCE = 1.0

_STATUS = re.compile(rb"(?:^|(?<=[\r\n}\]]))HTTP/1\.[01] ([0-9]{3}) ")


@dataclass(frozen=True)
class Shape:
    """What is sent, and the status that it is answered at the hub's own door, and behind the proxy.

    `NOTHING` where nothing with a status comes: the rest of the request is awaited, or the proxy answers
    as HTTP/0.9 did. `calls` is how often the application is called: a POST that is good HTTP is 400
    there too, for `{}` has no name. Behind the proxy, which asks for the key before it takes a body in
    chunks, that may be once more. `requests` is how many there are, by RFC 9112.
    """

    name: str
    data: bytes
    door: int | str
    nginx: int | str
    calls: int = 0
    nginx_calls: int | None = None
    requests: int = 1

    @property
    def calls_behind_nginx(self) -> int:
        """How often the application is called when the proxy has passed it on."""
        return self.calls if self.nginx_calls is None else self.nginx_calls


def length(text: bytes, body: bytes = b"{}") -> bytes:
    """A POST whose Content-Length is spelled so."""
    return POST + b"Content-Length:" + text + b"\r\n\r\n" + body


def coding(lines: bytes, body: bytes = EMPTY) -> bytes:
    """A POST with these lines about its coding."""
    return POST + lines + b"\r\n\r\n" + body


def header(line: bytes) -> bytes:
    """A GET with one line more."""
    return HEAD + line + b"\r\n\r\n"


def first(line: bytes) -> bytes:
    """A GET with another first line."""
    return line + b"\r\nHost: {host}\r\n\r\n"


def host(lines: bytes) -> bytes:
    """A GET with other lines about its host."""
    return b"GET /_ah/health HTTP/1.1\r\n" + lines + b"\r\n"


# name, bytes, status at the door, status behind nginx, and how often the application is called there.
SHAPES = (
    # Two lengths for one body.
    Shape("length-and-chunks", coding(b"Content-Length: 4\r\nTransfer-Encoding: chunked"), 400, 400),
    Shape("chunks-and-length", coding(b"Transfer-Encoding: chunked\r\nContent-Length: 4"), 400, 400),
    Shape("length-hides-a-request",
        coding(b"Content-Length: 6\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + INNER), 400, 400),
    Shape("chunks-hide-a-request",
        coding(b"Content-Length: 500\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + INNER), 400, 400),
    Shape("two-equal-lengths", coding(b"Content-Length: 2\r\nContent-Length: 2", b"{}"), 400, 400),
    Shape("two-unequal-lengths",
        coding(b"Content-Length: 0\r\nContent-Length: 60", INNER), 400, 400),
    Shape("length-in-a-list", length(b" 2, 2"), 400, 400),
    Shape("length-with-a-plus", length(b" +2"), 400, 400),
    Shape("length-with-a-minus", length(b" -2"), 400, 400),
    Shape("length-with-a-space-within", length(b" 2 2"), 400, 400),
    Shape("length-with-an-underscore", length(b" 1_0"), 400, 400),
    Shape("length-in-hexadecimal", length(b" 0x2"), 400, 400),
    Shape("length-with-a-point", length(b" 2.0"), 400, 400),
    Shape("length-of-nothing", length(b""), 400, 400),
    Shape("length-with-zeros", length(b" 0002"), 400, 400, 1),
    Shape("length-in-other-digits", length(" ٢".encode()), 400, 400),
    Shape("length-with-a-vertical-tab", length(b" \x0b2"), 400, 400),
    Shape("length-beyond-64-bits", length(b" 18446744073709551618"), 400, 400),
    Shape("length-of-five-thousand-digits", length(b" " + b"9" * 5000), 400, 400),
    Shape("length-of-petabytes", length(b" 9000000000000000"), 413, 413),
    Shape("length-of-petabytes-that-waits",
        coding(b"Content-Length: 9000000000000000\r\nExpect: 100-continue", b""), 413, 413),
    Shape("length-with-an-underscored-name", coding(b"Content_Length: 500", b""), 400, 400, 1),
    # Codings that are nearly the only one.
    Shape("coding-twice",
        coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400, 400),
    Shape("coding-twice-differently",
        coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), 400, 400),
    Shape("coding-in-a-list", coding(b"Transfer-Encoding: chunked, chunked"), 501, 501),
    Shape("coding-with-identity", coding(b"Transfer-Encoding: chunked, identity"), 501, 501),
    Shape("coding-after-identity", coding(b"Transfer-Encoding: identity, chunked"), 501, 501),
    Shape("coding-after-gzip", coding(b"Transfer-Encoding: gzip, chunked"), 501, 501),
    Shape("coding-with-an-empty-element", coding(b"Transfer-Encoding: ,chunked"), 501, 501),
    Shape("coding-with-a-comma-behind", coding(b"Transfer-Encoding: chunked,"), 501, 501),
    Shape("coding-with-a-parameter", coding(b"Transfer-Encoding: chunked;q=1"), 501, 501),
    Shape("coding-in-quotes", coding(b'Transfer-Encoding: "chunked"'), 501, 501),
    Shape("coding-unknown", coding(b"Transfer-Encoding: xchunked"), 501, 501),
    Shape("coding-of-nothing", coding(b"Transfer-Encoding:"), 501, 501),
    Shape("coding-in-capitals", coding(b"Transfer-Encoding: CHUNKED"), 400, 400, 1, 2),
    Shape("coding-with-spaces-around", coding(b"Transfer-Encoding: \t chunked \t"), 400, 501, 1, 0),
    Shape("coding-with-a-vertical-tab", coding(b"Transfer-Encoding: \x0bchunked"), 501, 501),
    Shape("coding-with-a-high-space", coding(b"Transfer-Encoding: \xa0chunked"), 501, 501),
    Shape("coding-with-nul", coding(b"Transfer-Encoding: chunked\0"), 501, 400),
    Shape("coding-with-a-space-before-the-colon", coding(b"Transfer-Encoding : chunked"), 400, 400),
    Shape("coding-in-a-folded-line", coding(b"Transfer-Encoding:\r\n chunked"), 400, 400),
    Shape("coding-hidden-by-a-fold",
        coding(b"X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 2", b"{}"), 400, 400),
    Shape("coding-with-an-underscored-name",
        coding(b"Transfer_Encoding: chunked\r\nContent-Length: 2", b"{}"), 400, 400, 1),
    Shape("coding-in-http-1.0",
        POST.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"0\r\n\r\n" + INNER, 400, 400),
    # Chunks that lie.
    Shape("chunks-plain", CHUNKED + EMPTY, 400, 400, 1, 2),
    Shape("chunks-with-extensions",
        CHUNKED + b'2;a;b=c;d="e\\";f"\r\n{}\r\n0;x\r\n\r\n', 400, 400, 1, 2),
    Shape("chunks-with-trailers", CHUNKED + b"2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n", 400, 400, 1, 2),
    Shape("chunks-with-a-length-as-trailer",
        CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 60\r\n\r\n", 400, 400, 1, 2),
    Shape("chunk-with-0x", CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-with-a-plus", CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-with-a-minus", CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-with-an-underscore", CHUNKED + b"0_2\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-with-a-space-before", CHUNKED + b" 2\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-of-nothing", CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-beyond-64-bits", CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-of-exabytes", CHUNKED + b"7fffffffffffffff\r\n{}", 400, 400, 0, 1),
    Shape("chunk-longer-than-it-says", CHUNKED + b"2\r\n{}{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-shorter-than-it-says", CHUNKED + b"5\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-ending-in-bare-lf", CHUNKED + b"2\r\n{}\n0\r\n\r\n", 400, 400, 0, 2),
    Shape("chunk-whose-size-ends-in-bare-lf", CHUNKED + b"2\n{}\r\n0\r\n\r\n", 400, 400, 0, 2),
    Shape("chunk-with-lf-in-its-extension", CHUNKED + b"2;a\nb\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-with-cr-in-its-extension", CHUNKED + b"2;a\rb\r\n{}\r\n0\r\n\r\n", 400, 400, 0, 1),
    Shape("chunk-with-an-extension-hiding-a-request",
        CHUNKED + b"0;\n" + INNER + b"\r\n0\r\n\r\n", 400, 400, 0, 2),
    Shape("chunk-with-an-endless-extension", CHUNKED + b"2;" + b"a" * 9000, 400, 400, 0, 1),
    Shape("chunks-with-endless-trailers",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 3000, 400, 400, 0, 2),
    Shape("chunks-with-a-trailer-that-is-none", CHUNKED + b"0\r\nGET / HTTP/1.1\r\n\r\n", 400, 400, 0, 2),
    Shape("chunks-and-garbage", CHUNKED + EMPTY + b"garbage\r\n\r\n", 400, 400, 1, 2),
    # Lines that end, fold and begin in odd ways.
    Shape("bare-lf-everywhere", b"GET /_ah/health HTTP/1.1\nHost: {host}\n\n", 400, 200, 0, 1),
    Shape("bare-lf-in-the-head", HEAD + b"X: y\nZ: a\r\n\r\n", 400, 200, 0, 1),
    Shape("bare-lf-hides-a-length", coding(b"X: y\nContent-Length: 2", b"{}"), 400, 400, 0, 1),
    Shape("bare-cr-in-a-header", header(b"X: y\rContent-Length: 60"), 400, 400),
    Shape("cr-cr-lf", header(b"X: y\r"), 400, 200, 0, 1),
    Shape("fold-with-a-space", header(b"X: y\r\n z"), 400, 400),
    Shape("fold-with-a-tab", header(b"X: y\r\n\tz"), 400, 400),
    Shape("fold-at-the-first-header", b"GET /_ah/health HTTP/1.1\r\n Host: {host}\r\n\r\n", 400, 400),
    Shape("blank-lines-before", b"\r\n\r\n" + HEAD + b"\r\n", 200, 200, 1),
    Shape("blank-before", b" " + HEAD + b"\r\n", 400, 400),
    Shape("tab-before", b"\t" + HEAD + b"\r\n", 400, 400),
    Shape("nul-in-a-header", header(b"X: a\0b"), 400, 400),
    Shape("control-in-a-header", header(b"X: a\x01b"), 400, 400),
    Shape("high-bytes-in-a-header", header(b"X: \xff\xfe\x80"), 200, 200, 1),
    Shape("header-without-a-colon", header(b"nothing"), 400, 200, 0, 1),
    Shape("header-without-a-name", header(b": x"), 400, 400),
    Shape("header-with-a-space-before-its-colon", header(b"X : y"), 400, 400),
    Shape("header-whose-name-is-no-token", header(b"X(y): z"), 400, 200, 0, 1),
    Shape("header-whose-name-is-in-quotes", header(b'"X": z'), 400, 200, 0, 1),
    Shape("header-whose-name-is-no-ascii", header("ü: z".encode()), 400, 200, 0, 1),
    Shape("header-of-sixty-kilobytes", header(b"X: " + b"y" * 60_000), 200, 431, 1, 0),
    Shape("header-of-a-megabyte", header(b"X: " + b"y" * 1_000_000), 431, 431),
    Shape("headers-by-the-hundred", header(b"\r\n".join(b"X%d: y" % n for n in range(200))), 431, 431),
    Shape("headers-by-the-thousand", header(b"\r\n".join(b"X: y" for _ in range(50_000))), 431, 431),
    # First lines.
    Shape("first-line-of-0.9", b"GET /_ah/health\r\n\r\n", 400, NOTHING),
    Shape("first-line-of-0.9-with-headers", first(b"GET /_ah/health"), 400, NOTHING),
    Shape("first-line-of-1.0", first(b"GET /_ah/health HTTP/1.0"), 200, 200, 1),
    Shape("first-line-of-1.2", first(b"GET /_ah/health HTTP/1.2"), 505, 200, 0, 1),
    Shape("first-line-of-2.0", first(b"GET /_ah/health HTTP/2.0"), 505, 505),
    Shape("first-line-of-3", first(b"GET /_ah/health HTTP/3"), 400, 505),
    Shape("first-line-of-1.10", first(b"GET /_ah/health HTTP/1.10"), 400, 200, 0, 1),
    Shape("first-line-of-another-protocol", first(b"GET /_ah/health ICAP/1.0"), 400, 400),
    Shape("first-line-of-http-2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 400),
    Shape("first-line-of-tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400, 400),
    Shape("first-line-with-two-spaces", first(b"GET  /_ah/health  HTTP/1.1"), 400, 200, 0, 1),
    Shape("first-line-with-a-tab", first(b"GET\t/_ah/health\tHTTP/1.1"), 400, 400),
    Shape("first-line-with-a-space-behind", first(b"GET /_ah/health HTTP/1.1 "), 400, 200, 0, 1),
    Shape("first-line-with-a-space-in-the-path", first(b"GET /_ah/he alth HTTP/1.1"), 400, 400),
    Shape("first-line-without-a-method", first(b" /_ah/health HTTP/1.1"), 400, 400),
    Shape("method-in-small-letters", first(b"get /_ah/health HTTP/1.1"), 400, 400),
    Shape("method-that-is-no-token", first(b"G(T /_ah/health HTTP/1.1"), 400, 400),
    Shape("method-that-nobody-knows", first(b"BREW /_ah/health HTTP/1.1"), 405, 405, 1),
    Shape("method-of-nine-thousand-letters", first(b"G" * 9000 + b" /_ah/health HTTP/1.1"), 405, 414, 1, 0),
    Shape("method-connect", first(b"CONNECT {host}:443 HTTP/1.1"), 400, 400),
    Shape("method-trace", first(b"TRACE /_ah/health HTTP/1.1"), 405, 405, 1, 0),
    Shape("target-asterisk", first(b"OPTIONS * HTTP/1.1"), 400, 400),
    Shape("target-of-an-authority", first(b"GET {host}:80 HTTP/1.1"), 400, 400),
    Shape("target-without-a-slash", first(b"GET _ah/health HTTP/1.1"), 400, 400),
    Shape("target-absolute", first(b"GET http://{host}/_ah/health HTTP/1.1"), 200, 200, 1),
    Shape("target-absolute-at-another-host",
        first(b"GET http://nowhere.example/_ah/health HTTP/1.1"), 200, 421, 1, 0),
    Shape("target-absolute-with-a-user", first(b"GET http://a@{host}/_ah/health HTTP/1.1"), 400, 400),
    Shape("target-absolute-of-another-scheme", first(b"GET file:///etc/passwd HTTP/1.1"), 400, 400),
    Shape("target-absolute-that-breaks-off", first(b"GET http://[::1 HTTP/1.1"), 400, 400),
    Shape("target-with-a-fragment", first(b"GET /_ah/health#x HTTP/1.1"), 400, 400),
    Shape("target-with-a-control", first(b"GET /_ah/hea\x01lth HTTP/1.1"), 400, 400),
    Shape("target-with-nul", first(b"GET /_ah/health\0 HTTP/1.1"), 400, 400),
    Shape("target-with-del", first(b"GET /_ah/health\x7f HTTP/1.1"), 400, 400),
    Shape("target-that-is-no-text", first(b"GET /api/\xff\xfe HTTP/1.1"), 400, 400),
    Shape("target-that-is-no-text-encoded", first(b"GET /api/%ff%fe HTTP/1.1"), 400, 400, 1),
    Shape("target-with-a-percent-alone", first(b"GET /_ah/% HTTP/1.1"), 404, 400, 1, 0),
    Shape("target-of-sixty-kilobytes", first(b"GET /" + b"x" * 60_000 + b" HTTP/1.1"), 404, 414, 1, 0),
    Shape("query-that-is-no-text", first(b"GET /_ah/health?\xff=%ff&%00 HTTP/1.1"), 400, 400),
    # Hosts.
    Shape("host-missing", host(b""), 400, 400),
    Shape("host-missing-in-1.0", b"GET /_ah/health HTTP/1.0\r\n\r\n", 200, 421, 1, 0),
    Shape("host-empty", host(b"Host:\r\n"), 400, 400),
    Shape("host-twice", host(b"Host: {host}\r\nHost: {host}\r\n"), 400, 400),
    Shape("host-twice-differently", host(b"Host: {host}\r\nHost: pages.example.net\r\n"), 400, 400),
    Shape("host-in-a-list", host(b"Host: {host}, pages.example.net\r\n"), 400, 400),
    Shape("host-with-a-path", host(b"Host: {host}/x\r\n"), 400, 400),
    Shape("host-with-a-user", host(b"Host: x@{host}\r\n"), 400, 421),
    Shape("host-with-two-ports", host(b"Host: {host}:80:81\r\n"), 400, 200, 0, 1),
    # What asks for another way of going on.
    Shape("expect-of-something", header(b"Expect: a-miracle"), 417, 200, 0, 1),
    Shape("expect-without-a-body", header(b"Expect: 100-continue"), 200, 200, 1),
    Shape("expect-twice", header(b"Expect: 100-continue\r\nExpect: 100-continue"), 400, 400),
    Shape("expect-with-a-body",
        coding(b"Content-Length: 2\r\nExpect: 100-continue", b"{}"), 400, 400, 1),
    Shape("upgrade-to-http-2",
        header(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"),
        200, 200, 1),
    Shape("upgrade-to-a-web-socket",
        header(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"), 200, 200, 1),
    Shape("connection-names-the-host", header(b"Connection: close, Host"), 200, 200, 1),
    Shape("credentials-twice",
        HEAD + b"Authorization: Api-Key {key}\r\nAuthorization: Api-Key {key}\r\n\r\n", 400, 400),
    Shape("types-twice",
        coding(b"Content-Length: 2\r\nContent-Type: text/plain", b"{}"), 400, 400),
    # Bodies that are not what was said.
    Shape("a-body-that-breaks-off", length(b" 500"), NOTHING, NOTHING),
    Shape("chunks-that-break-off", CHUNKED + b"2\r\n{}", 400, 400, 0, 1),
    Shape("a-head-that-breaks-off", HEAD + b"X: y", 400, 400),
    Shape("a-body-where-none-is-wanted",
        HEAD + b"Content-Length: 36\r\n\r\n" + OLD_INNER, 200, 200, 1),
    Shape("a-body-that-is-a-request", length(b" 36", OLD_INNER), 400, 400, 1),
    Shape("pipelined", (HEAD + b"\r\n") * 3, 200, 200, 3, requests=3),
    Shape("pipelined-and-garbage", HEAD + b"\r\n\0\0garbage\r\n\r\n", 200, 200, 1),
    Shape("pipelined-behind-a-refusal", header(b"nothing") + INNER, 400, 200, 0, 2, requests=2),
    Shape("pipelined-behind-a-length-in-1.0",
        b"GET /_ah/health HTTP/1.0\r\nHost: {host}\r\n\r\n" + INNER, 200, 200, 1),
)  # fmt: skip


def statuses(said: bytes) -> list[int]:
    """Return the statuses of all answers, the first of which may be of HTTP/0.9 and have none."""
    return [int(each) for each in _STATUS.findall(said) if each != b"100"]


def check(shape: Shape, verdict: int | str, said: bytes, calls: int, expected: int) -> None:
    """Judge all that was answered to a shape and the sentinel behind it."""
    answers = statuses(said)
    told = (shape.name, said[:600])
    assert (answers[0] if answers else NOTHING) == verdict, told
    assert all(each < 500 or each in {501, 505} for each in answers), told
    in_step = answers[shape.requests :] == [401]
    assert in_step or len(answers) <= shape.requests + 1, told
    assert calls - in_step == expected, told
    assert CANARY.encode() not in said, told


@dataclass(frozen=True)
class Door:
    """A port where requests arrive at a hub, and the key of a stranger to what is kept there."""

    hub: HubProcess
    port: int
    host: str
    stranger: str

    @property
    def is_behind(self) -> bool:
        """True if there is a proxy between."""
        return self.port != self.hub.port

    @property
    def calls(self) -> int:
        """Return how often the application was called, this call not counted."""
        with Wire(self.hub.port) as wire:
            told = wire.ask("GET", "/_ah/metrics").body.decode()
        counts = re.findall(r"^hubrepo_request_seconds_count\{.*\} (\S+)$", told, re.MULTILINE)
        return int(sum(map(float, counts)))

    def send(self, data: bytes, timeout: float) -> bytes:
        """Return all that is answered to `data` and the sentinel, until nothing comes any more."""
        said = bytearray()
        filled = (data + SENTINEL).replace(b"{key}", self.stranger.encode())
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            with suppress(OSError):  # It may have heard enough.
                wire.sendall(filled.replace(b"{host}", self.host.encode()))
            wire.settimeout(timeout)
            with suppress(OSError):
                while heard := wire.recv(65536):
                    said += heard
                    wire.settimeout(SILENCE)
        return bytes(said)

    def try_(self, shape: Shape) -> None:
        """Send a shape and judge what comes of it."""
        verdict = shape.nginx if self.is_behind else shape.door
        before = self.calls
        said = self.send(shape.data, SILENCE if verdict == NOTHING else 10)
        expected = shape.calls_behind_nginx if self.is_behind else shape.calls
        check(shape, verdict, said, self.calls - before - 1, expected)
        if self.is_behind:
            # All share the proxy's connections to the hub: one that was out of step would show here.
            with Wire(self.port, self.hub.key, host=self.host) as wire:
                for _ in range(3):
                    names = [each["name"] for each in wire.ask("GET", "/api/packages").json]
                    assert CANARY in names


def doors(hub: HubProcess, stack: ExitStack) -> dict[str, Door]:
    """Return a hub's own port and that of an nginx before it."""
    with hub.wire() as wire:
        assert wire.publish(CANARY, package_zip(CANARY)).status == 201
    nginx = stack.enter_context(Nginx(hub))
    strangers = (hub.organisation(f"stranger-{nginx.port}-{number}") for number in (1, 2))
    return {
        "door": Door(hub, hub.port, f"127.0.0.1:{hub.port}", next(strangers)),
        "nginx": Door(hub, nginx.port, HUB_HOST, next(strangers)),
    }
