"""A reader of ZIP files that knows one form only, the one that is served, and nothing of the hub's own."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_LOCAL = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")

# What records begin with, all that APPNOTE.TXT knows.
_SIGNATURES = tuple(
    b"PK" + each
    for each in (b"\1\2", b"\3\4", b"\5\5", b"\5\6", b"\6\6", b"\6\7", b"\6\x08", b"\7\x08")
)

_LEVEL, _UTF8 = 0b110, 1 << 11
_DEFLATED = 8


class Walked(NamedTuple):
    """A member: its name, and its content."""

    name: str
    content: bytes


def walk(data: bytes) -> list[Walked]:
    """The members of a served archive below 4 GiB, in the order of its directory.

    Local headers follow one another from the first byte to the directory, that to the end record,
    and that is the end of the file. Each header says what its entry says, every name is ASCII or
    marked as UTF-8, and there is no extra field, no descriptor and no comment of the archive.
    """
    end = _END.unpack_from(data, len(data) - _END.size)
    assert end[:3] == (b"PK\5\6", 0, 0), "the file ends with its end record"
    _, _, _, here, total, size, start, comment = end
    assert (here, comment) == (total, 0)
    assert start + size + _END.size == len(data), "nothing lies around the directory"
    entries = list(_entries(data[start : start + size]))
    assert len(entries) == total
    at, found = 0, {}
    for fields, name, offset in sorted(entries, key=lambda entry: entry[2]):
        assert offset == at, "headers follow one another"
        at, content = _member(data, offset, fields, name)
        found[offset] = Walked(name.decode("utf-8"), content)
    assert at == start, "the directory follows the members"
    return [found[offset] for _, _, offset in entries]


def _entries(directory: bytes) -> Iterator[tuple[tuple[int, ...], bytes, int]]:
    """What each entry shares with its local header, its name, and where that is."""
    at = 0
    while at < len(directory):
        entry = _ENTRY.unpack_from(directory, at)
        signature, _, *shared, name_length, extra, comment, disk, _, external, offset = entry
        assert (signature, extra, disk) == (b"PK\1\2", 0, 0), "an entry without an extra field"
        assert not external & (0o7000 << 16), "nobody asked for set-user-ID"
        at += _ENTRY.size
        name = directory[at : at + name_length]
        texts = directory[at : at + name_length + comment]
        assert bool(shared[1] & _UTF8) is not texts.isascii(), "what is not ASCII is UTF-8"
        assert not any(each in texts for each in _SIGNATURES), "no text is taken for a record"
        texts.decode("utf-8")
        at += name_length + comment
        yield tuple(shared), name, offset


def _member(data: bytes, at: int, fields: tuple[int, ...], name: bytes) -> tuple[int, bytes]:
    """The end of the member at `at`, and its content."""
    signature, *shared, name_length, extra = _LOCAL.unpack_from(data, at)
    needs, flags, method, _, _, crc, stored_size, size = shared
    assert (signature, extra) == (b"PK\3\4", 0), "a header without an extra field"
    assert tuple(shared) == fields, "a header says what its entry says"
    assert (needs, flags & ~(_LEVEL | _UTF8)) == (20, 0)
    at += _LOCAL.size
    assert data[at : at + name_length] == name
    at += name_length
    stored = data[at : at + stored_size]
    if method == _DEFLATED:
        inflater = zlib.decompressobj(-15)
        content = inflater.decompress(stored)
        assert inflater.eof
        assert not inflater.unused_data
    else:
        assert method == 0
        content = stored
    assert (len(content), zlib.crc32(content)) == (size, crc)
    return at + stored_size, content
