"""Files whose parts are not where they should be, are there twice, or are cut."""

import struct

from hubrepo.kernel.archives.records import END_FORMAT, ENTRY_FORMAT, MOST_16, MOST_32
from tests.support.hostile.building import Part, Zip, deflated, streamed
from tests.support.hostile.cases import (
    GOOD,
    MORE,
    NOT_A_ZIP,
    Cases,
    accepted,
    beside,
    cut,
    refused,
)

GOOD_FILE = beside().build()
EMPTY_FILE = b"PK\5\6" + bytes(18)
OTHER = Part(b"other", b"what somebody else sees")
DIRECTORY = GOOD_FILE.index(b"PK\1\2")


def _around() -> Cases:
    script = b"#!/bin/sh\nexit 0\n"
    yield accepted(
        "before-script",
        "A script before the archive, whose offsets do not know of it.",
        beside(before=script),
    )
    yield accepted(
        "before-known",
        "The same, and the offsets know of it.",
        beside(before=script, knows_before=True),
    )
    yield accepted(
        "before-zeros", "A megabyte of zeros before the archive.", beside(before=bytes(1024**2))
    )
    yield accepted(
        "between", "Bytes between the members and the directory.", beside(gap=b"between")
    )
    yield accepted(
        "between-members",
        "Bytes between two members.",
        beside(Part(b"odd", b"x", before=b"between")),
        ("odd", b"x"),
    )
    yield accepted("after-zeros", "Zeros behind the archive.", beside(after=bytes(512)))
    yield accepted("after-text", "Text behind the archive.", beside(after=b"\nand more\n"))
    yield accepted(
        "after-most",
        "As much behind the archive as readers look past.",
        beside(after=b"x" * MOST_16),
    )
    yield refused(
        "after-too-much",
        "More behind the archive than readers look past.",
        beside(after=b"x" * (MOST_16 + 1)),
        NOT_A_ZIP,
    )
    yield accepted(
        "archive-comment",
        "A comment of the archive; it is not served.",
        beside(comment=b"no comment"),
    )
    yield accepted(
        "archive-comment-longest", "The longest comment.", beside(comment=b"c" * MOST_16)
    )
    yield refused(
        "archive-comment-cut",
        "A comment that ends early.",
        beside(comment=b"text", end={"comment_length": 5}),
        NOT_A_ZIP,
    )
    yield accepted(
        "archive-comment-longer",
        "A comment that goes on behind its end.",
        beside(comment=b"text", end={"comment_length": 2}),
    )
    yield refused(
        "hidden-before",
        "A member before the first one that the directory tells of.",
        Zip((Part(b"hidden", b"x", listed=False), *GOOD)),
        MORE,
    )
    yield refused(
        "hidden-between",
        "A member that only who reads front to back sees.",
        Zip((*GOOD[:1], Part(b"hidden", b"x", listed=False), *GOOD[1:])),
        MORE,
    )
    yield refused(
        "hidden-last",
        "A member between the last one and the directory.",
        beside(Part(b"hidden", b"x", listed=False)),
        MORE,
    )
    yield refused(
        "hidden-after",
        "A member behind the archive.",
        beside(after=OTHER.header() + OTHER.data),
        MORE,
    )
    yield refused(
        "hidden-in-the-comment",
        "A member in the comment of the archive.",
        beside(comment=OTHER.header() + OTHER.data),
        MORE,
    )
    yield refused(
        "hidden-entry",
        "An entry of a directory between the members and the directory.",
        beside(gap=OTHER.line(0)),
        MORE,
    )
    yield refused(
        "two-archives",
        "Two archives, one behind the other.",
        beside(before=Zip((OTHER,)).build()),
        MORE,
    )
    yield refused("two-archives-same", "One archive twice.", beside(before=GOOD_FILE), MORE)
    yield refused(
        "archive-after-a-picture",
        "An archive behind a picture.",
        beside(before=b"GIF89a" + GOOD_FILE),
        MORE,
    )
    yield accepted(
        "picture-before", "A picture before the archive.", beside(before=b"GIF89a\1\0\1\0\0\0\0;")
    )


