"""Writing an archive, member by member, into something that can only be appended to.

Members come from another archive as they lie there, or are small and new. Every header is written
afresh and knows its sizes; texts are in UTF-8; there are no data descriptors, no gaps, no comment of
the archive, and no extra fields but for numbers that fit nowhere else. So the result has one story to
tell, to whatever reader, whatever the source was like (ADR 18).
"""

import struct
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from hubrepo.kernel.archives.members import Member
from hubrepo.kernel.archives.reader import Archive
from hubrepo.kernel.archives.records import (
    DEFLATED,
    END64_FORMAT,
    END64_SIGNATURE,
    END_FORMAT,
    END_SIGNATURE,
    ENTRY_FORMAT,
    ENTRY_SIGNATURE,
    LOCAL_FORMAT,
    LOCAL_SIGNATURE,
    LOCATOR_FORMAT,
    LOCATOR_SIGNATURE,
    MOST_16,
    MOST_32,
    ZIP64,
    block,
)

# What every reader can do: no member is refused for the version that it claims to need.
_NEEDS_DEFLATE = 20
_NEEDS_ZIP64 = 45
_UNIX = 3 << 8
_PLAIN_FILE = 0o100644 << 16


class Sink(Protocol):
    """Whatever takes bytes, one piece after the other."""

    def write(self, data: bytes, /) -> object:
        """Append `data`, all of it."""


class ArchiveWriter:
    """An archive in the making. It is one only after `finish`.

    No two members may bear the same name; keeping the other rules of names is up to the caller.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._position = 0
        self._entries: dict[str, bytes] = {}

    def copy(self, archive: Archive, member: Member) -> None:
        """Append a member of another archive, its stored bytes as they are."""
        self._begin(member)
        for piece in archive.stored(member):
            self._write(piece)

    def add(
        self, name: str, data: bytes, *, modified: datetime, like: Member | None = None
    ) -> None:
        """Append a small new file, deflated.

        `modified` is written as it reads, for a ZIP knows no time zones. Mode, attributes and
        comment are taken from `like`, the member that this one stands in for.
        """
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        stored = deflater.compress(data) + deflater.flush()
        date, time = dos_date_and_time(modified)
        member = Member(
            name=name,
            method=DEFLATED,
            crc=zlib.crc32(data),
            size=len(data),
            stored_size=len(stored),
            offset=0,
            dos_date=date,
            dos_time=time,
            made_by=like.made_by if like else _UNIX | _NEEDS_DEFLATE,
            internal=like.internal if like else 0,
            external=like.external if like else _PLAIN_FILE,
            comment=like.comment if like else b"",
        )
        self._begin(member)
        self._write(stored)

    def finish(self, order: Sequence[str] | None = None) -> None:
        """Write the directory, listing the members in `order` or else as they were appended.

        Where the bytes of a member lie says nothing about its place in the listing, so a member
        that could only be written last can be listed first. `order` names every member once.
        """
        names = list(self._entries) if order is None else order
        if sorted(names) != sorted(self._entries):
            raise ValueError("the order must name every member of the archive once")
        start = self._position
        for name in names:
            self._write(self._entries[name])
        self._write(end_records(len(names), start, self._position - start))

    def _begin(self, member: Member) -> None:
        if member.name in self._entries:
            raise ValueError(f"{member.name!r} has already been written")
        self._entries[member.name] = directory_entry(member, self._position)
        self._write(local_header(member))

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._position += len(data)


def local_header(member: Member) -> bytes:
    """The bytes that go before the stored bytes of `member`."""
    sizes, extra, needs = (member.stored_size, member.size), b"", _NEEDS_DEFLATE
    if max(sizes) >= MOST_32:
        # A local header's ZIP64 block holds both sizes or none, the inflated one first.
        extra = block(ZIP64, struct.pack("<2Q", *reversed(sizes)))
        sizes, needs = (MOST_32, MOST_32), _NEEDS_ZIP64
    name = member.name.encode()
    header = LOCAL_FORMAT.pack(
        LOCAL_SIGNATURE,
        needs,
        member.flags,
        member.method,
        member.dos_time,
        member.dos_date,
        member.crc,
        *sizes,
        len(name),
        len(extra),
    )
    return header + name + extra


def directory_entry(member: Member, header_at: int) -> bytes:
    """The line of `member` in the directory; its local header is at `header_at`."""
    name, extra, needs = member.name.encode(), b"", _NEEDS_DEFLATE
    wide = [number for number in (member.size, member.stored_size, header_at) if number >= MOST_32]
    if wide:
        extra = block(ZIP64, struct.pack(f"<{len(wide)}Q", *wide))
        needs = _NEEDS_ZIP64
    entry = ENTRY_FORMAT.pack(
        ENTRY_SIGNATURE,
        member.made_by,
        needs,
        member.flags,
        member.method,
        member.dos_time,
        member.dos_date,
        member.crc,
        min(member.stored_size, MOST_32),
        min(member.size, MOST_32),
        len(name),
        len(extra),
        len(member.comment),
        0,
        member.internal,
        member.external,
        min(header_at, MOST_32),
    )
    return entry + name + extra + member.comment


def end_records(count: int, start: int, size: int) -> bytes:
    """What follows the directory of `count` entries that takes `size` bytes from `start` on."""
    end = END_FORMAT.pack(
        END_SIGNATURE,
        0,
        0,
        min(count, MOST_16),
        min(count, MOST_16),
        min(size, MOST_32),
        min(start, MOST_32),
        0,
    )
    if count < MOST_16 and max(start, size) < MOST_32:
        return end
    length = END64_FORMAT.size - 12  # its signature and this very number do not count
    versions = (_UNIX | _NEEDS_ZIP64, _NEEDS_ZIP64)
    wide = END64_FORMAT.pack(END64_SIGNATURE, length, *versions, 0, 0, count, count, size, start)
    return wide + LOCATOR_FORMAT.pack(LOCATOR_SIGNATURE, 0, start + size, 1) + end


def dos_date_and_time(moment: datetime) -> tuple[int, int]:
    """`moment` in the format's two numbers, which know 1980 to 2107 and even seconds."""
    if moment.year < 1980:
        moment = datetime(1980, 1, 1)  # noqa: DTZ001 (there are no time zones in a ZIP)
    elif moment.year > 2107:
        moment = datetime(2107, 12, 31, 23, 59, 59)  # noqa: DTZ001
    date = (moment.year - 1980) << 9 | moment.month << 5 | moment.day
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    return date, time
