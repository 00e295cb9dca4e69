"""The records of a ZIP file (APPNOTE.TXT, section 4.3): bytes to tuples and back.

Nothing here touches a file, and nothing judges what it finds.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

STORED, DEFLATED = 0, 8

# General purpose flags. The first group means that the stored bytes are not simply the content.
ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
PATCHED = 1 << 5
DEFERRED = 1 << 3  # sizes and checksum follow the data, the local header need not know them
UTF8 = 1 << 11
LEVEL = 1 << 1 | 1 << 2

# A field holding its largest value means: see the ZIP64 block, or the ZIP64 end record.
MOST_16 = 0xFFFF
MOST_32 = 0xFFFFFFFF

ZIP64 = 0x0001
UNICODE_COMMENT, UNICODE_PATH = 0x6375, 0x7075

LOCAL_FORMAT = struct.Struct("<4s5H3L2H")
ENTRY_FORMAT = struct.Struct("<4s6H3L5H2L")
END_FORMAT = struct.Struct("<4s4H2LH")
END64_FORMAT = struct.Struct("<4sQ2H2L4Q")
LOCATOR_FORMAT = struct.Struct("<4sLQL")
_BLOCK_FORMAT = struct.Struct("<2H")
_DESCRIPTOR_FORMATS = (struct.Struct("<3L"), struct.Struct("<L2Q"))

LOCAL_SIGNATURE = b"PK\x03\x04"
ENTRY_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
END64_SIGNATURE = b"PK\x06\x06"
LOCATOR_SIGNATURE = b"PK\x06\x07"
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"

# What a reader that looks for records takes for one.
RECORD = re.compile(rb"PK(?:\x01\x02|\x03\x04|\x05[\x05\x06]|\x06[\x06-\x08]|\x07\x08)")
LONGEST_DESCRIPTOR = 24


class LocalHeader(NamedTuple):
    """What stands before a member's stored bytes; its name and extra field follow."""

    signature: bytes
    needs: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    stored_size: int
    size: int
    name_length: int
    extra_length: int


class Entry(NamedTuple):
    """A member's line in the central directory; name, extra field and comment follow."""

    signature: bytes
    made_by: int
    needs: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    stored_size: int
    size: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    internal: int
    external: int
    offset: int


class EndRecord(NamedTuple):
    """Where the central directory is; the archive's comment follows."""

    signature: bytes
    disk: int
    directory_disk: int
    total_here: int
    total: int
    size: int
    offset: int
    comment_length: int


class Locator(NamedTuple):
    """Where the ZIP64 end record is."""

    signature: bytes
    disk: int
    offset: int
    disks: int


class End64Record(NamedTuple):
    """The end record again, with room for large numbers."""

    signature: bytes
    record_size: int
    made_by: int
    needs: int
    disk: int
    directory_disk: int
    total_here: int
    total: int
    size: int
    offset: int


def block(kind: int, data: bytes) -> bytes:
    """One block of an extra field."""
    return _BLOCK_FORMAT.pack(kind, len(data)) + data


def blocks(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """The blocks of an extra field, up to its end or to where it makes no sense any more."""
    at = 0
    while at + _BLOCK_FORMAT.size <= len(extra):
        kind, length = _BLOCK_FORMAT.unpack_from(extra, at)
        at += _BLOCK_FORMAT.size + length
        if at > len(extra):
            return
        yield kind, extra[at - length : at]


def first_block(extra: bytes, kind: int) -> bytes:
    """The first block of that kind, empty if there is none."""
    return next((data for found, data in blocks(extra) if found == kind), b"")


def contradicts_itself(extra: bytes, kinds: Sequence[int]) -> bool:
    """Whether the extra field has two blocks of one of these kinds, and they are not the same."""
    found: dict[int, bytes] = {}
    return any(
        found.setdefault(kind, data) != data for kind, data in blocks(extra) if kind in kinds
    )


def widened(numbers: Sequence[int], extra: bytes) -> Iterator[int]:
    """The numbers of a header, in the order its ZIP64 block holds the large ones in."""
    zip64 = first_block(extra, ZIP64)
    wide = iter(struct.unpack_from(f"<{len(zip64) // 8}Q", zip64))
    for number in numbers:
        yield next(wide, number) if number == MOST_32 else number


def unicode_block(extra: bytes, kind: int, raw: bytes) -> bytes | None:
    """What stands in UTF-8 beside the name or comment `raw`, if it was written for that one."""
    data = first_block(extra, kind)
    if data[:5] != struct.pack("<BL", 1, zlib.crc32(raw)):
        return None
    return data[5:]


def descriptor_length(data: bytes, crc: int, stored_size: int, size: int) -> int:
    """How many bytes the descriptor takes that `data` begins with; 0 if it tells something else.

    Its signature may be missing, and its sizes may be narrow or wide.
    """
    for layout in _DESCRIPTOR_FORMATS:
        for signature in (_DESCRIPTOR_SIGNATURE, b""):
            told = data[len(signature) :][: layout.size]
            if (
                data.startswith(signature)
                and len(told) == layout.size
                and layout.unpack(told) == (crc, stored_size, size)
            ):
                return len(signature) + layout.size
    return 0


def decoded(raw: bytes) -> str:
    """A text that is not marked as UTF-8: code page 437, unless it is UTF-8 all the same.

    What is not meant to be UTF-8 hardly ever can be read as that.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp437")


def cut(comment: str) -> bytes:
    """A comment in UTF-8, no longer than the format can hold."""
    return comment.encode()[:MOST_16].decode(errors="ignore").encode()
