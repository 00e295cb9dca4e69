"""Files whose parts are not where they should be, are there twice, or are cut."""

import struct

from hubrepo.kernel.archives.records import END_FORMAT, ENTRY_FORMAT, MOST_16, MOST_32
from tests.support.hostile.building import Part, Zip, deflated, streamed
from tests.support.hostile.cases import (
    GOOD,
    MORE,
    NO_MANIFEST,
    NO_PAGES,
    NOT_A_ZIP,
    Cases,
    accepted,
    beside,
    case,
    refused,
)

GOOD_FILE = beside().build()
DIRECTORY = GOOD_FILE.index(b"PK\1\2")
EMPTY_FILE = b"PK\5\6" + bytes(18)
OTHER = Part(b"other", b"what somebody else sees")
OTHERS_BYTES = OTHER.header() + OTHER.data
HIDDEN = Part(b"hidden", b"x", listed=False)
SCRIPT = b"#!/bin/sh\nexit 0\n"
ONES = {"total": MOST_16, "total_here": MOST_16, "size": MOST_32, "offset": MOST_32}
HUGE = "the archive's directory is larger than 16777216 bytes"
MANY = "the archive has 65535 members, more than the limit of 10000 (hubrepo.archives.max_members)"

# Directories and ends to hide in a comment: of other members, and of fewer.
_SECOND = GOOD_FILE[DIRECTORY:-22].replace(b"index.html", b"other.html")
SECOND = _SECOND + GOOD_FILE[-22:-6] + struct.pack("<LH", len(GOOD_FILE), 0)
_FEWER = GOOD_FILE[DIRECTORY:][: sum(len(part.line(0)) for part in GOOD[:2])]
FEWER = _FEWER + END_FORMAT.pack(b"PK\5\6", 0, 0, 2, 2, len(_FEWER), len(GOOD_FILE), 0)

# What is cut, and after how many bytes.
WHOLE = Zip((streamed(b"a/odd", b"text " * 99), *GOOD), comment=b"a comment", is_wide=True)
DATA = WHOLE.build()
_DATA_AT = 30 + 5
_STORED_END = _DATA_AT + len(deflated(b"text " * 99))
_ENTRY = DATA.index(b"PK\1\2")
_END = len(DATA) - len(WHOLE.comment) - END_FORMAT.size
CUTS = {
    "header": 20,
    "after-header": 30,
    "name": 32,
    "data": (_DATA_AT + _STORED_END) // 2,
    "after-data": _STORED_END,
    "descriptor": _STORED_END + 7,
    "after-descriptor": _STORED_END + 16,
    "second-member": _STORED_END + 16 + 40,
    "before-directory": _ENTRY,
    "entry": _ENTRY + 20,
    "entry-name": _ENTRY + ENTRY_FORMAT.size + 2,
    "after-entry": _ENTRY + ENTRY_FORMAT.size + 5,
    "before-zip64-end": _END - 76,
    "zip64-end": _END - 50,
    "before-locator": _END - 20,
    "locator": _END - 9,
    "before-end": _END,
    "end": _END + 11,
    "end-but-one": _END + 21,
    "comment": len(DATA) - 3,
}

# Fields of the end record, of a ZIP64 end beside it, and of one that stands alone.
ENDS = {
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
    "all-ones": ONES,
}
WIDE_ENDS = {
    "disk": {"disk": 1},
    "directory-disk": {"directory_disk": 2},
    "fewer": {"total": 2, "total_here": 2},
    "fewer-here": {"total_here": 1},
    "size": {"size": 10},
    "offset": {"offset": 10},
    "signature": {"signature": b"PK\6\5"},
}
LONE_ENDS = {
    "fewer": {"total": 2, "total_here": 2},
    "more": {"total": 4, "total_here": 4},
    "size": {"size": 10},
    "size-huge": {"size": 2**63},
    "offset": {"offset": 2**62},
    "disk": {"disk": 1},
}
LOCATORS = {
    "elsewhere: A locator that points to another ZIP64 end (CVE-2025-8291).": {"offset": 5},
    "beyond: A locator that points beyond the file.": {"offset": 2**60},
    "disk: A locator that points to another disk.": {"disk": 1},
    "disks: A locator of an archive on many disks.": {"disks": 7},
}
ENTRIES = {
    "signature: An entry that does not begin as one.": {"signature": b"PK\1\3"},
    "name-longer: An entry whose name reaches beyond the directory.": {"name_length": 60_000},
    "extra-longer: An entry whose extra field does.": {"extra_length": 60_000},
    "comment-longer: An entry whose comment does.": {"comment_length": 60_000},
}

