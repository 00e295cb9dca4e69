"""Which names a member may bear, alone and among others.

A name is refused when it would be dangerous, or mean something else, on any system that the archive
may be extracted on: not only on ours.
"""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from operator import itemgetter
from unicodedata import normalize

from hubrepo.kernel.archives.errors import ArchiveRefused
from hubrepo.kernel.archives.limits import ArchiveLimits, over_limit
from hubrepo.kernel.base import MOST_MARKS, has_many_marks, is_one_line, shown

_DRIVE = re.compile(r"[A-Za-z]:")

# A segment of such a name is a device on Windows, whatever follows the dot.
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\xb9\xb2\xb3])\s*(?:[.:].*)?",
    re.IGNORECASE,
)

# In bytes of UTF-8, as ext4, XFS and APFS count; NTFS counts as many units of UTF-16, which is more.
_LONGEST_SEGMENT = 255

# Characters that are not shown (Default_Ignorable_Code_Point): HFS+ looks past some of them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]+"
)
# Windows drops these.
_TRAILING = re.compile(r"(?<![. ])[. ]+(?=/|\Z)")
# `unzip` takes this at the end for the number of a version, as VMS has them, and drops it.
_VMS_VERSION = re.compile(r";[0-9]*\Z")

Spelling = Callable[[str], str]


def as_written(name: str) -> str:
    """The name itself: one that could be spelled otherwise is refused."""
    return name


def resolved(name: str) -> str:
    """The name as a URL means it: backslashes are slashes; `x/./y/../z` and `x//z` are `x/z`.

    What is absolute, or would leave the archive, stays what it is, to be refused. The folder that
    the archive is unpacked into has no name.
    """
    slashed = name.replace("\\", "/")
    if slashed.startswith("/"):
        return slashed
    segments: list[str] = []
    for segment in slashed.split("/"):
        if segment == ".." and not segments:
            return slashed
        if segment == "..":
            segments.pop()
        elif segment not in {"", "."}:
            segments.append(segment)
    return "/".join(segments) + "/" * (slashed.endswith("/") and bool(segments))


def folded(name: str) -> str:
    """`name` as a file system sees it that knows neither case nor normal forms."""
    # Not by `nfc`: a letter may be folded to one with two more marks.
    return normalize("NFC", normalize("NFC", name).casefold())


def alike(name: str) -> str:
    """What `name` may come to on some system: names of which this is the same may become one file."""
    seen = _TRAILING.sub("", folded(_INVISIBLE.sub("", name)).removesuffix("/"))
    return _VMS_VERSION.sub("", seen)


def check_written(name: str) -> None:
    """Refuse what would take long to bring into normal form; to be asked before that is done."""
    # What is not shown parts marks only until it is looked past.
    if has_many_marks(name) or has_many_marks(_INVISIBLE.sub("", name)):
        raise ArchiveRefused(f"has more than {MOST_MARKS} accents in a row", name)


def check_name(name: str, limits: ArchiveLimits) -> None:
    """Refuse a name that is dangerous by itself."""
    segments = name.removesuffix("/").split("/")
    rules = (
        (not name, "is no name"),
        (
            len(name.encode()) > limits.max_name,
            f"has a name longer than {over_limit(limits, 'max_name', 'bytes')}",
        ),
        (not is_one_line(name), "has a control character in its name"),
        ("\\" in name, "has a backslash in its name"),
        (name.startswith("/"), "has an absolute name"),
        (".." in segments, "leaves the archive"),
        ("." in segments or "" in segments, "has an empty or a dot segment in its name"),
        (any(map(_DRIVE.match, segments)), "names a drive"),
        (any(map(_DEVICE.fullmatch, segments)), "has the name of a device"),
        (
            any(set(segment) == {".", " "} for segment in segments),
            "has a name of dots and blanks",  # Windows takes `.. ` for `..`
        ),
        (
            max(len(segment.encode()) for segment in segments) > _LONGEST_SEGMENT,
            f"has a name of which a part is longer than {_LONGEST_SEGMENT} bytes",
        ),
        (
            len(segments) > limits.max_depth,
            f"has a path longer than {over_limit(limits, 'max_depth', 'segments')}",
        ),
    )
    for broken, reason in rules:
        if broken:
            raise ArchiveRefused(reason, name)


def check_together(names: Iterable[str]) -> None:
    """Refuse names of which some file system would make one, and files that are folders as well."""
    # In their order a file is followed by what is in it, and nothing but neighbours need be kept. The
    # smallest character takes the place of the slash, and as bytes all texts are of one width.
    keyed = sorted(
        ((alike(name).replace("/", "\0").encode(), name) for name in names), key=itemgetter(0)
    )
    for (key, name), (next_key, following) in pairwise(keyed):
        if key == next_key:
            raise ArchiveRefused(_likeness(following, name), following)
        if next_key.startswith(key + b"\0") and not name.endswith("/"):
            raise ArchiveRefused(f"is a file, and also the folder of {shown(following)}", name)


def _likeness(name: str, other: str) -> str:
    if name == other:
        return "is in the archive twice"
    if name.endswith("/") != other.endswith("/"):
        return f"is in the archive twice, as a file and as a folder (see {shown(other)})"
    if folded(name) != folded(other):
        return f"is a name that some systems do not tell from {shown(other)}"
    return f"differs from {shown(other)} only in case or normal form"
