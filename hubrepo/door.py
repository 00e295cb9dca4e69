"""What the hub takes for an HTTP request: what waitress does, less what two readers could read differently.

A proxy and a server that disagree about where a request ends let a stranger put a request of his own
in front of another's. So whatever is not plain by RFC 9112 is refused, and the connection ends with
the refusal, which looks as the application's own do at that path: of it a function is given to tell how.
It is never called for what is refused.
"""

import re
import socket
import time
from collections.abc import Callable, Mapping
from random import getrandbits
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.rfc7230 import CHUNK_EXT_RE, HEADER_FIELD_RE
from waitress.task import ErrorTask

from hubrepo.kernel.base import HubError, one_line, redact
from hubrepo.kernel.web import HYGIENE, Headers, access

# Header lines of a request; their bytes are bounded by waitress (`max_request_header_size`).
MOST_LINES = 100
# Bytes of a line that tells the size of a chunk, and of all lines behind the last chunk.
MOST_OF_A_SIZE = 1024
MOST_OF_TRAILERS = 8192
# Chunks of less than so many bytes on average, beyond which they cost more than they bring.
SMALL, MOST_SMALL = 64, 4096

# Seconds and bytes for which a connection is read on after a refusal, to throw it away.
PATIENCE, MOST_THROWN_AWAY = 2.0, 8 * 1024 * 1024

_START = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Z]+ ([!-~]+) HTTP/([0-9])\.([0-9])")
# As a path, or as a whole URL, which proxies are asked by. A fragment is never sent.
_TARGET = re.compile(rb"(?:https?://([^/?#@\\]+)(?=[/?]|$)|(?=/))[^#]*", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::[0-9]{0,5})?")
# The path of a first line that need not be good otherwise.
_PATH = re.compile(rb"[^ ]* (?:https?://[^/?# ]*)?(/[^?# ]*)", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(;.*)?", re.DOTALL)

# Whoever sends one of these twice means two things at once.
_ONCE = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization", b"expect"}
)


