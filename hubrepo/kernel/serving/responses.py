"""Bytes → HTTP: validators, ranges, digests, disposition, and files handed to the server to send."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from io import SEEK_END
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from pyramid.response import Response

from hubrepo.kernel.base import HubError, repr_digest
from hubrepo.kernel.serving.files import CHUNK, is_remote, pieces_of
from hubrepo.kernel.serving.ranges import (
    RangeNotSatisfiable,
    Slice,
    matches_any,
    matches_strongly,
    not_modified_since,
    range_still_applies,
    wanted_slice,
)

# Up to here a body is read at once: a file that is handed to the server costs more than it holds.
SMALL = 64 * 1024

# Long enough to follow a redirect, too short to pass it on.
LINK_SECONDS = 60

# What is not ASCII, cannot be shown, or means something to one client or the other.
_MISREAD = re.compile(r'[^ -~]|["%\\]')

Opener = Callable[[int, int], BinaryIO]
Linker = Callable[[int, Mapping[str, str]], str | None]


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


class Representation(NamedTuple):
    """What is about to be sent: `digest` is the hex SHA-256 of its content.

    Its `size` bytes are the content itself, or with a `coding`, what the coding made of it, of which
    no part can be asked for; then `digest` is any that no other bytes have. `headers` go on the
    answer, before those that follow from the rest. What has another `variant` is another
    representation of the same bytes: told otherwise what they are. What is saved under a name has a
    `disposition`. A range that begins behind
    `last_start` is not cut out: everything is sent. With a `link`, a GET is answered with a redirect to
    the address that it makes, good for so many seconds, whose answer carries the headers it is given.
    """

    digest: str
    size: int
    modified: datetime | None
    content_type: str
    cache_control: str
    disposition: str | None = None
    coding: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    variant: str | None = None
    last_start: int | None = None
    link: Linker | None = None

    @property
    def etag(self) -> str:
        """Strong: the same tag is the same bytes."""
        return f'"{"-".join(filter(None, (self.digest, self.coding, self.variant)))}"'


class Sent(Response):  # type: ignore[misc]  # Pyramid has no types
    """A response that is sent as it is: WebOb would look for a `Location`, to put a host before it."""

    def __call__(self, _environ: Any, start_response: Any) -> Any:
        """What WSGI asks."""
        start_response(self.status, self.headerlist)
        return self.app_iter


def redirect(location: str, status: int) -> Response:
    """Return a redirect to `location` as it is spelled: a relative one is right behind any proxy."""
    headers = [("Location", location), ("Content-Length", "0")]
    return Sent(status=status, headerlist=headers, app_iter=())


class _Bounded:
    """`length` bytes of a file, read by the thread of the request.

    For files that it may have to wait for, and for servers that have no `wsgi.file_wrapper`.
    """

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._pieces, self.close = pieces_of(file, length), file.close

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


def disposition(filename: str) -> str:
    """A `Content-Disposition` that saves under `filename`."""
    if filename.isascii():
        escaped = filename.replace("\\", "\\\\").replace('"', '\\"')
        return f'attachment; filename="{escaped}"'
    return f"attachment; filename*=utf-8''{quote(filename, safe='')}"


def lenient_disposition(filename: str) -> str:
    """The same for clients that take the first `filename` for what it seems to be.

    RFC 6266, appendix D: it comes first, without what some of them misread; the exact name follows.
    """
    plain = _MISREAD.sub("_", filename)
    exact = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'attachment; filename="{plain}"{exact}'


def respond(request: Any, what: Representation, open_at: Opener, status: int = 200) -> Response:
    """The answer to a GET or HEAD of `what`. `open_at(start, length)` is asked only for what is sent.

    What is sent with another status than 200 is sent whole, whatever the conditions of the request.
    Where `what` has a link, a GET that asks for bytes is led there instead.
    Raises UnsatisfiableRange, PreconditionFailed, and whatever `open_at` raises.
    """
    part = None
    if status == 200:
        if_match = request.environ.get("HTTP_IF_MATCH")
        if if_match is not None and not matches_strongly(if_match, what.etag):
            raise PreconditionFailed
        if _is_fresh(request, what):
            return Sent(status=304, headerlist=_validators(what))
        part = _part(request, what)
        if (led := _led_away(request, what)) is not None:
            return led
    headers = _validators(what) if status == 200 else [*what.headers, _caching(what)]
    headers.append(("Content-Type", what.content_type))
    if what.coding is not None:
        headers.append(("Content-Encoding", what.coding))
    if what.disposition is not None:
        headers.append(("Content-Disposition", what.disposition))
    if part is not None:
        status = 206
        headers.append(("Content-Range", f"bytes {part.start}-{part.last}/{what.size}"))
    part = part or Slice(0, what.size)
    headers.append(("Content-Length", str(part.length)))
    body = () if request.method == "HEAD" else _body(request, open_at, part)
    return Sent(status=status, headerlist=headers, app_iter=body)


def _led_away(request: Any, what: Representation) -> Response | None:
    """A redirect to where the bytes lie, if there is such an address."""
    if what.link is None or request.method != "GET":
        return None
    told = {"Content-Type": what.content_type, "Cache-Control": what.cache_control}
    if what.disposition is not None:
        told["Content-Disposition"] = what.disposition
    address = what.link(LINK_SECONDS, told)
    if address is None:
        return None
    headers = [("Location", address), ("Cache-Control", "no-store"), ("Content-Length", "0")]
    return Sent(status=302, headerlist=headers, app_iter=())


def _body(request: Any, open_at: Opener, part: Slice) -> Any:
    file = open_at(part.start, part.length)
    if part.length <= SMALL:
        with file:
            return list(pieces_of(file, part.length))
    wrapper = request.environ.get("wsgi.file_wrapper")
    if wrapper is None or is_remote(file):
        return _Bounded(file, part.length)
    try:
        _look_for_all(file, part.length)
    except BaseException:
        file.close()
        raise
    return wrapper(file, CHUNK)


def _look_for_all(file: BinaryIO, length: int) -> None:
    """Raise EOFError if `length` bytes are not left: waitress would say that there are fewer, and send them."""
    at = file.tell()
    left = file.seek(0, SEEK_END) - at
    file.seek(at)
    if left < length:
        raise EOFError("the file ends early")


def _caching(what: Representation) -> tuple[str, str]:
    return "Cache-Control", what.cache_control


def _validators(what: Representation) -> list[tuple[str, str]]:
    headers = [*what.headers, ("ETag", what.etag), _caching(what), ("Accept-Ranges", "bytes")]
    if what.disposition is not None:
        # Who saves a file may want to check it; for the rest it would be a header too many.
        headers.append(("Repr-Digest", repr_digest(what.digest)))
    if what.modified is not None:
        headers.append(("Last-Modified", _http_date(what.modified)))
    return headers


@lru_cache(maxsize=1024)
def _http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def _is_fresh(request: Any, what: Representation) -> bool:
    if_none_match = request.environ.get("HTTP_IF_NONE_MATCH")
    if if_none_match is not None:
        return matches_any(if_none_match, what.etag)
    return not_modified_since(request.environ.get("HTTP_IF_MODIFIED_SINCE"), what.modified)


def _part(request: Any, what: Representation) -> Slice | None:
    if request.method != "GET" or what.coding is not None:
        return None
    wanted = request.environ.get("HTTP_RANGE")
    if_range = request.environ.get("HTTP_IF_RANGE")
    if wanted is None or not range_still_applies(if_range, what.etag, what.modified):
        return None
    try:
        part = wanted_slice(wanted, what.size)
    except RangeNotSatisfiable:
        raise UnsatisfiableRange(headers={"Content-Range": f"bytes */{what.size}"}) from None
    too_far = part is not None and what.last_start is not None and part.start > what.last_start
    return None if too_far else part
