"""The deflate stream of a member (RFC 1951): inflated with care, or framed as gzip (RFC 1952)."""

import struct
import zlib
from collections.abc import Iterator

CHUNK = 256 * 1024

# Deflated, no name, no time, made on no system in particular: the same content, the same frame.
_GZIP_HEAD = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
_GZIP_TAIL = struct.Struct("<2L")
GZIP_FRAME = len(_GZIP_HEAD) + _GZIP_TAIL.size


class BrokenDeflate(Exception):
    """The stream is not what it should be; the text says how, as a clause about its member."""


def inflated(stored: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The content of a stream that should hold `size` bytes; at most one byte more is inflated.

    Raises BrokenDeflate, at the latest once the last piece was taken.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = size + 1  # one byte too many shows the lie; the rest of it is not inflated
    while left and not inflater.eof:
        source = inflater.unconsumed_tail or next(stored, b"")
        try:
            piece = inflater.decompress(source, min(CHUNK, left))
        except zlib.error:
            raise BrokenDeflate("has broken compressed data") from None
        left -= len(piece)
        if piece:
            yield piece
        elif not source:
            raise BrokenDeflate("has compressed data that ends early")
    if inflater.unused_data or next(stored, b""):
        raise BrokenDeflate("has bytes after the end of its compressed data")


def gzip_framed(stored: Iterator[bytes], crc: int, size: int) -> Iterator[bytes]:
    """A whole deflate stream as a gzip file, `GZIP_FRAME` bytes longer; nothing is compressed.

    `crc` and `size` are those of the content.
    """
    yield _GZIP_HEAD
    yield from stored
    yield _GZIP_TAIL.pack(crc, size & 0xFFFFFFFF)
