"""Members that are not what they seem: their kind, their method, and what is told of them where."""

import bz2
import lzma
import stat
import struct
import zlib
from dataclasses import replace

from hubrepo.kernel.archives.records import DEFERRED, LEVEL, MOST_32, UTF8, ZIP64, block
from tests.support.hostile.building import (
    DOS,
    FILE,
    UNIX,
    Part,
    deflated,
    descriptor,
    stored,
    streamed,
    wide,
)
from tests.support.hostile.cases import Cases, accepted, before, beside, refused

TEXT = b"some text, some text, some text\n" * 9
ODD = Part(b"odd", TEXT)
HOSTS = {"dos": 0, "vms": 2, "unix": 3, "macintosh": 7, "ntfs": 10, "darwin": 19, "unknown": 255}


def mode(bits: int, part: Part = ODD, host: int = UNIX) -> Part:
    """The part with a mode of Unix."""
    return replace(part, entry={**part.entry, "external": bits << 16, "made_by": host})


def _kinds() -> Cases:
    link = stored(b"odd", b"/etc/passwd")
    yield refused(
        "link",
        "A symbolic link to a file of the system.",
        beside(mode(0o120777, link)),
        "'odd' is a link",
    )
    yield refused(
        "link-up",
        "A link to the folder above, and a file behind it.",
        beside(mode(0o120777, stored(b"up", b"..")), Part(b"up/x", TEXT)),
        "'up' is a link",
    )
    yield refused(
        "link-host",
        "A link that is told to come from DOS.",
        beside(mode(0o120777, link, DOS)),
        "'odd' is a link",
    )
    yield refused(
        "link-windows",
        "A reparse point, as Windows has for links.",
        beside(replace(link, entry={"external": 0x400, "made_by": 10 << 8})),
        "'odd' is a link",
    )
    yield refused(
        "link-manifest",
        "The manifest as a link.",
        before(mode(0o120777, stored(b"PACKAGE.TOML", b"/etc/passwd"))),
        "'PACKAGE.TOML' is a link",
    )
    for name, kind in (
        ("fifo", stat.S_IFIFO),
        ("socket", stat.S_IFSOCK),
        ("block-device", stat.S_IFBLK),
        ("character-device", stat.S_IFCHR),
    ):
        yield refused(
            name,
            f"A {name.replace('-', ' ')}.",
            beside(mode(kind | 0o666)),
            "'odd' is neither a file nor a folder",
        )
    yield refused(
        "unknown-kind",
        "A kind of file that there is not.",
        beside(mode(0o170000)),
        "'odd' is neither a file nor a folder",
    )
    yield refused(
        "folder-by-mode",
        "A file that its mode calls a folder.",
        beside(mode(0o040755)),
        "'odd' is a folder only by its mode",
    )
    yield refused(
        "folder-by-attribute",
        "A file that DOS calls a folder: `bsdtar` makes one, `unzip` does not.",
        beside(replace(ODD, entry={"external": 0x10, "made_by": DOS})),
        "'odd' is a folder only by its attributes",
    )
    yield refused(
        "volume-label",
        "The label of a volume, which some readers pass over.",
        beside(replace(ODD, entry={"external": 0x08, "made_by": DOS})),
        "'odd' is the label of a volume",
    )
    yield refused(
        "folder-with-content",
        "A folder with content.",
        beside(Part(b"odd/", TEXT)),
        "'odd/' is a folder with content",
    )
    yield refused(
        "folder-with-stored-content",
        "A folder with content that is not compressed.",
        beside(stored(b"odd/", TEXT)),
        "'odd/' is a folder with content",
    )
    yield accepted(
        "folder-by-file-mode",
        "A folder whose mode is that of a file.",
        beside(mode(0o100644, stored(b"odd/"))),
        ("odd/", b""),
    )
    yield accepted(
        "folder-deflated",
        "A folder without content, deflated all the same.",
        beside(Part(b"odd/")),
        ("odd/", b""),
    )
    yield accepted(
        "folder-without-mode",
        "A folder without attributes.",
        beside(mode(0, stored(b"odd/"))),
        ("odd/", b""),
    )
    for name, bits in (("set-user-id", 0o104755), ("set-group-id", 0o102755), ("sticky", 0o101777)):
        yield accepted(
            f"mode-{name}",
            f"A file with the bit {name}; it is served without.",
            beside(mode(bits)),
            ("odd", TEXT),
        )
    yield accepted(
        "mode-none", "A file that nobody may read.", beside(mode(0o100000)), ("odd", TEXT)
    )
    yield accepted(
        "mode-everybody", "A file that everybody may write.", beside(mode(0o100777)), ("odd", TEXT)
    )
    yield accepted(
        "mode-without-kind",
        "A mode that tells no kind of file.",
        beside(mode(0o644)),
        ("odd", TEXT),
    )
    for name, host in HOSTS.items():
        yield accepted(
            f"host-{name}",
            f"A file that was made on a system of kind {host}.",
            beside(mode(0o100644, host=host << 8 | 20)),
            ("odd", TEXT),
        )
    yield accepted(
        "attributes-all-others",
        "Hidden, system, read-only, and what nobody knows.",
        beside(replace(ODD, entry={"external": 0xA3E7, "made_by": DOS})),
        ("odd", TEXT),
    )
    yield accepted(
        "internal-attributes",
        "Text, and a record's length before each line, as no reader has it.",
        beside(replace(ODD, entry={"internal": 0xFFFF})),
        ("odd", TEXT),
    )