def _ends() -> Cases:
    yield refused("nothing", "No bytes at all.", lambda: b"", NOT_A_ZIP)
    yield refused("text", "A text.", lambda: b"This is no archive.\n" * 99, NOT_A_ZIP)
    yield refused(
        "tar",
        "Another kind of archive.",
        lambda: b"package.toml".ljust(257, b"\0") + b"ustar\00000" + bytes(1024),
        NOT_A_ZIP,
    )
    yield refused("gzip", "A compressed file.", lambda: b"\x1f\x8b\x08" + bytes(100), NOT_A_ZIP)
    yield refused(
        "rar", "Another kind of archive.", lambda: b"Rar!\x1a\x07\x01\0" + bytes(100), NOT_A_ZIP
    )
    yield refused(
        "end-only",
        "An archive of nothing.",
        lambda: EMPTY_FILE,
        "missing `package.toml` file",
        "missing top-level `pages.toml`",
    )
    yield refused(
        "end-doubled", "Two end records in a row.", lambda: GOOD_FILE + GOOD_FILE[-22:], NOT_A_ZIP
    )
    yield refused(
        "end-empty-after",
        "An end record of nothing behind the true one.",
        lambda: GOOD_FILE + EMPTY_FILE,
        MORE,
    )
    yield refused(
        "end-in-the-comment",
        "An end record of nothing in the comment.",
        beside(comment=EMPTY_FILE),
        MORE,
    )
    second = GOOD_FILE[DIRECTORY:-22].replace(b"index.html", b"other.html")
    second += GOOD_FILE[-22:-6] + struct.pack("<LH", len(GOOD_FILE), 0)
    yield refused(
        "end-and-directory-in-the-comment",
        "Another directory and its end in the comment.",
        beside(comment=second),
        "'other.html' bears another name in its local header",
    )
    lines = b"".join(part.line(0) for part in GOOD[:2])
    fewer = GOOD_FILE[DIRECTORY : DIRECTORY + len(lines)] + struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(lines), len(GOOD_FILE), 0
    )
    yield refused(
        "end-of-fewer-in-the-comment",
        "A directory of fewer members in the comment.",
        beside(comment=fewer),
        MORE,
    )
    yield refused(
        "end-signature-in-the-comment",
        "What only begins as an end record, in the comment.",
        beside(comment=b"PK\5\6 is how it begins, of course"),
        NOT_A_ZIP,
    )
    yield refused(
        "end-signature-at-the-end",
        "What begins as an end record as the last four bytes.",
        beside(comment=b"PK\5\6"),
        MORE,
    )
    for name, fields in {
        "disk": {"disk": 1},
        "directory-disk": {"directory_disk": 1},
        "fewer-here": {"total_here": 2},
        "more-here": {"total_here": 4},
        "fewer": {"total": 2, "total_here": 2},
        "more": {"total": 4, "total_here": 4},
        "none": {"total": 0, "total_here": 0},
        "directory-beyond": {"offset": 10**6},
        "directory-larger": {"size": 10**6},
        "directory-smaller": {"size": 10},
        "directory-empty": {"size": 0},
        "offset-more": {"offset": DIRECTORY + 1},
        "all-ones": {"total": MOST_16, "total_here": MOST_16, "size": MOST_32, "offset": MOST_32},
    }.items():
        why = NOT_A_ZIP
        if name == "all-ones":
            why = "the archive has 65535 members, more than the limit of 10000 (hubrepo.archives.max_members)"
        yield refused(
            f"end-{name}",
            f"An end record that lies: {', '.join(f'{key} {value}' for key, value in fields.items())}.",
            beside(end=fields),
            why,
        )
    yield refused(
        "end-offset-less",
        "A directory that is told to begin one byte earlier: all members would.",
        beside(end={"offset": DIRECTORY - 1}),
        "'package.toml' is not where the directory says",
    )
    yield refused(
        "directory-padded",
        "Bytes between the last entry and the end record, told as of the directory.",
        beside(padding=b"?" * 9),
        NOT_A_ZIP,
    )
    yield refused(
        "directory-spaced",
        "Bytes between the directory and the end record.",
        beside(space=b"?" * 9),
        NOT_A_ZIP,
    )
    yield refused(
        "directory-signature",
        "An entry that does not begin as one.",
        beside(Part(b"odd", entry={"signature": b"PK\1\3"})),
        NOT_A_ZIP,
    )
    yield refused(
        "directory-name-longer",
        "An entry whose name reaches beyond the directory.",
        beside(Part(b"odd", entry={"name_length": 60_000})),
        NOT_A_ZIP,
    )
    yield refused(
        "directory-extra-longer",
        "An entry whose extra field does.",
        beside(Part(b"odd", entry={"extra_length": 60_000})),
        NOT_A_ZIP,
    )
    yield refused(
        "directory-comment-longer",
        "An entry whose comment does.",
        beside(Part(b"odd", entry={"comment_length": 60_000})),
        NOT_A_ZIP,
    )
    yield refused(
        "directory-comment-swallows",
        "An entry whose comment swallows the next entry.",
        beside(Part(b"odd", entry={"comment_length": 46 + 4}), Part(b"next")),
        "'odd' has a record of the format in its comment",
    )
    yield refused(
        "directory-elsewhere",
        "A member in the directory that lies nowhere.",
        beside(Part(b"odd", lies=False)),
        "'odd' lies outside the archive",
    )
    yield refused(
        "backwards",
        "The directory first, and then the members.",
        lambda: GOOD_FILE[DIRECTORY:] + GOOD_FILE[:DIRECTORY],
        NOT_A_ZIP,
    )


