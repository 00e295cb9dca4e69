"""Files that lie within a blob, as members of an archive do, sent without unpacking the archive."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple, cast

from pyramid.response import Response
from webob.acceptparse import AcceptEncodingValidHeader

from hubrepo.kernel.archives import GZIP_FRAME, gzip_framed, inflated
from hubrepo.kernel.serving.files import OneWayFile, cut, is_remote, pieces_of
from hubrepo.kernel.serving.responses import SMALL, Opener, Representation, respond

VARY = ("Vary", "Accept-Encoding")

# Ranges of a deflated file may begin up to here: to get there, all before it is inflated.
FARTHEST = 16 * 1024**2

# Clients send a few short ones; what is longer is not worth remembering.
_LONGEST_REMEMBERED = 200


class Extent(NamedTuple):
    """A file of `size` bytes that lies at `offset` of a blob, in `stored_size` bytes.

    `digest` is the hex SHA-256 of its content, `crc` the CRC-32. A deflated one also has the digest
    of the stream that is stored.
    """

    offset: int
    stored_size: int
    size: int
    crc: int
    digest: str
    stored_digest: str | None = None


def respond_extent(
    request: Any, what: Representation, extent: Extent, open_at: Opener, status: int = 200
) -> Response:
    """The answer to a GET or HEAD of `extent`, which `what` describes; `open_at` opens its blob.

    To a client that takes gzip a deflated one goes as it is stored, in a gzip frame; for others, and
    where a range is asked for, it is inflated. A range that begins far behind is answered with all
    of it: otherwise a few bytes would cost a stranger nothing, and the hub a second.
    """
    environ, headers = request.environ, (*what.headers, VARY)
    if extent.stored_digest is None:
        return respond(request, what._replace(headers=headers), _stored(extent, open_at), status)
    ranged = request.method == "GET" and "HTTP_RANGE" in environ
    if ranged or not accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING")):
        plain = what._replace(headers=headers, last_start=FARTHEST)
        return respond(request, plain, _inflated(extent, open_at), status)
    gzip = what._replace(
        digest=extent.stored_digest,
        size=extent.stored_size + GZIP_FRAME,
        coding="gzip",
        headers=headers,
    )
    return respond(request, gzip, _framed(extent, open_at), status)


def _stored(extent: Extent, open_at: Opener) -> Opener:
    return lambda start, length: open_at(extent.offset + start, length)


def _framed(extent: Extent, open_at: Opener) -> Opener:
    def make(stored: Iterator[bytes]) -> Iterator[bytes]:
        return gzip_framed(stored, extent.crc, extent.size)

    return _made(extent, open_at, make)


def _inflated(extent: Extent, open_at: Opener) -> Opener:
    return _made(extent, open_at, lambda stored: inflated(stored, extent.size))


def _made(
    extent: Extent, open_at: Opener, make: Callable[[Iterator[bytes]], Iterator[bytes]]
) -> Opener:
    def open_file(start: int, length: int) -> BinaryIO:
        file = open_at(extent.offset, extent.stored_size)
        pieces = make(pieces_of(file, extent.stored_size))
        if max(extent.size, extent.stored_size) <= SMALL:
            with file:
                return BytesIO(b"".join(pieces)[start : start + length])
        wanted = cut(pieces, start, length)
        sent = OneWayFile(wanted, length, file.close, is_remote=is_remote(file))
        return cast("BinaryIO", sent)

    return open_file


def accepts_gzip(header: str | None) -> bool:
    """Whether an `Accept-Encoding` header takes gzip."""
    if not header:
        return False
    return _accepts(header) if len(header) <= _LONGEST_REMEMBERED else _accepts.__wrapped__(header)


@lru_cache(maxsize=256)
def _accepts(header: str) -> bool:
    try:
        offers = AcceptEncodingValidHeader(header).acceptable_offers(["gzip", "identity"])
    except ValueError:
        return False
    liked = dict(offers)
    # Of `identity` most clients say nothing: they take it, but for want of better.
    return "gzip" in liked and (
        "identity" not in header or liked["gzip"] >= liked.get("identity", 0)
    )