def _methods() -> Cases:
    others = {
        1: ("shrunk", TEXT),
        6: ("imploded", TEXT),
        9: ("deflate64", deflated(TEXT)),
        12: ("bzip2", bz2.compress(TEXT)),
        14: ("lzma", lzma.compress(TEXT)),
        20: ("zstd-old", b"\x28\xb5\x2f\xfd"),
        93: ("zstd", b"\x28\xb5\x2f\xfd"),
        95: ("xz", lzma.compress(TEXT)),
        97: ("wavpack", TEXT),
        98: ("ppmd", TEXT),
        0xFFFF: ("unknown", TEXT),
    }
    for method, (name, data) in others.items():
        part = Part(b"odd", TEXT, method, stored=data)
        yield refused(
            f"method-{name}",
            f"Compression by method {method}, which not everybody reads.",
            beside(part),
            f"'odd' is compressed by method {method}, neither stored nor deflated",
        )
    yield refused(
        "encrypted",
        "A member that is encrypted the old way.",
        beside(ODD.both(flags=1)),
        "'odd' is encrypted",
    )
    yield refused(
        "encrypted-aes",
        "A member that is encrypted with AES (method 99).",
        beside(
            Part(b"odd", TEXT, 99, stored=TEXT, extra=block(0x9901, b"\2\0AE\3\x08\0")).both(
                flags=1
            )
        ),
        "'odd' is encrypted",
    )
    yield refused(
        "encrypted-aes-unflagged",
        "The same, without the flag.",
        beside(Part(b"odd", TEXT, 99, stored=TEXT)),
        "'odd' is compressed by method 99, neither stored nor deflated",
    )
    yield refused(
        "encrypted-strongly",
        "A member with strong encryption.",
        beside(ODD.both(flags=1 | 1 << 6)),
        "'odd' is encrypted",
    )
    yield refused(
        "encrypted-strongly-only",
        "The flag of strong encryption alone.",
        beside(ODD.both(flags=1 << 6)),
        "'odd' is encrypted",
    )
    yield refused(
        "headers-encrypted",
        "Headers that are masked.",
        beside(ODD.both(flags=1 << 13)),
        "'odd' is encrypted",
    )
    yield refused(
        "encrypted-locally",
        "Encrypted by its local header only.",
        beside(replace(ODD, local={"flags": 1})),
        "'odd' is of another kind in its local header",
    )
    yield refused(
        "encrypted-in-the-directory",
        "Encrypted by the directory only.",
        beside(replace(ODD, entry={"flags": 1})),
        "'odd' is encrypted",
    )
    yield refused(
        "patch",
        "A patch for a file that is elsewhere.",
        beside(ODD.both(flags=1 << 5)),
        "'odd' is a patch",
    )
    yield accepted(
        "flags-of-level",
        "All flags that tell how hard it was tried to compress.",
        beside(ODD.both(flags=LEVEL)),
        ("odd", TEXT),
    )
    yield accepted(
        "flags-reserved",
        "Flags that mean nothing yet; they are not served.",
        beside(ODD.both(flags=1 << 4 | 1 << 7 | 1 << 12 | 1 << 14 | 1 << 15)),
        ("odd", TEXT),
    )
    yield accepted(
        "needs-63",
        "A member that needs the newest version; it is served as what it needs.",
        beside(ODD.both(needs=63)),
        ("odd", TEXT),
    )
    yield accepted(
        "needs-0",
        "A member that needs no version at all.",
        beside(ODD.both(needs=0)),
        ("odd", TEXT),
    )
    yield refused(
        "needs-64",
        "A member that needs a version to come.",
        beside(ODD.both(needs=64)),
        "'odd' needs a version of the format that does not exist",
    )
    yield refused(
        "needs-255",
        "A member that needs the last version that can be told.",
        beside(ODD.both(needs=255)),
        "'odd' needs a version of the format that does not exist",
    )
    for level in (0, 1, 9):
        yield accepted(
            f"deflated-{level}",
            f"Deflated at level {level}.",
            beside(Part(b"odd", TEXT, stored=deflated(TEXT, level))),
            ("odd", TEXT),
        )
    empty = b"\0\0\0\xff\xff" * 20_000 + b"\3\0"
    yield accepted(
        "deflated-nothing",
        "Twenty thousand blocks of nothing.",
        beside(Part(b"odd", stored=empty)),
        ("odd", b""),
    )
    yield refused(
        "deflated-broken",
        "A stream of a kind of block that there is not.",
        beside(Part(b"odd", TEXT, stored=b"\x07" + deflated(TEXT))),
        "'odd' has broken compressed data",
    )
    yield refused(
        "deflated-too-far-back",
        "A stream that repeats what was before its beginning.",
        beside(Part(b"odd", b"xxx", stored=b"\x03\x02\x00")),
        "'odd' has broken compressed data",
    )
    yield refused(
        "deflated-zlib",
        "A stream in the frame of zlib.",
        beside(Part(b"odd", TEXT, stored=zlib.compress(TEXT))),
        "'odd' has broken compressed data",
    )
    yield refused(
        "deflated-gzip",
        "A stream in the frame of gzip.",
        beside(Part(b"odd", TEXT, stored=b"\x1f\x8b\x08" + bytes(7) + deflated(TEXT))),
        "'odd' has broken compressed data",
    )
    yield refused(
        "deflated-unfinished",
        "A stream without an end.",
        beside(Part(b"odd", TEXT, stored=deflated(TEXT)[:-3])),
        "'odd' has compressed data that ends early",
    )
    yield refused(
        "deflated-empty",
        "A stream of no bytes.",
        beside(Part(b"odd", TEXT, stored=b"")),
        "'odd' has compressed data that ends early",
    )
    yield refused(
        "deflated-and-more",
        "Bytes behind the end of the stream, hidden from who inflates.",
        beside(Part(b"odd", TEXT, stored=deflated(TEXT) + b"hidden")),
        "'odd' has bytes after the end of its compressed data",
    )
    yield refused(
        "deflated-twice",
        "Two streams in a row: some readers go on.",
        beside(Part(b"odd", TEXT, stored=deflated(TEXT) * 2)),
        "'odd' has bytes after the end of its compressed data",
    )