def _truncated() -> Cases:
    whole = Zip((streamed(b"a/odd", b"text " * 99), *GOOD), comment=b"a comment", is_wide=True)
    data = whole.build()
    header, name = 30, 5
    packed = len(deflated(b"text " * 99))
    ending = len(data) - len(whole.comment) - END_FORMAT.size
    start = data.index(b"PK\1\2")
    for id_, length in {
        "header": header - 10,
        "after-header": header,
        "name": header + 2,
        "data": header + name + packed // 2,
        "after-data": header + name + packed,
        "descriptor": header + name + packed + 7,
        "after-descriptor": header + name + packed + 16,
        "second-member": header + name + packed + 16 + 40,
        "before-directory": start,
        "entry": start + 20,
        "entry-name": start + ENTRY_FORMAT.size + 2,
        "after-entry": start + ENTRY_FORMAT.size + name,
        "before-zip64-end": ending - 76,
        "zip64-end": ending - 50,
        "before-locator": ending - 20,
        "locator": ending - 9,
        "before-end": ending,
        "end": ending + 11,
        "end-but-one": ending + 21,
        "comment": len(data) - 3,
    }.items():
        yield refused(
            f"cut-{id_}",
            f"A file that is cut: {id_.replace('-', ' ')}.",
            cut(whole, lambda _, length=length: length),
            NOT_A_ZIP,
        )
    yield accepted(
        "cut-nowhere", "The file that these are cut from.", whole, ("a/odd", b"text " * 99)
    )
    yield refused("head-missing", "A file without its first bytes.", lambda: data[9:], NOT_A_ZIP)
    yield refused(
        "middle-missing",
        "A file without some bytes in its middle.",
        lambda: data[:40] + data[60:],
        NOT_A_ZIP,
    )


def _wide() -> Cases:
    ones = {"total": MOST_16, "total_here": MOST_16, "size": MOST_32, "offset": MOST_32}
    yield accepted("zip64-end", "A ZIP64 end that would not be needed.", beside(is_wide=True))
    yield accepted(
        "zip64-end-needed",
        "The same, and the other end record leaves all to it.",
        beside(is_wide=True, end=ones),
    )
    yield accepted(
        "zip64-end-before",
        "A ZIP64 end, and bytes before the archive.",
        beside(is_wide=True, before=b"before"),
    )
    yield accepted(
        "zip64-end-before-known",
        "The same, and the offsets know of them.",
        beside(is_wide=True, before=b"before", knows_before=True),
    )
    for name, fields in {
        "disk": {"disk": 1},
        "directory-disk": {"directory_disk": 2},
        "fewer": {"total": 2, "total_here": 2},
        "fewer-here": {"total_here": 1},
        "size": {"size": 10},
        "offset": {"offset": 10},
        "signature": {"signature": b"PK\6\5"},
    }.items():
        yield refused(
            f"zip64-end-{name}",
            f"A ZIP64 end that contradicts the other: {name.replace('-', ' ')}.",
            beside(is_wide=True, end64=fields),
            NOT_A_ZIP,
        )
    for name, fields in {
        "fewer": {"total": 2, "total_here": 2},
        "more": {"total": 4, "total_here": 4},
        "size": {"size": 10},
        "size-huge": {"size": 2**63},
        "offset": {"offset": 2**62},
        "disk": {"disk": 1},
    }.items():
        why = (
            "the archive's directory is larger than 16777216 bytes"
            if name == "size-huge"
            else NOT_A_ZIP
        )
        yield refused(
            f"zip64-only-{name}",
            f"A ZIP64 end that lies, alone: {name.replace('-', ' ')}.",
            beside(is_wide=True, end=ones, end64=fields),
            why,
        )
    yield refused(
        "zip64-locator-elsewhere",
        "A locator that points to another ZIP64 end (CVE-2025-8291).",
        beside(is_wide=True, locator={"offset": 5}),
        NOT_A_ZIP,
    )
    yield refused(
        "zip64-locator-beyond",
        "A locator that points beyond the file.",
        beside(is_wide=True, locator={"offset": 2**60}),
        NOT_A_ZIP,
    )
    yield refused(
        "zip64-locator-disk",
        "A locator that points to another disk.",
        beside(is_wide=True, locator={"disk": 1}),
        NOT_A_ZIP,
    )
    yield refused(
        "zip64-locator-disks",
        "A locator of an archive on many disks.",
        beside(is_wide=True, locator={"disks": 7}),
        NOT_A_ZIP,
    )
    yield refused(
        "zip64-locator-alone",
        "A locator without a ZIP64 end.",
        beside(space=struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)),
        NOT_A_ZIP,
    )
    yield refused(
        "zip64-end-without-locator",
        "A ZIP64 end that nothing points to.",
        beside(end=ones),
        "the archive has 65535 members, more than the limit of 10000 (hubrepo.archives.max_members)",
    )
    yield refused(
        "zip64-record-longer",
        "A ZIP64 end with room for more.",
        beside(is_wide=True, end64={"record_size": 2**40}),
        NOT_A_ZIP,
    )


def cases() -> Cases:
    """All of them."""
    yield from _around()
    yield from _ends()
    yield from _truncated()
    yield from _wide()
