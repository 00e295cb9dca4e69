"""Which names a member may bear, alone and among others.

A name is refused when it would be dangerous, or mean something else, on any system that the archive
may be extracted on: not only on ours.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from hubrepo.kernel.archives.errors import ArchiveRefused, shown
from hubrepo.kernel.archives.limits import ArchiveLimits, over_limit
from hubrepo.kernel.base import is_one_line, nfc

_DRIVE = re.compile(r"[A-Za-z]:")

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
    return nfc(nfc(name).casefold())


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
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        key = folded(name).removesuffix("/")
        if key in seen:
            raise ArchiveRefused(_likeness(name, seen[key]), name)
        seen[key] = name
        for folder in _folders_above(key):
            if folder in folders:
                break
            folders[folder] = name
    for key, inside in folders.items():
        if key in seen and not seen[key].endswith("/"):
            raise ArchiveRefused(f"is a file, and also the folder of {shown(inside)}", seen[key])


def _folders_above(path: str) -> Iterator[str]:
    """The folders that `path` lies in, the nearest one first."""
    while "/" in path:
        path = path[: path.rindex("/")]
        yield path


def _likeness(name: str, other: str) -> str:
    if name == other:
        return "is in the archive twice"
    if name.endswith("/") != other.endswith("/"):
        return f"is in the archive twice, as a file and as a folder (see {shown(other)})"
    return f"differs from {shown(other)} only in case or normal form"