class Refusal(Exception):
    """The request is not taken. `detail` is a sentence for people; the connection ends with it."""

    def __init__(self, code: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.reason, self.detail = code, reason, detail


class NotTaken(HubError):
    """The same, for those who say how errors look."""

    code = "not-taken"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


# Headers and body of the answer to an error at a path.
Answer = Callable[[HubError, str], tuple[Headers, bytes]]


def plain_answer(error: HubError, path: str) -> tuple[Headers, bytes]:  # noqa: ARG001
    """What is answered where no application says it better."""
    return (("Content-Type", "application/json"), *HYGIENE), orjson.dumps({"detail": error.message})


def malformed(detail: str) -> Refusal:
    """A 400."""
    return Refusal(400, "Bad Request", detail)


# What waitress itself refuses, in our words.
_SENTENCES = {
    400: "the request is not valid HTTP",
    413: "the request is too large",
    431: "the headers of the request are too large",
    501: "the transfer coding is not supported",
}


def _has_bare(text: bytes) -> bool:
    """Whether a CR or LF stands alone. What follows a CR at the end is yet to come."""
    pairs = text.count(b"\r\n")
    return text.count(b"\n") != pairs or text.count(b"\r") - text.endswith(b"\r") != pairs


class Chunks:
    """A body that comes in chunks, by the letter; trailers are read and forgotten.

    It is what waitress calls a receiver: `received` takes bytes, until it has `completed` or there is
    an `error`. Its own keeps lines of any length in memory, and lets more than chunks pass for them.
    """

    def __init__(self, buffer: Any) -> None:
        self.completed = False
        self.error: Refusal | None = None
        self._buffer = buffer
        self._line = b""
        self._pieces: list[bytes] = []
        self._left = 0
        self._count = self._total = 0
        self._expects = self._size
        self._trailers = 0

    def __len__(self) -> int:
        length: int = self._buffer.__len__()
        return length

    def getbuf(self) -> Any:
        """Where the bytes are."""
        return self._buffer

    def getfile(self) -> Any:
        """The bytes, to be read."""
        return self._buffer.getfile()

    def received(self, data: bytes) -> int:
        """Take the next bytes; how many of them belong to this body."""
        at = 0
        try:
            while at < len(data) and not self.completed:
                at = self._copy(data, at) if self._left else self._read_line(data, at)
        except Refusal as refusal:
            self.error = refusal
            return len(data)
        self._buffer.append(b"".join(self._pieces))
        self._pieces.clear()
        return at

    def _copy(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._left]
        self._pieces.append(piece)
        self._left -= len(piece)
        return at + len(piece)

    def _read_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        self._line += data[at : end or at + MOST_OF_A_SIZE + 1]
        if len(self._line) > MOST_OF_A_SIZE:
            raise malformed("a line between chunks is too long")
        if not end:
            return len(data)
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n") or _has_bare(line):
            raise malformed("a line between chunks does not end in CR LF")
        self._expects(line[:-2])
        return end

    def _size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None or not CHUNK_EXT_RE.fullmatch(found[2] or b""):
            raise malformed("the size of a chunk is not valid")
        self._left = int(found[1], 16)
        self._count, self._total = self._count + 1, self._total + self._left
        if self._count > MOST_SMALL and self._total < self._count * SMALL:
            raise malformed("the chunks are too small")
        self._expects = self._end if self._left else self._trailer

    def _end(self, line: bytes) -> None:
        if line:
            raise malformed("a chunk is longer than its size")
        self._expects = self._size

    def _trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if line and (self._trailers > MOST_OF_TRAILERS or not HEADER_FIELD_RE.fullmatch(line)):
            raise malformed("what follows the last chunk is not valid")
        self.completed = not line


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request, as its bytes come in."""

    completed: bool
    header_plus: bytes
    path: str
    first_line = b""

    def received(self, data: bytes) -> int:
        """Take the next bytes; how many of them belong to this request."""
        first = b""
        if self.body_rcv is None and not self.completed:
            head, _, _ = (self.header_plus + data).partition(b"\r\n\r\n")
            first, _, _ = head.lstrip(b"\r\n").partition(b"\n")
            # At once: the empty line that ends a head may never come. Some may stand before it.
            if _has_bare(head) or head.lstrip(b"\r\n")[:1].isspace():
                self._refuse(malformed("the head of the request has stray white space"))
                self.completed = True
        consumed: int = super().received(data)
        if self.error and first:
            # However little of it was understood, and whatever waitress put in its place.
            self.first_line = first.rstrip(b"\r")
        # What follows a refusal is nobody's request.
        return len(data) if self.error else consumed

    @property
    def asked(self) -> str:
        """The path of the URL, as WSGI has it, also of a request that was refused; `/` if there is none."""
        found = _PATH.match(self.first_line)
        path = unquote_to_bytes(found[1]).decode("latin-1") if found else ""
        # As waitress does it.
        path, prefix = "/" + path.lstrip("/"), self.adj.url_prefix
        return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path

    def parse_header(self, header_plus: bytes) -> None:
        """Understand the head of the request, or remember why it is refused."""
        try:
            self._read_head(header_plus)
        except Refusal as refusal:
            self._refuse(refusal)
        except ValueError:
            self._refuse(malformed("the URL of the request is not valid"))

    def _refuse(self, refusal: Refusal) -> None:
        self.error, self.version, self.connection_close = refusal, "1.1", True
        # Nobody is asked to go on, and no body is read.
        self.expect_continue, self.content_length, self.body_rcv = False, 0, None

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.removesuffix(b"\r\n\r\n").removesuffix(b"\r\n").split(b"\r\n")
        self.first_line = first
        is_new, authority = _check_first(first)
        plain = _plain_lines(lines)
        if b"transfer-encoding" in plain and (not is_new or b"content-length" in plain):
            raise malformed("Transfer-Encoding does not go with this request")
        if is_new and b"host" not in plain:
            raise malformed("the request names no host")
        for name, check in _CHECKS.items():
            if name in plain:
                check(plain[name].decode("latin-1"))
        _check_length(plain.get(b"content-length", b"0"), self.adj.max_request_body_size)
        super().parse_header(head)
        if authority is not None:
            self.headers["HOST"] = authority
            self.path = self.path or "/"
        if self.body_rcv is None:
            self.expect_continue = False
        elif self.chunked:
            self.body_rcv = Chunks(self.body_rcv.getbuf())


def _check_first(line: bytes) -> tuple[bool, str | None]:
    """Whether the first line is of HTTP/1.1, and the host that it names. Raises Refusal."""
    found = _START.fullmatch(line)
    target = _TARGET.fullmatch(found[1]) if found else None
    if found is None or target is None:
        raise malformed("the first line of the request is not valid")
    if found[2] != b"1" or found[3] not in {b"0", b"1"}:
        raise Refusal(505, "HTTP Version Not Supported", "the hub speaks HTTP/1.1")
    if target[1] is None:
        return found[3] == b"1", None
    authority = target[1].decode("latin-1")
    _check_host(authority)
    return found[3] == b"1", authority


def _plain_lines(lines: list[bytes]) -> dict[bytes, bytes]:
    """Of the headers that may be there once, those that are, by name. Raises Refusal."""
    if len(lines) > MOST_LINES:
        raise Refusal(431, "Request Header Fields Too Large", "the request has too many headers")
    plain: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name[:1].isspace():
            raise malformed("a header goes on in the next line")
        if name in plain:
            raise malformed(f"the header {name.decode()} is there twice")
        if name in _ONCE:
            plain[name] = value.strip(b" \t")
    return plain


def _check_host(value: str) -> None:
    if not _HOST.fullmatch(value):
        raise malformed("the host of the request is not valid")


def _check_length(value: bytes, max_body: int) -> None:
    if not _LENGTH.fullmatch(value):
        raise malformed("Content-Length is not valid")
    if int(value) >= max_body:
        raise Refusal(413, "Request Entity Too Large", _SENTENCES[413])


def _check_coding(value: str) -> None:
    if value.lower() != "chunked":
        raise Refusal(501, "Not Implemented", _SENTENCES[501])


def _check_expectation(value: str) -> None:
    if value.lower() != "100-continue":
        raise Refusal(417, "Expectation Failed", "the expectation cannot be met")


# What the value of each must be.
_CHECKS: Mapping[bytes, Callable[[str], None]] = {
    b"host": _check_host,
    b"transfer-encoding": _check_coding,
    b"expect": _check_expectation,
}


class RefusalTask(ErrorTask):  # type: ignore[misc]
    """The answer to a request that was not taken."""

    def execute(self) -> None:
        """Send it, and note it where the application notes its own."""
        error, request_id = self.request.error, f"{getrandbits(64):016x}"
        detail = getattr(error, "detail", None) or _SENTENCES.get(error.code, "internal error")
        headers, body = self.channel.answer(NotTaken(error.code, detail), self.request.asked)
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend((*headers, ("X-Request-Id", request_id)))
        self.set_close_on_finish()
        self.channel.has_refused = True
        self.content_length = len(body)
        self.write(body)
        # A secret that is cut is not known for one.
        first = redact(one_line(self.request.first_line.decode("utf-8", "replace")))[:200]
        said = (self.channel.addr[0], first, error.code, detail)
        access.info('%s - "%s" %d not taken: %s', *said, extra={"request_id": request_id})


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection, whose requests are read as above. `answer` tells how refusals look.

    It is not closed at once after a refusal: a system that is sent more then resets the connection, and
    who is still sending, such as a proxy with a body, may never read the answer.
    """

    parser_class = Parser
    error_task_class = RefusalTask

    has_refused = False
    _lingers_until: float | None = None
    _thrown_away = 0

    def __init__(self, answer: Answer, *args: Any, **kwargs: Any) -> None:
        self.answer = answer
        super().__init__(*args, **kwargs)

    def handle_close(self) -> None:
        """Close, or after a refusal say that no more will come, and wait for the other end to close."""
        if self.has_refused and self._lingers_until is None and self._has_said_all():
            self._lingers_until, self.will_close = time.monotonic() + PATIENCE, False
        else:
            super().handle_close()

    def _has_said_all(self) -> bool:
        if self.total_outbufs_len or not self.connected:
            return False
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # The other end is gone.
            return False
        return True

    def readable(self) -> bool:
        """Whether more is read; asked at least once a second."""
        if self._lingers_until is not None and time.monotonic() > self._lingers_until:
            self.will_close = True
        readable: bool = super().readable()
        return readable

    def received(self, data: bytes) -> bool:
        """Take the next bytes."""
        if self._lingers_until is None:
            is_taken: bool = super().received(data)
            return is_taken
        self._thrown_away += len(data)
        self.will_close = self._thrown_away > MOST_THROWN_AWAY
        return False
