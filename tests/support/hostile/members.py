"""Members that are not what they seem: their kind, their method, and what is told of them where."""

import bz2
import lzma
import stat
import struct
import zlib
from dataclasses import replace
from functools import partial

from hubrepo.kernel.archives.records import DEFERRED, LEVEL, MOST_32, UTF8, ZIP64, block
from tests.support.hostile.building import (
    DOS,
    UNIX,
    Part,
    deflated,
    descriptor,
    stored,
    streamed,
    wide,
)
from tests.support.hostile.cases import MORE, NOT_A_ZIP, Cases, accepted, before, beside, refused

TEXT = b"some text, some text, some text\n" * 9
CRC, SIZE, PACKED = zlib.crc32(TEXT), len(TEXT), len(deflated(TEXT))
ODD = Part(b"odd", TEXT)
STORED = stored(b"odd", TEXT)
LINK = stored(b"odd", b"/etc/passwd")
INNER = stored(b"in", b"x" * 40)
OUTER = stored(b"out", INNER.header() + INNER.content)
END = sum(len(part.header() + part.data) for part in before().parts)

# ODD with other fields, as `replace` has them.
but = partial(replace, ODD)


def locally(**fields: object) -> Part:
    """ODD, of which its local header tells something else."""
    return but(local=fields)


def listed(**fields: object) -> Part:
    """ODD, of which the directory tells something else."""
    return but(entry=fields)


def mode(bits: int, part: Part = ODD, host: int = UNIX) -> Part:
    """The part with a mode of Unix."""
    return replace(part, entry={**part.entry, "external": bits << 16, "made_by": host})


def packed(data: bytes, content: bytes = TEXT, method: int = 8) -> Part:
    """A member whose stored bytes are these."""
    return Part(b"odd", content, method, stored=data)


def behind(data: bytes) -> Part:
    """A member that tells its sizes behind its data, in these bytes."""
    return streamed(b"odd", TEXT, data)


def path(name: bytes, of: bytes = b"odd", version: int = 1) -> bytes:
    """A name in UTF-8 beside the one it stands for, as an extra field."""
    return block(0x7075, struct.pack("<BL", version, zlib.crc32(of)) + name)


HOSTS = {"dos": 0, "vms": 2, "unix": 3, "macintosh": 7, "ntfs": 10, "darwin": 19, "unknown": 255}
KINDS = {
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "block-device": stat.S_IFBLK,
    "character-device": stat.S_IFCHR,
}
METHODS = {
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
TRUTH = descriptor(TEXT, deflated(TEXT))
WITH_AES = block(0x9901, b"\2\0AE\3\x08\0")
LYING = block(ZIP64, struct.pack("<2Q", 2**40, 2**40))
# The upload has a true ZIP64 end; served without one, the comment would be where a locator goes.
FAKE_END = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 46, 0)
FAKE_END += struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
RECORDS = {
    "end": b"PK\5\6" + bytes(18),
    "entry": b"PK\1\2",
    "member": b"PK\3\4",
    "digital-signature": b"PK\5\5",
    "extra-data": b"PK\6\x08",
}