def _lies() -> Cases:
    local = "has another size or checksum in its local header"
    kind = "'odd' is of another kind in its local header"
    elsewhere = "'odd' is not where the directory says"
    outside = "'odd' lies outside the archive"
    crc = zlib.crc32(TEXT) ^ 1
    size, packed = len(TEXT), len(deflated(TEXT))
    yield refused(
        "crc",
        "A wrong checksum, in both places.",
        beside(ODD.both(crc=crc)),
        "'odd' does not match its checksum",
    )
    yield refused(
        "crc-stored",
        "The same of a stored member.",
        beside(stored(b"odd", TEXT).both(crc=crc)),
        "'odd' does not match its checksum",
    )
    yield refused(
        "crc-zero", "No checksum.", beside(ODD.both(crc=0)), "'odd' does not match its checksum"
    )
    yield refused(
        "crc-locally",
        "A wrong checksum in the local header.",
        beside(replace(ODD, local={"crc": crc})),
        f"'odd' {local}",
    )
    yield refused(
        "crc-in-the-directory",
        "A wrong checksum in the directory.",
        beside(replace(ODD, entry={"crc": crc})),
        f"'odd' {local}",
    )
    yield refused(
        "size-less",
        "A size that is too small by one.",
        beside(ODD.both(size=size - 1)),
        "'odd' inflates to more than it claims",
    )
    yield refused(
        "size-more",
        "A size that is too large by one.",
        beside(ODD.both(size=size + 1)),
        "'odd' inflates to less than it claims",
    )
    yield refused(
        "size-zero",
        "A size of nothing.",
        beside(ODD.both(size=0)),
        "'odd' inflates to more than it claims",
    )
    yield refused(
        "size-locally",
        "Another size in the local header.",
        beside(replace(ODD, local={"size": size + 1})),
        f"'odd' {local}",
    )
    yield refused(
        "size-in-the-directory",
        "Another size in the directory.",
        beside(replace(ODD, entry={"size": size - 1})),
        f"'odd' {local}",
    )
    yield refused(
        "stored-size-less",
        "Stored bytes that end early.",
        beside(ODD.both(stored_size=packed - 2)),
        "'odd' has compressed data that ends early",
    )
    yield refused(
        "stored-size-zero",
        "No stored bytes.",
        beside(ODD.both(stored_size=0)),
        "'odd' has compressed data that ends early",
    )
    yield refused(
        "stored-size-locally",
        "Another stored size in the local header, as who reads front to back believes.",
        beside(replace(ODD, local={"stored_size": 0})),
        f"'odd' {local}",
    )
    yield refused(
        "stored-size-more",
        "Stored bytes that reach into the directory.",
        beside(ODD.both(stored_size=packed + 9)),
        outside,
    )
    yield refused(
        "stored-size-huge",
        "Stored bytes that reach beyond the file.",
        beside(ODD.both(stored_size=2**31)),
        outside,
    )
    yield refused(
        "stored-two-sizes",
        "A stored member with two sizes.",
        beside(stored(b"odd", TEXT).both(size=size + 1)),
        "'odd' is stored, but claims two sizes",
    )
    yield refused(
        "method-locally",
        "Another method in the local header.",
        beside(replace(ODD, local={"method": 0})),
        kind,
    )
    yield refused(
        "method-in-the-directory",
        "Deflated by its local header, stored by the directory.",
        beside(replace(stored(b"odd", TEXT), local={"method": 8})),
        kind,
    )
    yield refused(
        "utf8-locally",
        "A name that is UTF-8 in one place only.",
        beside(Part("é".encode(), TEXT, local={"flags": UTF8})),
        "'é' is of another kind in its local header",
    )
    yield refused(
        "name-locally",
        "Another name in the local header.",
        beside(replace(ODD, local_name=b"bad")),
        "'odd' bears another name in its local header",
    )
    yield refused(
        "name-locally-longer",
        "A longer name in the local header.",
        beside(replace(ODD, local_name=b"odd/../../x")),
        "'odd' bears another name in its local header",
    )
    yield refused(
        "name-locally-nul",
        "A name that a NUL ends, in the local header.",
        beside(replace(ODD, local_name=b"odd\0x")),
        "'odd' bears another name in its local header",
    )
    yield refused(
        "name-locally-none",
        "No name in the local header.",
        beside(replace(ODD, local_name=b"")),
        "'odd' bears another name in its local header",
    )
    yield refused(
        "name-length-locally",
        "A name that reaches into the data, in the local header.",
        beside(replace(ODD, local={"name_length": 7}), Part(b"next")),
        "'odd' bears another name in its local header",
    )
    yield refused(
        "extra-length-locally",
        "An extra field that swallows the data.",
        beside(replace(ODD, local={"extra_length": 60_000})),
        outside,
    )
    yield refused(
        "offset-one",
        "An offset that is off by one.",
        beside(replace(ODD, entry={"offset": 1})),
        elsewhere,
    )
    yield refused(
        "offset-inside",
        "An offset within another member.",
        beside(replace(ODD, entry={"offset": 50})),
        elsewhere,
    )
    yield refused(
        "offset-beyond",
        "An offset beyond the file.",
        beside(replace(ODD, entry={"offset": 2**31})),
        outside,
    )
    yield refused(
        "offset-widest",
        "The largest offset that is none.",
        beside(replace(ODD, entry={"offset": MOST_32 - 1})),
        outside,
    )
    yield refused(
        "signature",
        "A local header that does not begin as one.",
        beside(replace(ODD, local={"signature": b"PK\3\5"})),
        elsewhere,
    )
    yield refused(
        "disk",
        "A member on another disk.",
        beside(replace(ODD, entry={"disk": 3})),
        "file is not a valid ZIP",
    )
    yield accepted(
        "date-locally",
        "Another date in the local header; the directory's is served.",
        beside(replace(ODD, local={"date": 0x5A21, "time": 1})),
        ("odd", TEXT),
    )
    yield accepted(
        "date-none", "A date that there is not.", beside(ODD.both(date=0, time=0)), ("odd", TEXT)
    )
    yield accepted(
        "date-impossible",
        "The 31st of the 15th month, at 31:63:62.",
        beside(ODD.both(date=0xFFFF, time=0xFFFF)),
        ("odd", TEXT),
    )
    yield accepted(
        "needs-locally",
        "Another version in the local header.",
        beside(replace(ODD, local={"needs": 10})),
        ("odd", TEXT),
    )
    inner = stored(b"in", b"x" * 40)
    outer = stored(b"out", inner.header() + inner.content)
    at = len(b"".join(p.header() + p.data for p in before().parts)) + len(outer.header())
    yield refused(
        "overlap-inside",
        "A member within the data of another.",
        beside(outer, replace(inner, at=at, lies=False)),
        "'in' overlaps 'out'",
    )
    yield refused(
        "overlap-same",
        "Two entries for one member.",
        beside(ODD, replace(ODD, at=at - len(outer.header()), lies=False)),
        "'odd' overlaps 'odd'",
    )
    yield refused(
        "overlap-reaching",
        "A member that reaches into the next.",
        beside(stored(b"a", b"four").both(size=9, stored_size=9), stored(b"b", b"four")),
        "'b' overlaps 'a'",
    )


