"""ZIP files as nobody should write them: every field can be told otherwise, in either place."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hubrepo.kernel.archives import records
from hubrepo.kernel.archives.records import DEFERRED, DEFLATED, MOST_32, STORED, ZIP64, block

Fields = Mapping[str, Any]

UNIX, DOS = 3 << 8 | 20, 20
DATE, TIME = (2026 - 1980) << 9 | 3 << 5 | 4, 12 << 11 | 30 << 5
FILE = 0o100644 << 16


def deflated(content: bytes, level: int = 6) -> bytes:
    """A bare deflate stream."""
    deflater = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def descriptor(content: bytes, stored: bytes, *, signed: bool = True, wide: bool = False) -> bytes:
    """The truth behind the data of a member."""
    numbers = struct.pack("<L2Q" if wide else "<3L", zlib.crc32(content), len(stored), len(content))
    return (b"PK\x07\x08" if signed else b"") + numbers


@dataclass(frozen=True)
class Part:
    """A member. `local` and `entry` are fields told otherwise in its local header, and in the directory.

    `stored` are its bytes where they are not simply the content in its method; `behind` lies behind
    them (a descriptor, mostly), `before` in front of the header. It is told to be at `at` instead
    of where it lies, if that is given; one that is not `listed` is missing in the directory, one
    that does not `lie` anywhere is there only.
    """

    name: bytes
    content: bytes = b""
    method: int = DEFLATED
    stored: bytes | None = None
    extra: bytes = b""
    comment: bytes = b""
    local: Fields = field(default_factory=dict)
    entry: Fields = field(default_factory=dict)
    local_name: bytes | None = None
    local_extra: bytes | None = None
    before: bytes = b""
    behind: bytes = b""
    at: int | None = None
    listed: bool = True
    lies: bool = True

    def both(self, **fields: Any) -> "Part":
        """With these fields told otherwise in both places."""
        return replace(self, local={**self.local, **fields}, entry={**self.entry, **fields})

    @property
    def data(self) -> bytes:
        """The bytes as they lie in the file."""
        if self.stored is not None:
            return self.stored
        return deflated(self.content) if self.method == DEFLATED else self.content

    def header(self) -> bytes:
        """Its local header."""
        name = self.name if self.local_name is None else self.local_name
        extra = self.extra if self.local_extra is None else self.local_extra
        truth = records.LocalHeader(
            records.LOCAL_SIGNATURE, 20, 0, self.method, TIME, DATE,
            zlib.crc32(self.content), len(self.data), len(self.content), len(name), len(extra),
        )  # fmt: skip
        return records.LOCAL_FORMAT.pack(*truth._replace(**self.local)) + name + extra

    def line(self, at: int) -> bytes:
        """Its entry in the directory."""
        truth = records.Entry(
            records.ENTRY_SIGNATURE, UNIX, 20, 0, self.method, TIME, DATE,
            zlib.crc32(self.content), len(self.data), len(self.content),
            len(self.name), len(self.extra), len(self.comment),
            0, 0, 0o040755 << 16 | 0x10 if self.name.endswith(b"/") else FILE, at,
        )  # fmt: skip
        told = records.ENTRY_FORMAT.pack(*truth._replace(**self.entry))
        return told + self.name + self.extra + self.comment


def stored(name: bytes, content: bytes = b"", **others: Any) -> Part:
    """A member that is not compressed."""
    return Part(name, content, STORED, **others)


def streamed(name: bytes, content: bytes, behind: bytes | None = None, **local: Any) -> Part:
    """A member whose sizes follow its data, as a descriptor that tells the truth or is given."""
    truth = descriptor(content, deflated(content)) if behind is None else behind
    fields = {"flags": DEFERRED, "crc": 0, "stored_size": 0, "size": 0, **local}
    return Part(name, content, behind=truth, local=fields, entry={"flags": DEFERRED})


def wide(name: bytes, content: bytes, **block_of: Any) -> Part:
    """A member that tells its sizes in ZIP64 blocks; `block_of` the entry may be another."""
    numbers = (len(content), len(deflated(content)))
    truth = block(ZIP64, struct.pack("<2Q", *numbers))
    part = Part(
        name, content, extra=block_of.get("entry", truth), local_extra=block_of.get("local", truth)
    )
    return part.both(size=MOST_32, stored_size=MOST_32, needs=45)


@dataclass(frozen=True)
class Zip:
    """A file of these parts. `end`, `end64` and `locator` are fields told otherwise there.

    The last two are written only if `is_wide`. `gap` lies between the members and the directory,
    `padding` behind its entries and within it, `space` behind it.
    """

    parts: Sequence[Part]
    before: bytes = b""
    gap: bytes = b""
    padding: bytes = b""
    space: bytes = b""
    comment: bytes = b""
    after: bytes = b""
    end: Fields = field(default_factory=dict)
    end64: Fields = field(default_factory=dict)
    locator: Fields = field(default_factory=dict)
    is_wide: bool = False
    knows_before: bool = False

    def build(self) -> bytes:
        """The bytes of the file."""
        file, lines = bytearray(self.before), []
        shift = 0 if self.knows_before else len(self.before)
        for part in self.parts:
            file += part.before
            at = len(file) - shift if part.at is None else part.at
            if part.lies:
                file += part.header() + part.data + part.behind
            if part.listed:
                lines.append(part.line(at))
        file += self.gap
        start, size = len(file), sum(map(len, lines)) + len(self.padding)
        file += b"".join(lines) + self.padding + self.space
        numbers = (len(lines), len(lines), size, start - shift)
        if self.is_wide:
            at = len(file) - shift
            end64 = records.End64Record(records.END64_SIGNATURE, 44, UNIX, 45, 0, 0, *numbers)
            file += records.END64_FORMAT.pack(*end64._replace(**self.end64))
            locator = records.Locator(records.LOCATOR_SIGNATURE, 0, at, 1)
            file += records.LOCATOR_FORMAT.pack(*locator._replace(**self.locator))
        end = records.EndRecord(records.END_SIGNATURE, 0, 0, *numbers, len(self.comment))
        file += records.END_FORMAT.pack(*end._replace(**self.end)) + self.comment + self.after
        return bytes(file)
