"""Looking for secrets in clear wherever the tests have left something: logs, databases, copies."""

import errno
import gzip
import mmap
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

KEY = re.compile(rb"kpf_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")
# What an export begins with; of other archives only the bytes as they lie there are looked at.
EXPORTED = b"organisation.json"
# What the first start shows, once: tests keep the screen together with the log.
SHOWN = re.compile(rb'\n    (curl -H "Authorization: Api-Key )?(kpf_[A-Za-z0-9_-]+)')


# The raw tokens of artifacts that were given out. Many a number looks like one, so only these are sought.
ISSUED: set[bytes] = set()
# Of 48 digits at least three lie at every sixteenth place, one after the other.
EVERY = 16
_DIGITS = re.compile(rb"[0-9a-f]{3,}")
_TOKEN = re.compile(rb"(?=([0-9a-f]{48}))")


def note_token(raw: str) -> str:
    """Let a raw token be a secret from now on; the token."""
    ISSUED.add(raw.encode())
    return raw


def tokens_in(content: Any) -> set[bytes]:
    """The tokens that were given out and lie there in clear."""
    found = set()
    for each in _DIGITS.finditer(content[::EVERY]):
        first, last = EVERY * each.start(), EVERY * (each.end() - 1)
        around = content[max(first - EVERY + 1, 0) : last + 48]
        found.update(ISSUED.intersection(token[1] for token in _TOKEN.finditer(around)))
    return found


def secrets_below(folder: Path, known: Iterable[bytes] = ()) -> Iterator[str]:
    """Every file below `folder` that has a key, a token or a known secret in clear; archives are opened.

    The ini files of hubs, and what a server of S3 keeps for itself, may have known ones.
    """
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            is_theirs = path.suffix == ".ini" or any("ceph" in each for each in path.parts)
            for name, content in _contents(path):
                if not is_theirs and any(content.find(each) >= 0 for each in known):
                    yield f"{name}: a known secret"
                for token in tokens_in(content):
                    yield f"{name}: the token {token[:12].decode()}"
                if content.find(b"kpf_") < 0:
                    continue
                shown = (
                    {each[2] for each in SHOWN.finditer(content)} if path.suffix == ".log" else ()
                )
                for key in {each[0] for each in KEY.finditer(content)}:
                    if not any(each.startswith(key) for each in shown):
                        yield f"{name}: {key[:12].decode()}"


def _contents(path: Path) -> Iterator[tuple[str, Any]]:
    """The bytes of a file, and of all that is packed in it."""
    with path.open("rb") as file:
        for start, end in _extents(file.fileno()):
            with mmap.mmap(
                file.fileno(), end - start, access=mmap.ACCESS_READ, offset=start
            ) as content:
                yield str(path), content
                if start == 0 and content[:2] == b"\x1f\x8b":
                    yield f"{path} (gzip)", _unpacked(path)
                elif start == 0 and content[:4] == b"PK\x03\x04" and content.find(EXPORTED) >= 0:
                    yield from _members(path)


def _extents(file: int) -> Iterator[tuple[int, int]]:
    """Where a file has bytes, from page to page: some are gigabytes of holes, and looking makes them pages."""
    end = 0
    while True:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # there is no more
                raise
            return
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start - start % mmap.ALLOCATIONGRANULARITY, end


def _unpacked(path: Path) -> bytes:
    """As much of it as can be: who wrote it may have been killed, or only like gzip."""
    pieces = []
    with suppress(OSError, EOFError, zlib.error), gzip.open(path) as file:
        while piece := file.read(65536):
            pieces.append(piece)
    return b"".join(pieces)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    # Some are broken on purpose, down to names that are no text.
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.startswith(("rows/", EXPORTED.decode())):
                    yield f"{path}!{member}", archive.read(member)
    except (zipfile.BadZipFile, ValueError, OSError):
        return
