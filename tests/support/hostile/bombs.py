"""Archives that want more of their readers than they are worth."""

import random
import struct
import zlib
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise

from tests.support.hostile.building import Part, Zip, deflated, stored
from tests.support.hostile.cases import (
    GOOD,
    MANIFEST,
    NO_MANIFEST,
    NO_PAGES,
    NOT_A_ZIP,
    TOO_LARGE,
    Cases,
    accepted,
    before,
    beside,
    case,
    refused,
)
from tests.support.hostile.quine import quine

MIB = 1024**2
RATIO = "expands beyond the limit of 200 times its stored size (hubrepo.archives.max_ratio)"
TOGETHER = "expands beyond the limit of 1073741824 bytes (hubrepo.archives.max_expanded)"
MANY = "more than the limit of 10000 (hubrepo.archives.max_members)"


@cache
def deflated_zeros(size: int) -> tuple[bytes, int]:
    """A deflate stream of so many zeros, and their checksum."""
    deflater, crc = zlib.compressobj(9, wbits=-zlib.MAX_WBITS), 0
    pieces = []
    for _ in range(size // MIB):
        pieces.append(deflater.compress(bytes(MIB)))
        crc = zlib.crc32(bytes(MIB), crc)
    return b"".join([*pieces, deflater.flush()]), crc


def bomb(length: int, **told: int) -> bytes:
    """An archive with a member of so many zeros, of which something else may be told."""
    data, crc = deflated_zeros(length)
    fields = {"size": length, "crc": crc, **told}
    return before(Part(b"bomb", stored=data).both(**fields)).build()


def nested(depth: int, width: int = 1) -> bytes:
    """Archives in archives, down to a megabyte of zeros."""
    inner = Zip((Part(b"zeros", bytes(MIB)),)).build()
    for _ in range(depth):
        inner = Zip(tuple(Part(b"%d.zip" % number, inner) for number in range(width))).build()
    return beside(Part(b"nested.zip", inner)).build()


def overlapping(count: int) -> bytes:
    """Entries that all tell of one kernel, each through headers of those behind it (D. Fifield).

    The stored bytes of each begin with a block of deflate that quotes the header of the next.
    """
    kernel = deflated(bytes(MIB))
    parts: list[Part] = []
    data, content = kernel, bytes(MIB)
    for number in reversed(range(count)):
        part = Part(b"%04d" % number, content, stored=data)
        parts.insert(0, part)
        header = part.header()
        quoted = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + header
        data, content = quoted + data, header + content
    # The outermost one is there in full; the others begin within it.
    at, others = 0, []
    for part, following in pairwise(parts):
        at += len(part.header()) + 5
        others.append(replace(following, at=at, lies=False))
    return Zip((parts[0], *others, *GOOD)).build()


def one_for_all(count: int) -> bytes:
    """Entries of different names that all point to one member."""
    data, crc = deflated_zeros(MIB)
    kernel = Part(b"0000", stored=data).both(size=MIB, crc=crc)
    others = (
        replace(kernel, name=b"%04d" % number, at=0, lies=False) for number in range(1, count)
    )
    return Zip((kernel, *others, *GOOD)).build()


def crowd(count: int, told: int | None = None) -> bytes:
    """So many empty members, by a directory that tells of so many (and says so in ZIP64)."""
    claim = count + len(GOOD) if told is None else told
    numbers = {"total": claim, "total_here": claim}
    narrow = {key: min(number, 0xFFFF) for key, number in numbers.items()}
    empty = stored(b"00000000")
    # Made one by one they would take seconds.
    header, line = empty.header()[:-8], empty.line(0)[:-12]
    names = [b"%08x" % number for number in range(count)]
    members = b"".join(header + name for name in names)
    places = range(0, len(members), len(header) + 8)
    lines = (line + struct.pack("<L", at) + name for at, name in zip(places, names, strict=True))
    whole = Zip(
        GOOD, before=members, padding=b"".join(lines), knows_before=True, is_wide=True,
        end=narrow, end64=numbers,
    )  # fmt: skip
    return whole.build()


def one_header_for_all(count: int) -> bytes:
    """Entries of one name for one member, whose header has the largest extra field: to be read each time."""
    part = stored(b"x", local_extra=b"\xfe\xca\xfb\xff" + bytes(65_531))
    same = replace(part, at=0, lies=False, local_extra=b"")
    return Zip((part, *(same for _ in range(count - 1)), *GOOD)).build()


def accented(count: int, marks: int) -> bytes:
    """Names with accents in the order that takes longest to normalise."""
    accents = "".join(mark * (marks // 5) for mark in "\u0345\u0301\u0323\u0321\u0338")
    names = (f"{number:04}{accents}".encode() for number in range(count))
    parts = tuple(stored(name).both(flags=1 << 11) for name in names)
    return Zip((*GOOD, *parts)).build()


def self_similar() -> bytes:
    """An archive that holds archives of its own kind: each opened one shows another like it."""
    data = Zip((Part(b"r.zip", b"the end"),)).build()
    for _ in range(40):
        data = Zip((Part(b"r.zip", data),)).build()
    return data


def manifest_of(size: int) -> bytes:
    """An archive whose `package.toml` has so many bytes."""
    text = MANIFEST + b"# " + random.Random(size).randbytes(size).hex().encode()
    return Zip((Part(b"package.toml", text[:size]), *GOOD[1:])).build()


def many() -> bytes:
    """Eleven hundred members of a megabyte each."""
    zeros, crc = deflated(bytes(MIB), 9), zlib.crc32(bytes(MIB))
    parts = (Part(b"%04d" % number, stored=zeros).both(size=MIB, crc=crc) for number in range(1100))
    return before(*parts).build()


def sparse(size: int) -> bytes:
    """So many zeros before a small archive."""
    return beside(before=bytes(size)).build()


def deep(count: int) -> bytes:
    """Names a hundred folders deep."""
    return beside(*(stored(b"%04d" % number + b"/d" * 100) for number in range(count))).build()


REFUSED = {
    f"'bomb' {RATIO}": {
        "bomb-ratio: Fifty megabytes of zeros in fifty kilobytes.": partial(bomb, 50 * MIB),
    },
    "'bomb' inflates to more than it claims": {
        "bomb-claims-less: The same, and it claims a kilobyte.": partial(bomb, 50 * MIB, size=1024),
        "bomb-claims-nothing: The same, and it claims to be empty.": partial(
            bomb, 50 * MIB, size=0
        ),
        "bomb-claims-the-most: The same, and it claims as much as may be for its size.": partial(
            bomb, 50 * MIB, size=200 * 50_000
        ),
    },
    f"'bomb' {TOGETHER}": {
        "bomb-claims-a-terabyte: A member that claims more than the format can tell without ZIP64.": (
            partial(bomb, 2 * MIB, size=2**32 - 2)
        ),
    },
    f"'1024' {TOGETHER}": {"bomb-many: Eleven hundred members of a megabyte each.": many},
    "'0001' bears another name in its local header": {
        "bomb-many-alike: A member for each entry, all of them the same bytes: one name, one place.": (
            partial(one_for_all, 1000)
        ),
    },
    "'0001' overlaps '0000'": {
        "bomb-overlapping: Two hundred members that quote one another's headers, and share one kernel"
        " (D. Fifield).": partial(overlapping, 200),
    },
    f"'zeros' {RATIO}": {"bomb-just: One byte over 1 MiB.": before(Part(b"zeros", bytes(MIB + 1)))},
    f"the archive has 1000000 members, {MANY}": {
        "crowd-claimed: A directory that claims a million members, and has four.": partial(
            crowd, 1, 1_000_000
        ),
    },
    f"the archive has {2**63} members, {MANY}": {
        "crowd-claimed-most: A directory that claims more members than there are atoms to store"
        " them.": partial(crowd, 1, 2**63),
    },
    NOT_A_ZIP: {
        "crowd-denied: A directory of a hundred members that claims four.": partial(crowd, 97, 4),
    },
    f"the archive has 10001 members, {MANY}": {
        "crowd: Ten thousand and one.": partial(crowd, 10_001 - len(GOOD)),
    },
    f"the archive has 66000 members, {MANY}": {
        "crowd-beyond-16-bits: More members than 16 bits count.": partial(
            crowd, 66_000 - len(GOOD)
        ),
    },
    TOO_LARGE: {
        "crowd-too-large: Eighty megabytes, as a million members take: nobody looks into them.": (
            partial(sparse, 80 * MIB)
        ),
    },
    "'x' lies where other members do": {
        "crowd-of-one: Eight thousand entries of one member with a huge header.": partial(
            one_header_for_all, 8000
        ),
    },
    f"'0000{chr(0x345) * 96}{chr(0x301) * 20}…' has more than 30 accents in a row": {
        "crowd-of-accents: Names that take seconds to normalise.": partial(accented, 4000, 480),
    },
    f"'0000{'/d' * 58}…' has a path longer than the limit of 64 segments (hubrepo.archives.max_depth)": {
        "crowd-of-shadows: Four thousand names a hundred folders deep.": partial(deep, 4000),
    },
    "the archive's directory is larger than 16777216 bytes": {
        "directory-huge: A directory of twenty megabytes, told by its end record.": beside(
            end={"size": 20 * MIB}
        ),
    },
}

ACCEPTED = {
    "bomb-small: A megabyte of zeros: small enough to be as compressible as it likes.": before(
        Part(b"zeros", bytes(MIB))
    ),
    "bomb-nested: Archives in archives, which nobody here opens: ten in each of ten.": partial(
        nested, 3, 10
    ),
    "bomb-nested-deep: An archive in an archive, thirty times.": partial(nested, 30),
    "quine-inside: A quine as a member, which nobody here opens.": stored(b"quine.zip", quine()),
    "crowd-most: Ten thousand members, as many as may be.": partial(crowd, 10_000 - len(GOOD)),
}

ACCENTS = f"# Package History: h{(chr(0x301) + chr(0x323)) * 200_000}"
HISTORY = f"{ACCENTS}\n## Versions\n### Version 1\n".encode()

# What becomes of them as a package, and as a page.
OTHERS = {
    "quine: An archive whose member is that archive, to the last bit: who opens archives in archives"
    " never ends.": (quine, NO_MANIFEST, NO_PAGES),
    "self-similar: An archive that holds one like it, forty times over.": (
        self_similar,
        NO_MANIFEST,
        NO_PAGES,
    ),
    "manifest-largest: A manifest of 256 KiB, and one byte more.": (
        partial(manifest_of, 256 * 1024 + 1),
        "`package.toml` must not exceed 256 KiB",
        None,
    ),
    "manifest-beyond: A manifest that nobody would read.": (
        partial(manifest_of, MIB + 1),
        "'package.toml' is larger than 1048576 bytes",
        None,
    ),
}


def cases() -> Cases:
    """Yield all of them."""
    yield from refused(REFUSED)
    yield from accepted(ACCEPTED)
    for title, (make, package, page) in OTHERS.items():
        yield case(title, make, package, page)
    yield case(
        "history-of-accents: A history whose package has a name that takes minutes to normalise. It is"
        " written anew.",
        beside(stored(b"HISTORY.md", HISTORY)),
        None,
        None,
        shown={"HISTORY.md": HISTORY},
    )
