"""Finding the central directory, and cutting it into entries.

We look for it ourselves rather than leave that to `zipfile`: two readers may disagree about where a
hostile archive begins and how many members it has, and who counts them must be who reads them.
"""

from collections.abc import Iterator
from os import SEEK_END
from typing import BinaryIO, NamedTuple

from hubrepo.kernel.archives.errors import ArchiveRefused, NotAnArchive
from hubrepo.kernel.archives.limits import ArchiveLimits, over_limit
from hubrepo.kernel.archives.records import (
    END64_FORMAT,
    END64_SIGNATURE,
    END_FORMAT,
    END_SIGNATURE,
    ENTRY_FORMAT,
    ENTRY_SIGNATURE,
    LOCATOR_FORMAT,
    LOCATOR_SIGNATURE,
    MOST_16,
    MOST_32,
    End64Record,
    EndRecord,
    Entry,
    Locator,
    widened,
)

# The directory is held in memory. This is room for 10,000 members with 1,600 bytes each.
LARGEST_DIRECTORY = 16 * 1024**2


class Directory(NamedTuple):
    """A central directory's place in the file.

    `shift` is how many bytes stand before the archive: all offsets in it are off by as many. Its
    end record, all but the comment, ends at `end`.
    """

    start: int
    size: int
    members: int
    shift: int
    end: int


class Listed(NamedTuple):
    """An entry of the directory, its large numbers in place, with the bytes that follow it."""

    entry: Entry
    name: bytes
    extra: bytes
    comment: bytes


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Exactly these bytes of `file`. Raises NotAnArchive if they are not all there."""
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise NotAnArchive("the file ends early")
    return data


def find_directory(file: BinaryIO, limits: ArchiveLimits) -> Directory:
    """The place of the central directory, small enough to be read."""
    at, end = _end_record(file)
    ends_at = at + END_FORMAT.size
    at, end, told_at = _widened_end(file, at, end)
    if end.disk or end.directory_disk or end.total_here != end.total:
        raise NotAnArchive("the archive spans several files")
    if end.total > limits.max_members:
        raise ArchiveRefused(
            f"the archive has {end.total} members, more than {over_limit(limits, 'max_members')}"
        )
    if end.size > LARGEST_DIRECTORY:
        raise ArchiveRefused(f"the archive's directory is larger than {LARGEST_DIRECTORY} bytes")
    start = at - end.size
    if start < end.offset:
        raise NotAnArchive("the directory is not where the end record says")
    shift = start - end.offset
    if told_at is not None and told_at + shift != at:
        raise NotAnArchive("the ZIP64 end record is not where its locator says")
    return Directory(start, end.size, end.total, shift, ends_at)


def read_directory(file: BinaryIO, directory: Directory) -> Iterator[Listed]:
    """The entries of the directory, which must fill it exactly."""
    data = read_at(file, directory.start, directory.size)
    at = 0
    for _ in range(directory.members):
        if at + ENTRY_FORMAT.size > len(data):
            raise NotAnArchive("the directory ends early")
        entry = Entry._make(ENTRY_FORMAT.unpack_from(data, at))
        if entry.signature != ENTRY_SIGNATURE:
            raise NotAnArchive("the directory holds something else than entries")
        name_at = at + ENTRY_FORMAT.size
        extra_at = name_at + entry.name_length
        comment_at = extra_at + entry.extra_length
        at = comment_at + entry.comment_length
        if at > len(data) or entry.disk not in {0, MOST_16}:
            raise NotAnArchive("the directory ends early, or the archive spans several files")
        extra = data[extra_at:comment_at]
        size, stored_size, offset = widened((entry.size, entry.stored_size, entry.offset), extra)
        entry = entry._replace(size=size, stored_size=stored_size, offset=offset)
        yield Listed(entry, data[name_at:extra_at], extra, data[comment_at:at])
    if at != len(data):
        raise NotAnArchive("the directory is longer than its entries")


def _end_record(file: BinaryIO) -> tuple[int, EndRecord]:
    """The last end record of the file, and its place. A comment or stray bytes may follow it."""
    size = file.seek(0, SEEK_END)
    tail = read_at(file, start := max(0, size - END_FORMAT.size - MOST_16), size - start)
    found = tail.rfind(END_SIGNATURE, 0, max(0, len(tail) - END_FORMAT.size + len(END_SIGNATURE)))
    if found < 0:
        raise NotAnArchive("there is no end record")
    end = EndRecord._make(END_FORMAT.unpack_from(tail, found))
    if found + END_FORMAT.size + end.comment_length > len(tail):
        raise NotAnArchive("the archive's comment ends early")
    return start + found, end


def _widened_end(file: BinaryIO, at: int, end: EndRecord) -> tuple[int, EndRecord, int | None]:
    """The end record with the large numbers of the ZIP64 one before it, and where both begin.

    The third is where that one's locator says it is; None where there is no locator.
    """
    locator_at = at - LOCATOR_FORMAT.size
    wide_at = locator_at - END64_FORMAT.size
    if wide_at < 0 or read_at(file, locator_at, 4) != LOCATOR_SIGNATURE:
        return at, end, None
    locator = Locator._make(LOCATOR_FORMAT.unpack(read_at(file, locator_at, LOCATOR_FORMAT.size)))
    if locator.disk or locator.disks > 1:
        raise NotAnArchive("the archive spans several files")
    wide = End64Record._make(END64_FORMAT.unpack(read_at(file, wide_at, END64_FORMAT.size)))
    if wide.signature != END64_SIGNATURE or wide.record_size != END64_FORMAT.size - 12:
        raise NotAnArchive("the ZIP64 end record is missing")
    numbers = wide[4:]
    for narrow, number, most in zip(end[1:7], numbers, [MOST_16] * 4 + [MOST_32] * 2, strict=True):
        if narrow not in {number, most}:
            raise NotAnArchive("the two end records contradict each other")
    wide_end = EndRecord(END_SIGNATURE, *numbers, comment_length=end.comment_length)
    return wide_at, wide_end, locator.offset
