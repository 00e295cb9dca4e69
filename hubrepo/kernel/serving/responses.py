"""Bytes → HTTP: validators, ranges, digests, disposition, and files handed to the server to send."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, BinaryIO
from urllib.parse import quote

from pyramid.response import Response

from hubrepo.kernel.base import HubError, repr_digest
from hubrepo.kernel.serving.ranges import (
    RangeNotSatisfiable,
    Slice,
    matches_any,
    matches_strongly,
    not_modified_since,
    range_still_applies,
    wanted_slice,
)

CHUNK = 256 * 1024

Opener = Callable[[int, int], BinaryIO]


class UnsatisfiableRange(HubError):
    """There are no such bytes."""

    status = 416
    code = "range-not-satisfiable"
    message = "the requested range is not there"


class PreconditionFailed(HubError):
    """`If-Match` names another state."""

    status = 412
    code = "precondition-failed"
    message = "the precondition does not hold"


@dataclass(frozen=True)
class Representation:
    """What is about to be sent: `digest` is the hex SHA-256 of all of its `size` bytes."""

    digest: str
    size: int
    modified: datetime | None
    content_type: str
    cache_control: str
    filename: str | None = None

    @property
    def etag(self) -> str:
        """Strong: the same tag is the same bytes."""
        return f'"{self.digest}"'


class _Bounded:
    """At most `length` bytes of a file, for servers that have no `wsgi.file_wrapper`."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self._left = file, length

    def __iter__(self) -> Iterator[bytes]:
        while self._left and (chunk := self._file.read(min(CHUNK, self._left))):
            self._left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self._file.close()


def disposition(filename: str) -> str:
    """A `Content-Disposition` that saves under `filename`."""
    if filename.isascii():
        escaped = filename.replace("\\", "\\\\").replace('"', '\\"')
        return f'attachment; filename="{escaped}"'
    return f"attachment; filename*=utf-8''{quote(filename, safe='')}"


def respond(request: Any, what: Representation, open_at: Opener) -> Response:
    """The answer to a GET or HEAD of `what`. `open_at(start, length)` is asked only for what is sent.

    Raises UnsatisfiableRange, PreconditionFailed, and whatever `open_at` raises.
    """
    response = Response(status=200)
    response.headerlist = _validators(what)
    if_match = request.headers.get("If-Match")
    if if_match is not None and not matches_strongly(if_match, what.etag):
        raise PreconditionFailed
    if _is_fresh(request, what):
        response.status = 304
        return response
    part = _part(request, what)
    if part is not None:
        response.status = 206
        response.headers["Content-Range"] = f"bytes {part.start}-{part.last}/{what.size}"
    part = part or Slice(0, what.size)
    response.headers["Content-Type"] = what.content_type
    if what.filename is not None:
        response.headers["Content-Disposition"] = disposition(what.filename)
    if request.method != "HEAD":
        file = open_at(part.start, part.length)
        wrapper = request.environ.get("wsgi.file_wrapper")
        # WebOb drops the length when it is given an iterator, so it is set last.
        response.app_iter = wrapper(file, CHUNK) if wrapper else _Bounded(file, part.length)
    response.content_length = part.length
    return response


def _validators(what: Representation) -> list[tuple[str, str]]:
    headers = [
        ("ETag", what.etag),
        ("Cache-Control", what.cache_control),
        ("Accept-Ranges", "bytes"),
        ("Repr-Digest", repr_digest(what.digest)),
    ]
    if what.modified is not None:
        headers.append(("Last-Modified", format_datetime(what.modified, usegmt=True)))
    return headers


def _is_fresh(request: Any, what: Representation) -> bool:
    if_none_match = request.headers.get("If-None-Match")
    if if_none_match is not None:
        return matches_any(if_none_match, what.etag)
    return not_modified_since(request.headers.get("If-Modified-Since"), what.modified)


def _part(request: Any, what: Representation) -> Slice | None:
    if request.method != "GET":
        return None
    if not range_still_applies(request.headers.get("If-Range"), what.etag, what.modified):
        return None
    try:
        return wanted_slice(request.headers.get("Range"), what.size)
    except RangeNotSatisfiable:
        raise UnsatisfiableRange(headers={"Content-Range": f"bytes */{what.size}"}) from None