def _descriptors() -> Cases:
    packed = deflated(TEXT)
    lie = "has another size or checksum behind its data, or none"
    for name, signed, is_wide in (
        ("signed", True, False),
        ("bare", False, False),
        ("signed-wide", True, True),
        ("bare-wide", False, True),
    ):
        told = descriptor(TEXT, packed, signed=signed, wide=is_wide)
        yield accepted(
            f"descriptor-{name}",
            f"Sizes behind the data, {name.replace('-', ' and ')}; they are served in front.",
            beside(streamed(b"odd", TEXT, told)),
            ("odd", TEXT),
        )
    yield accepted(
        "descriptor-and-header",
        "Sizes in front and behind.",
        beside(
            streamed(b"odd", TEXT, crc=zlib.crc32(TEXT), stored_size=len(packed), size=len(TEXT))
        ),
        ("odd", TEXT),
    )
    yield accepted(
        "descriptor-wide-header",
        "Sizes left out as ZIP64 leaves them out.",
        beside(streamed(b"odd", TEXT, stored_size=MOST_32, size=MOST_32)),
        ("odd", TEXT),
    )
    plain = Part(
        b"odd",
        TEXT,
        0,
        behind=descriptor(TEXT, TEXT),
        local={"flags": DEFERRED, "crc": 0, "stored_size": 0, "size": 0},
        entry={"flags": DEFERRED},
    )
    yield accepted(
        "descriptor-stored",
        "A stored member whose end only the directory knows.",
        beside(plain),
        ("odd", TEXT),
    )
    yield accepted(
        "descriptor-empty",
        "No content, and a descriptor that says so.",
        beside(streamed(b"odd", b"")),
        ("odd", b""),
    )
    yield accepted(
        "descriptor-locally",
        "Sizes behind the data, by the local header only.",
        beside(replace(streamed(b"odd", TEXT), entry={})),
        ("odd", TEXT),
    )
    for name, field in (("crc", 4), ("stored-size", 8), ("size", 12)):
        truth = descriptor(TEXT, packed)
        yield refused(
            f"descriptor-{name}",
            f"Another {name.replace('-', ' ')} behind the data.",
            beside(streamed(b"odd", TEXT, truth[:field] + b"\xff" + truth[field + 1 :])),
            f"'odd' {lie}",
        )
    yield refused(
        "descriptor-missing",
        "Sizes that are said to follow, and do not.",
        beside(streamed(b"odd", TEXT, b"")),
        f"'odd' {lie}",
    )
    yield refused(
        "descriptor-cut",
        "A descriptor that the directory cuts.",
        beside(streamed(b"odd", TEXT, descriptor(TEXT, packed)[:10])),
        f"'odd' {lie}",
    )
    yield refused(
        "descriptor-zeros",
        "A descriptor of nothing.",
        beside(streamed(b"odd", TEXT, b"PK\x07\x08" + bytes(12))),
        f"'odd' {lie}",
    )
    yield refused(
        "descriptor-against-header",
        "A size in front that is not the one behind.",
        beside(streamed(b"odd", TEXT, size=5)),
        "'odd' has another size or checksum in its local header",
    )
    yield refused(
        "descriptor-in-the-directory-only",
        "Sizes said to follow by the directory, told as zero by the local header.",
        beside(replace(streamed(b"odd", TEXT), local={"crc": 0, "size": 0, "stored_size": 0})),
        "'odd' has another size or checksum in its local header",
    )
    yield refused(
        "descriptor-shared",
        "A member that begins in the descriptor of another.",
        beside(streamed(b"odd", TEXT, b""), replace(Part(b"next", TEXT))),
        f"'odd' {lie}",
    )
    yield refused(
        "descriptor-twice",
        "Two descriptors that differ.",
        beside(streamed(b"odd", TEXT, descriptor(TEXT, packed) + descriptor(b"", b""))),
        "the file holds more than the archive's directory tells of",
    )