ACCEPTED = {
    "before-script: A script before the archive, whose offsets do not know of it.": beside(
        before=SCRIPT
    ),
    "before-known: The same, and the offsets know of it.": beside(before=SCRIPT, knows_before=True),
    "before-zeros: A megabyte of zeros before the archive.": beside(before=bytes(1024**2)),
    "between: Bytes between the members and the directory.": beside(gap=b"between"),
    "between-members: Bytes between two members.": Part(b"odd", b"x", before=b"between"),
    "after-zeros: Zeros behind the archive.": beside(after=bytes(512)),
    "after-text: Text behind the archive.": beside(after=b"\nand more\n"),
    "after-most: As much behind the archive as readers look past.": beside(after=b"x" * MOST_16),
    "archive-comment: A comment of the archive; it is not served.": beside(comment=b"no comment"),
    "archive-comment-longest: The longest comment.": beside(comment=b"c" * MOST_16),
    "archive-comment-longer: A comment that goes on behind its end.": beside(
        comment=b"text", end={"comment_length": 2}
    ),
    "picture-before: A picture before the archive.": beside(before=b"GIF89a\1\0\1\0\0\0\0;"),
    "cut-nowhere: The file that these are cut from.": WHOLE,
    "zip64-end: A ZIP64 end that would not be needed.": beside(is_wide=True),
    "zip64-end-needed: The same, and the other end record leaves all to it.": beside(
        is_wide=True, end=ONES
    ),
    "zip64-end-before: A ZIP64 end, and bytes before the archive.": beside(
        is_wide=True, before=b"before"
    ),
    "zip64-end-before-known: The same, and the offsets know of them.": beside(
        is_wide=True, before=b"before", knows_before=True
    ),
}