REFUSED = {
    "'odd' is a link": {
        "link: A symbolic link to a file of the system.": mode(0o120777, LINK),
        "link-host: A link that is told to come from DOS.": mode(0o120777, LINK, DOS),
        "link-windows: A reparse point, as Windows has for links.": replace(
            LINK, entry={"external": 0x400, "made_by": 10 << 8}
        ),
    },
    "'up' is a link": {
        "link-up: A link to the folder above, and a file behind it.": beside(
            mode(0o120777, stored(b"up", b"..")), Part(b"up/x", TEXT)
        ),
    },
    "'PACKAGE.TOML' is a link": {
        "link-manifest: The manifest as a link.": before(
            mode(0o120777, stored(b"PACKAGE.TOML", b"/etc/passwd"))
        ),
    },
    "'odd' is neither a file nor a folder": {
        "unknown-kind: A kind of file that there is not.": mode(0o170000),
        **{f"{key}: A {key.replace('-', ' ')}.": mode(kind | 0o666) for key, kind in KINDS.items()},
    },
    "'odd' is a folder only by its mode": {
        "folder-by-mode: A file that its mode calls a folder.": mode(0o040755),
    },
    "'odd' is a folder only by its attributes": {
        "folder-by-attribute: A file that DOS calls a folder: `bsdtar` makes one, `unzip` does not.": (
            listed(external=0x10, made_by=DOS)
        ),
    },
    "'odd' is the label of a volume": {
        "volume-label: The label of a volume, which some readers pass over.": listed(
            external=0x08, made_by=DOS
        ),
    },
    "'odd/' is a folder with content": {
        "folder-with-content: A folder with content.": Part(b"odd/", TEXT),
        "folder-with-stored-content: A folder with content that is not compressed.": stored(
            b"odd/", TEXT
        ),
    },
    "'odd' is encrypted": {
        "encrypted: A member that is encrypted the old way.": ODD.both(flags=1),
        "encrypted-aes: A member that is encrypted with AES (method 99).": Part(
            b"odd", TEXT, 99, stored=TEXT, extra=WITH_AES
        ).both(flags=1),
        "encrypted-strongly: A member with strong encryption.": ODD.both(flags=1 | 1 << 6),
        "encrypted-strongly-only: The flag of strong encryption alone.": ODD.both(flags=1 << 6),
        "headers-encrypted: Headers that are masked.": ODD.both(flags=1 << 13),
        "encrypted-in-the-directory: Encrypted by the directory only.": listed(flags=1),
    },
    "'odd' is compressed by method 99, neither stored nor deflated": {
        "encrypted-aes-unflagged: AES by its method, without the flag.": packed(TEXT, method=99),
    },
    **{
        f"'odd' is compressed by method {method}, neither stored nor deflated": {
            f"method-{name}: Compression by method {method}, which not everybody reads.": packed(
                data, method=method
            )
        }
        for method, (name, data) in METHODS.items()
    },
    "'odd' is a patch": {
        "patch: A patch for a file that is elsewhere.": ODD.both(flags=1 << 5),
    },
    "'odd' needs a version of the format that does not exist": {
        "needs-64: A member that needs a version to come.": ODD.both(needs=64),
        "needs-255: A member that needs the last version that can be told.": ODD.both(needs=255),
    },
    "'odd' has broken compressed data": {
        "deflated-broken: A stream of a kind of block that there is not.": packed(
            b"\x07" + deflated(TEXT)
        ),
        "deflated-too-far-back: A stream that repeats what was before its beginning.": packed(
            b"\x03\x02\x00", b"xxx"
        ),
        "deflated-zlib: A stream in the frame of zlib.": packed(zlib.compress(TEXT)),
        "deflated-gzip: A stream in the frame of gzip.": packed(
            b"\x1f\x8b\x08" + bytes(7) + deflated(TEXT)
        ),
    },
    "'odd' has compressed data that ends early": {
        "deflated-unfinished: A stream without an end.": packed(deflated(TEXT)[:-3]),
        "deflated-empty: A stream of no bytes.": packed(b""),
        "stored-size-less: Stored bytes that end early.": ODD.both(stored_size=PACKED - 2),
        "stored-size-zero: No stored bytes.": ODD.both(stored_size=0),
    },
    "'odd' has bytes after the end of its compressed data": {
        "deflated-and-more: Bytes behind the end of the stream, hidden from who inflates.": packed(
            deflated(TEXT) + b"hidden"
        ),
        "deflated-twice: Two streams in a row: some readers go on.": packed(deflated(TEXT) * 2),
    },
    "'odd' does not match its checksum": {
        "crc: A wrong checksum, in both places.": ODD.both(crc=CRC ^ 1),
        "crc-stored: The same of a stored member.": STORED.both(crc=CRC ^ 1),
        "crc-zero: No checksum.": ODD.both(crc=0),
    },
    "'odd' has another size or checksum in its local header": {
        "crc-locally: A wrong checksum in the local header.": locally(crc=CRC ^ 1),
        "crc-in-the-directory: A wrong checksum in the directory.": listed(crc=CRC ^ 1),
        "size-locally: Another size in the local header.": locally(size=SIZE + 1),
        "size-in-the-directory: Another size in the directory.": listed(size=SIZE - 1),
        "stored-size-locally: Another stored size in the local header, as who reads front to back"
        " believes.": locally(stored_size=0),
        "descriptor-against-header: A size in front that is not the one behind.": streamed(
            b"odd", TEXT, size=5
        ),
        "descriptor-against-header-crc: The same of a checksum.": streamed(b"odd", TEXT, crc=7),
        "descriptor-against-header-stored-size: The same of a stored size.": streamed(
            b"odd", TEXT, stored_size=9
        ),
        "descriptor-in-the-directory-only: Sizes said to follow by the directory, told as zero by the"
        " local header.": replace(
            streamed(b"odd", TEXT), local={"crc": 0, "size": 0, "stored_size": 0}
        ),
        "zip64-size-lies-locally: A local header of a terabyte.": wide(b"odd", TEXT, local=LYING),
    },
    "'odd' inflates to more than it claims": {
        "size-less: A size that is too small by one.": ODD.both(size=SIZE - 1),
        "size-zero: A size of nothing.": ODD.both(size=0),
    },
    "'odd' inflates to less than it claims": {
        "size-more: A size that is too large by one.": ODD.both(size=SIZE + 1),
    },
    "'odd' lies outside the archive": {
        "stored-size-more: Stored bytes that reach into the directory.": ODD.both(
            stored_size=PACKED + 9
        ),
        "stored-size-huge: Stored bytes that reach beyond the file.": ODD.both(stored_size=2**31),
        "extra-length-locally: An extra field that swallows the data.": locally(
            extra_length=60_000
        ),
        "offset-beyond: An offset beyond the file.": listed(offset=2**31),
        "offset-widest: The largest offset that is none.": listed(offset=MOST_32 - 1),
        "zip64-size-lies: A ZIP64 block of the directory that tells of a terabyte.": wide(
            b"odd", TEXT, entry=LYING
        ),
        "zip64-missing: Sizes that a ZIP64 block should tell, and there is none.": wide(
            b"odd", TEXT, entry=b""
        ),
        "zip64-short: A ZIP64 block with one number for two.": wide(
            b"odd", TEXT, entry=block(ZIP64, struct.pack("<Q", SIZE))
        ),
        "zip64-cut: A ZIP64 block that the extra field cuts.": wide(
            b"odd", TEXT, entry=block(ZIP64, bytes(16))[:-4]
        ),
        "zip64-offset-negative: An offset that is negative to whom reads it with a sign.": but(
            extra=block(ZIP64, b"\xff" * 8), entry={"offset": MOST_32}
        ),
    },
    "'odd' is stored, but claims two sizes": {
        "stored-two-sizes: A stored member with two sizes.": STORED.both(size=SIZE + 1),
    },
    "'odd' is of another kind in its local header": {
        "encrypted-locally: Encrypted by its local header only.": locally(flags=1),
        "method-locally: Another method in the local header.": locally(method=0),
        "method-in-the-directory: Deflated by its local header, stored by the directory.": replace(
            STORED, local={"method": 8}
        ),
    },
    "'é' is of another kind in its local header": {
        "utf8-locally: A name that is UTF-8 in one place only.": Part(
            "é".encode(), TEXT, local={"flags": UTF8}
        ),
    },
    "'odd' bears another name in its local header": {
        "name-locally: Another name in the local header.": but(local_name=b"bad"),
        "name-locally-longer: A longer name in the local header.": but(local_name=b"odd/../../x"),
        "name-locally-nul: A name that a NUL ends, in the local header.": but(local_name=b"odd\0x"),
        "name-locally-none: No name in the local header.": but(local_name=b""),
        "name-length-locally: A name that reaches into the data, in the local header.": beside(
            locally(name_length=7), Part(b"next")
        ),
    },
    "'odd' is not where the directory says": {
        "offset-one: An offset that is off by one.": listed(offset=1),
        "offset-inside: An offset within another member.": listed(offset=50),
        "signature: A local header that does not begin as one.": locally(signature=b"PK\3\5"),
    },
    NOT_A_ZIP: {"disk: A member on another disk.": listed(disk=3)},
    "'in' overlaps 'out'": {
        "overlap-inside: A member within the data of another.": beside(
            OUTER, replace(INNER, at=END + len(OUTER.header()), lies=False)
        ),
    },
    "'odd' overlaps 'odd'": {
        "overlap-same: Two entries for one member.": beside(ODD, but(at=END, lies=False)),
    },
    "'b' overlaps 'a'": {
        "overlap-reaching: A member that reaches into the next.": beside(
            stored(b"a", b"four").both(size=9, stored_size=9), stored(b"b", b"four")
        ),
    },
    "'odd' has another size or checksum behind its data, or none": {
        "descriptor-missing: Sizes that are said to follow, and do not.": behind(b""),
        "descriptor-cut: A descriptor that the directory cuts.": behind(TRUTH[:10]),
        "descriptor-zeros: A descriptor of nothing.": behind(b"PK\x07\x08" + bytes(12)),
        "descriptor-shared: A member that begins in the descriptor of another.": beside(
            behind(b""), Part(b"next", TEXT)
        ),
        **{
            f"descriptor-{key}: Another {key.replace('-', ' ')} behind the data.": behind(
                TRUTH[:at] + b"\xff" + TRUTH[at + 1 :]
            )
            for key, at in {"crc": 4, "stored-size": 8, "size": 12}.items()
        },
    },
    MORE: {
        "descriptor-twice: Two descriptors that differ.": behind(TRUTH + descriptor(b"", b"")),
    },
    "'../x' leaves the archive": {
        "extra-unicode-path-traversal: A good name, and one beside it that leads out.": but(
            extra=path(b"../x")
        ),
    },
    r"'\\xff' has a name that is not the UTF-8 it claims to be": {
        "extra-unicode-path-broken: A name beside the name that is not UTF-8.": but(
            extra=path(b"\xff")
        ),
    },
    "'index.html' is in the archive twice": {
        "extra-unicode-path-taken: A name beside the name that another member has.": but(
            extra=path(b"index.html")
        ),
    },
    "'' is no name": {
        "extra-unicode-path-empty: A name beside the name that is none.": but(extra=path(b"")),
    },
    "'a' has two extra fields that contradict each other": {
        "extra-unicode-path-twice: Two names beside the name.": but(extra=path(b"a") + path(b"b")),
    },
    "'odd' has two extra fields that contradict each other": {
        "extra-zip64-twice: Two ZIP64 blocks that differ.": but(
            extra=block(ZIP64, bytes(8)) + block(ZIP64, b"\1" * 8)
        ),
    },
    "'odd' has a record of the format in its comment": {
        "comment-locator: A comment that would be the ZIP64 end of what is served.": beside(
            but(comment=FAKE_END), is_wide=True
        ),
        **{
            f"comment-{key}: A comment that begins as a record of the format does: {key}.": before(
                but(comment=record)
            )
            for key, record in RECORDS.items()
        },
    },
}