def _extras() -> Cases:
    def path(name: bytes, of: bytes = b"odd") -> bytes:
        return block(0x7075, struct.pack("<BL", 1, zlib.crc32(of)) + name)

    times, others = block(0x5455, b"\3" + bytes(8)), block(0x5455, b"\3" + b"\x7f" * 8)
    yield accepted(
        "extra-times",
        "Times beside the date; they are not served.",
        beside(replace(ODD, extra=times)),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-times-differ",
        "Times that differ between the two places.",
        beside(replace(ODD, extra=times, local_extra=others)),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-owner",
        "The owner's number; it is not served.",
        beside(replace(ODD, extra=block(0x7875, b"\1\4\0\0\0\0\4\0\0\0\0"))),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-link",
        "A link to somewhere in an extra field that hardly anybody reads; it is not served.",
        beside(
            replace(ODD, extra=block(0x756E, struct.pack("<LHLHH", 0, 0o120777, 4, 0, 0) + b"/etc"))
        ),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-unknown",
        "An extra field that nobody knows.",
        beside(replace(ODD, extra=block(0xCAFE, b"?" * 400))),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-largest",
        "The largest extra field.",
        beside(replace(ODD, extra=block(0xCAFE, bytes(65_531)))),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-locally",
        "An extra field in one place only.",
        beside(replace(ODD, local_extra=block(0xCAFE, b"?" * 9))),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-broken",
        "An extra field that ends within a block.",
        beside(replace(ODD, extra=b"\xfe\xca\xff\xff?")),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-padding",
        "Zeros, as programs pad with.",
        beside(replace(ODD, extra=bytes(7))),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-unicode-path",
        "A name in UTF-8 beside one that was bent to ASCII: it counts.",
        beside(replace(ODD, extra=path("é.txt".encode()))),
        ("é.txt", TEXT),
    )
    yield accepted(
        "extra-unicode-path-of-another",
        "A name in UTF-8 that was written for another one: it does not count.",
        beside(replace(ODD, extra=path(b"../x", b"before"))),
        ("odd", TEXT),
    )
    yield accepted(
        "extra-unicode-path-version",
        "A name in UTF-8 in a form that is to come.",
        beside(
            replace(ODD, extra=block(0x7075, struct.pack("<BL", 2, zlib.crc32(b"odd")) + b"../x"))
        ),
        ("odd", TEXT),
    )
    yield refused(
        "extra-unicode-path-traversal",
        "A good name, and one beside it that leads out.",
        beside(replace(ODD, extra=path(b"../x"))),
        "'../x' leaves the archive",
    )
    yield refused(
        "extra-unicode-path-broken",
        "A name beside the name that is not UTF-8.",
        beside(replace(ODD, extra=path(b"\xff"))),
        r"'\\xff' has a name that is not the UTF-8 it claims to be",
    )
    yield refused(
        "extra-unicode-path-taken",
        "A name beside the name that another member has.",
        beside(replace(ODD, extra=path(b"index.html"))),
        "'index.html' is in the archive twice",
    )
    yield refused(
        "extra-unicode-path-empty",
        "A name beside the name that is none.",
        beside(replace(ODD, extra=path(b""))),
        "'' is no name",
    )
    yield refused(
        "extra-unicode-path-twice",
        "Two names beside the name.",
        beside(replace(ODD, extra=path(b"a") + path(b"b"))),
        "'a' has two extra fields that contradict each other",
    )
    yield refused(
        "extra-zip64-twice",
        "Two ZIP64 blocks that differ.",
        beside(replace(ODD, extra=block(ZIP64, bytes(8)) + block(ZIP64, b"\1" * 8))),
        "'odd' has two extra fields that contradict each other",
    )
    yield accepted(
        "zip64-sizes",
        "Sizes in ZIP64 blocks that would fit without.",
        beside(wide(b"odd", TEXT)),
        ("odd", TEXT),
    )
    yield accepted(
        "zip64-unasked",
        "A ZIP64 block that no field refers to, and that lies: nobody may ask it.",
        beside(replace(ODD, extra=block(ZIP64, struct.pack("<2Q", 1, 2)))),
        ("odd", TEXT),
    )
    lying = block(ZIP64, struct.pack("<2Q", 2**40, 2**40))
    yield refused(
        "zip64-size-lies",
        "A ZIP64 block of the directory that tells of a terabyte.",
        beside(wide(b"odd", TEXT, entry=lying)),
        "'odd' lies outside the archive",
    )
    yield refused(
        "zip64-size-lies-locally",
        "The same in the local header.",
        beside(wide(b"odd", TEXT, local=lying)),
        "'odd' has another size or checksum in its local header",
    )
    yield refused(
        "zip64-missing",
        "Sizes that a ZIP64 block should tell, and there is none.",
        beside(wide(b"odd", TEXT, entry=b"")),
        "'odd' lies outside the archive",
    )
    yield refused(
        "zip64-short",
        "A ZIP64 block with one number for two.",
        beside(wide(b"odd", TEXT, entry=block(ZIP64, struct.pack("<Q", len(TEXT))))),
        "'odd' lies outside the archive",
    )
    yield refused(
        "zip64-cut",
        "A ZIP64 block that the extra field cuts.",
        beside(wide(b"odd", TEXT, entry=block(ZIP64, bytes(16))[:-4])),
        "'odd' lies outside the archive",
    )
    yield refused(
        "zip64-offset-negative",
        "An offset that is negative to whom reads it with a sign.",
        beside(replace(ODD, extra=block(ZIP64, b"\xff" * 8), entry={"offset": MOST_32})),
        "'odd' lies outside the archive",
    )