REFUSED = {
    NOT_A_ZIP: {
        "after-too-much: More behind the archive than readers look past.": beside(
            after=b"x" * (MOST_16 + 1)
        ),
        "archive-comment-cut: A comment that ends early.": beside(
            comment=b"text", end={"comment_length": 5}
        ),
        "nothing: No bytes at all.": lambda: b"",
        "text: A text.": lambda: b"This is no archive.\n" * 99,
        "tar: Another kind of archive.": (
            lambda: b"package.toml".ljust(257, b"\0") + b"ustar\00000" + bytes(1024)
        ),
        "gzip: A compressed file.": lambda: b"\x1f\x8b\x08" + bytes(100),
        "rar: Another kind of archive.": lambda: b"Rar!\x1a\x07\x01\0" + bytes(100),
        "end-doubled: Two end records in a row.": lambda: GOOD_FILE + GOOD_FILE[-22:],
        "end-signature-in-the-comment: What only begins as an end record, in the comment.": beside(
            comment=b"PK\5\6 is how it begins, of course"
        ),
        "directory-padded: Bytes between the last entry and the end record, told as of the"
        " directory.": beside(padding=b"?" * 9),
        "directory-spaced: Bytes between the directory and the end record.": beside(space=b"?" * 9),
        "backwards: The directory first, and then the members.": (
            lambda: GOOD_FILE[DIRECTORY:] + GOOD_FILE[:DIRECTORY]
        ),
        "head-missing: A file without its first bytes.": lambda: DATA[9:],
        "middle-missing: A file without some bytes in its middle.": lambda: DATA[:40] + DATA[60:],
        "zip64-locator-alone: A locator without a ZIP64 end.": beside(
            space=struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
        ),
        "zip64-record-longer: A ZIP64 end with room for more.": beside(
            is_wide=True, end64={"record_size": 2**40}
        ),
    },
    MORE: {
        "hidden-before: A member before the first one that the directory tells of.": Zip(
            (HIDDEN, *GOOD)
        ),
        "hidden-between: A member that only who reads front to back sees.": Zip(
            (*GOOD[:1], HIDDEN, *GOOD[1:])
        ),
        "hidden-last: A member between the last one and the directory.": HIDDEN,
        "hidden-after: A member behind the archive.": beside(after=OTHERS_BYTES),
        "hidden-in-the-comment: A member in the comment of the archive.": beside(
            comment=OTHERS_BYTES
        ),
        "hidden-entry: An entry of a directory between the members and the directory.": beside(
            gap=OTHER.line(0)
        ),
        "two-archives: Two archives, one behind the other.": beside(before=Zip((OTHER,)).build()),
        "two-archives-same: One archive twice.": beside(before=GOOD_FILE),
        "archive-after-a-picture: An archive behind a picture.": beside(
            before=b"GIF89a" + GOOD_FILE
        ),
        "end-empty-after: An end record of nothing behind the true one.": (
            lambda: GOOD_FILE + EMPTY_FILE
        ),
        "end-in-the-comment: An end record of nothing in the comment.": beside(comment=EMPTY_FILE),
        "end-of-fewer-in-the-comment: A directory of fewer members in the comment.": beside(
            comment=FEWER
        ),
        "end-signature-at-the-end: What begins as an end record as the last four bytes.": beside(
            comment=b"PK\5\6"
        ),
    },
    "'other.html' bears another name in its local header": {
        "end-and-directory-in-the-comment: Another directory and its end in the comment.": beside(
            comment=SECOND
        ),
    },
    "'package.toml' is not where the directory says": {
        "end-offset-less: A directory that is told to begin one byte earlier: all members would.": (
            beside(end={"offset": DIRECTORY - 1})
        ),
    },
    "'odd' has a record of the format in its comment": {
        "directory-comment-swallows: An entry whose comment swallows the next entry.": beside(
            Part(b"odd", entry={"comment_length": 46 + 4}), Part(b"next")
        ),
    },
    "'odd' lies outside the archive": {
        "directory-elsewhere: A member in the directory that lies nowhere.": Part(
            b"odd", lies=False
        ),
    },
    MANY: {"zip64-end-without-locator: A ZIP64 end that nothing points to.": beside(end=ONES)},
}


def cases() -> Cases:
    """Yield all of them."""
    yield from accepted(ACCEPTED)
    yield from refused(REFUSED)
    yield case("end-only: An archive of nothing.", lambda: EMPTY_FILE, NO_MANIFEST, NO_PAGES)
    for key, length in CUTS.items():
        title = f"cut-{key}: A file that is cut: {key.replace('-', ' ')}."
        yield case(title, lambda end=length: DATA[:end], NOT_A_ZIP, NOT_A_ZIP)
    for key, fields in ENDS.items():
        told = ", ".join(f"{name} {value}" for name, value in fields.items())
        why = MANY if fields is ONES else NOT_A_ZIP
        yield case(f"end-{key}: An end record that lies: {told}.", beside(end=fields), why, why)
    for key, fields in WIDE_ENDS.items():
        title = f"zip64-end-{key}: A ZIP64 end that contradicts the other: {key.replace('-', ' ')}."
        yield case(title, beside(is_wide=True, end64=fields), NOT_A_ZIP, NOT_A_ZIP)
    for key, fields in LONE_ENDS.items():
        title = f"zip64-only-{key}: A ZIP64 end that lies, alone: {key.replace('-', ' ')}."
        why = HUGE if key == "size-huge" else NOT_A_ZIP
        yield case(title, beside(is_wide=True, end=ONES, end64=fields), why, why)
    for title, fields in LOCATORS.items():
        archive = beside(is_wide=True, locator=fields)
        yield case(f"zip64-locator-{title}", archive, NOT_A_ZIP, NOT_A_ZIP)
    for title, fields in ENTRIES.items():
        yield case(f"directory-{title}", Part(b"odd", entry=fields), NOT_A_ZIP, NOT_A_ZIP)