TIMES, OTHER_TIMES = block(0x5455, b"\3" + bytes(8)), block(0x5455, b"\3" + b"\x7f" * 8)
OWNER = block(0x7875, b"\1\4\0\0\0\0\4\0\0\0\0")
TO_ETC = block(0x756E, struct.pack("<LHLHH", 0, 0o120777, 4, 0, 0) + b"/etc")
DESCRIPTORS = {"signed": (True, False), "bare": (False, False)}
DESCRIPTORS |= {"signed-wide": (True, True), "bare-wide": (False, True)}
UNTOLD = {"flags": DEFERRED, "crc": 0, "stored_size": 0, "size": 0}
MODES = {"set-user-id": 0o104755, "set-group-id": 0o102755, "sticky": 0o101777}

ACCEPTED = {
    "folder-by-file-mode: A folder whose mode is that of a file.": mode(0o100644, stored(b"odd/")),
    "folder-deflated: A folder without content, deflated all the same.": Part(b"odd/"),
    "folder-without-mode: A folder without attributes.": mode(0, stored(b"odd/")),
    **{
        f"mode-{key}: A file with the bit {key}; it is served without.": mode(bits)
        for key, bits in MODES.items()
    },
    "mode-none: A file that nobody may read.": mode(0o100000),
    "mode-everybody: A file that everybody may write.": mode(0o100777),
    "mode-without-kind: A mode that tells no kind of file.": mode(0o644),
    **{
        f"host-{key}: A file that was made on a system of kind {host}.": mode(
            0o100644, host=host << 8 | 20
        )
        for key, host in HOSTS.items()
    },
    "attributes-all-others: Hidden, system, read-only, and what nobody knows.": listed(
        external=0xA3E7, made_by=DOS
    ),
    "internal-attributes: Text, and a record's length before each line, as no reader has it.": (
        listed(internal=0xFFFF)
    ),
    "flags-of-level: All flags that tell how hard it was tried to compress.": ODD.both(flags=LEVEL),
    "flags-reserved: Flags that mean nothing yet; they are not served.": ODD.both(
        flags=1 << 4 | 1 << 7 | 1 << 12 | 1 << 14 | 1 << 15
    ),
    "needs-63: A member that needs the newest version; it is served as what it needs.": ODD.both(
        needs=63
    ),
    "needs-0: A member that needs no version at all.": ODD.both(needs=0),
    **{
        f"deflated-{level}: Deflated at level {level}.": packed(deflated(TEXT, level))
        for level in (0, 1, 9)
    },
    "deflated-nothing: Twenty thousand blocks of nothing.": packed(
        b"\0\0\0\xff\xff" * 20_000 + b"\3\0", b""
    ),
    "date-locally: Another date in the local header; the directory's is served.": locally(
        date=0x5A21, time=1
    ),
    "date-none: A date that there is not.": ODD.both(date=0, time=0),
    "date-impossible: The 31st of the 15th month, at 31:63:62.": ODD.both(date=0xFFFF, time=0xFFFF),
    "needs-locally: Another version in the local header.": locally(needs=10),
    **{
        f"descriptor-{key}: Sizes behind the data, {key.replace('-', ' and ')}; they are served in"
        " front.": behind(descriptor(TEXT, deflated(TEXT), signed=signed, wide=is_wide))
        for key, (signed, is_wide) in DESCRIPTORS.items()
    },
    "descriptor-and-header: Sizes in front and behind.": streamed(
        b"odd", TEXT, crc=CRC, stored_size=PACKED, size=SIZE
    ),
    "descriptor-wide-header: Sizes left out as ZIP64 leaves them out.": streamed(
        b"odd", TEXT, stored_size=MOST_32, size=MOST_32
    ),
    "descriptor-stored: A stored member whose end only the directory knows.": replace(
        STORED, behind=descriptor(TEXT, TEXT), local=UNTOLD, entry={"flags": DEFERRED}
    ),
    "descriptor-empty: No content, and a descriptor that says so.": streamed(b"odd", b""),
    "descriptor-locally: Sizes behind the data, by the local header only.": replace(
        streamed(b"odd", TEXT), entry={}
    ),
    "extra-times: Times beside the date; they are not served.": but(extra=TIMES),
    "extra-times-differ: Times that differ between the two places.": but(
        extra=TIMES, local_extra=OTHER_TIMES
    ),
    "extra-owner: The owner's number; it is not served.": but(extra=OWNER),
    "extra-link: A link to somewhere in an extra field that hardly anybody reads; it is not served.": (
        but(extra=TO_ETC)
    ),
    "extra-unknown: An extra field that nobody knows.": but(extra=block(0xCAFE, b"?" * 400)),
    "extra-largest: The largest extra field.": but(extra=block(0xCAFE, bytes(65_531))),
    "extra-locally: An extra field in one place only.": but(local_extra=block(0xCAFE, b"?" * 9)),
    "extra-broken: An extra field that ends within a block.": but(extra=b"\xfe\xca\xff\xff?"),
    "extra-padding: Zeros, as programs pad with.": but(extra=bytes(7)),
    "extra-unicode-path: A name in UTF-8 beside one that was bent to ASCII: it counts.": (
        but(extra=path("é.txt".encode())),
        "é.txt",
    ),
    "extra-unicode-path-of-another: A name in UTF-8 that was written for another one: it does not"
    " count.": but(extra=path(b"../x", b"before")),
    "extra-unicode-path-version: A name in UTF-8 in a form that is to come.": but(
        extra=path(b"../x", version=2)
    ),
    "zip64-sizes: Sizes in ZIP64 blocks that would fit without.": wide(b"odd", TEXT),
    "zip64-unasked: A ZIP64 block that no field refers to, and that lies: nobody may ask it.": but(
        extra=block(ZIP64, struct.pack("<2Q", 1, 2))
    ),
    "comment: A member with a comment; it is served.": but(comment="\x1b[2Jé".encode()),
    "comment-cp437: A comment in code page 437; it is served in UTF-8.": but(comment=b"caf\x82"),
    "comment-longest: The longest comment.": but(comment=b"c" * 65_535),
    "comment-almost-a-record: A comment that begins as no record does, but nearly.": but(
        comment=b"PK\6\2"
    ),
    "content-is-an-archive: A stored archive as a member.": before(
        stored(b"in.zip", beside().build())
    ),
    "content-empty: A file without content.": stored(b"odd"),
    "content-newlines: A file of line ends.": Part(b"odd", b"\r\n" * 500),
}


def cases() -> Cases:
    """Yield all of them."""
    yield from refused(REFUSED)
    yield from accepted(ACCEPTED)