def _comments() -> Cases:
    wrong = "'odd' has a record of the format in its comment"
    yield accepted(
        "comment",
        "A member with a comment; it is served.",
        beside(replace(ODD, comment="\x1b[2Jé".encode())),
        ("odd", TEXT),
    )
    yield accepted(
        "comment-cp437",
        "A comment in code page 437; it is served in UTF-8.",
        beside(replace(ODD, comment=b"caf\x82")),
        ("odd", TEXT),
    )
    yield accepted(
        "comment-longest",
        "The longest comment.",
        beside(replace(ODD, comment=b"c" * 65_535)),
        ("odd", TEXT),
    )
    yield accepted(
        "comment-almost-a-record",
        "A comment that begins as no record does, but nearly.",
        beside(replace(ODD, comment=b"PK\6\2")),
        ("odd", TEXT),
    )
    for name, record in (
        ("end", b"PK\5\6" + bytes(18)),
        ("entry", b"PK\1\2"),
        ("member", b"PK\3\4"),
        ("digital-signature", b"PK\5\5"),
        ("extra-data", b"PK\6\x08"),
    ):
        yield refused(
            f"comment-{name}",
            f"A comment that begins as a record of the format does: {name}.",
            before(replace(ODD, comment=record)),
            wrong,
        )
    # The attack that this rule is for. The upload has a true ZIP64 end; served without one, the
    # comment would be where a locator goes.
    fake = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 46, 0) + struct.pack(
        "<4sLQL", b"PK\6\7", 0, 0, 1
    )
    yield refused(
        "comment-locator",
        "A comment that would be the ZIP64 end of what is served.",
        beside(replace(ODD, comment=fake), is_wide=True),
        wrong,
    )
    yield accepted(
        "content-is-an-archive",
        "A stored archive as a member.",
        before(stored(b"in.zip", beside().build())),
        ("in.zip", beside().build()),
    )
    yield accepted("content-empty", "A file without content.", beside(stored(b"odd")), ("odd", b""))
    yield accepted(
        "content-newlines",
        "A file of line ends.",
        beside(Part(b"odd", b"\r\n" * 500)),
        ("odd", b"\r\n" * 500),
    )


def cases() -> Cases:
    """All of them."""
    yield from _kinds()
    yield from _methods()
    yield from _lies()
    yield from _descriptors()
    yield from _extras()
    yield from _comments()


__all__ = ["FILE", "cases"]
