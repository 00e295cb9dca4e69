"""HISTORY.md: the log of a package's versions, written for people and read again to find forks.

Everything in it but numbers, dates and hashes was written by publishers. So writer and reader are
kept side by side: nothing that the one takes in may look like structure to the other.
"""

import re
from codecs import BOM_UTF8, getincrementaldecoder
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hubrepo.kernel.base import has_many_marks, iso_seconds, nfc, one_line

# --- Writing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A version's place in the history; in the copy inside its own ZIP it has no hash yet."""

    number: int
    author: str
    date: datetime
    content_hash: str | None
    summary: str = ""
    description: str = ""
    tombstoned: bool = False
    tombstone_reason: str = ""
    forked_from: tuple[str, int] | None = None


@dataclass(frozen=True)
class Chapter:
    """A package's entries, newest first: its own (`up_to` None), or an ancestor's up to a fork."""

    package: str
    entries: Sequence[Entry]
    up_to: int | None = None


def render_entry(entry: Entry) -> str:
    """One version's block, without a line end after it.

    Author, summary and reason are folded to one line. Of the description see `_harmless`.
    """
    bullets = [("Author", one_line(entry.author)), ("Date", iso_seconds(entry.date))]
    if entry.content_hash and not entry.tombstoned:
        bullets.append(("Hash", entry.content_hash))
    if summary := one_line(entry.summary):
        bullets.append(("Message", summary))
    if entry.forked_from:
        package, number = entry.forked_from
        bullets.append(("Forked from", f"{package} v{number}"))
    if entry.tombstoned and (reason := one_line(entry.tombstone_reason)):
        bullets.append(("Tombstoned", reason))
    parts = [
        f"### Version {entry.number}" + (" (tombstoned)" if entry.tombstoned else ""),
        "\n".join(f"- **{label}:** {value}" for label, value in bullets),
    ]
    if description := _harmless(entry.description):
        parts.append(description)
    return "\n\n".join(parts)


def render(chapters: Sequence[Chapter], entry_text: Callable[[Entry], str] = render_entry) -> str:
    """The history that begins with a package's own chapter and goes on with its ancestors'.

    An entry's text depends on nothing but the entry, so `entry_text` may be a `render_entry` that
    remembers.
    """
    blocks: list[str] = []
    for chapter in chapters:
        blocks += [_chapter_heading(chapter), *map(entry_text, chapter.entries)]
    return "\n\n".join(blocks) + "\n"


def _chapter_heading(chapter: Chapter) -> str:
    if chapter.up_to is None:
        return (
            f"# Package History: {chapter.package}\n\n"
            "> Authoritative copy lives on the server. This file is a snapshot at publish time.\n\n"
            "## Versions"
        )
    return f"---\n\n## Forked from package: {chapter.package} (Version {chapter.up_to})"


# Whatever any reader takes for a line end: Markdown also takes CR, Python's `splitlines` all these.
_ENDS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_STARTS_LINE = rf"(?<![^{_ENDS}])"
_BLANK = rf"[^\S{_ENDS}]"

_HASHES = re.compile(rf"{_STARTS_LINE}(?:{_BLANK}|\#)*\#{_BLANK}?")
_RULE = re.compile(rf"{_STARTS_LINE}({_BLANK}*)(?=(?:-+|=+){_BLANK}*(?:[{_ENDS}]|\Z))")


def _harmless(description: str) -> str:
    r"""A description that makes no heading and ends no section, else as it was sent.

    Every line loses the `#` it begins with (all of them: of `# ### x`, `x` stays), with the blanks
    before and one blank after. A line of nothing but `-` or of nothing but `=` would be a rule,
    which ends the list of versions, or would make the line above a heading; it gets a backslash in
    front, which Markdown does not show: `\---`.
    """
    return _RULE.sub(r"\1\\", _HASHES.sub("", description.strip())).rstrip()


# --- Reading -----------------------------------------------------------------------------------

# These run over foreign text of any size: each is anchored to a line, and takes linear time. As bytes a
# text takes no more room than in its file; one picture in it would make it four times as large.
_TITLE = re.compile(rb"^#[ \t]+Package[ \t]+History:[ \t]+(\S+)[ \t]*$", re.MULTILINE)
_VERSIONS = re.compile(rb"^## Versions[ \t]*$", re.MULTILINE)
_SECTION_END = re.compile(rb"^(?:## |---[ \t]*$)", re.MULTILINE)
_HEADING = re.compile(rb"^### Version ([0-9]{1,9})(?: \(tombstoned\))?[ \t]*$", re.MULTILINE)
_BULLETS = re.compile(rb"\s*((?:^- .*\n?)*)", re.MULTILINE)
_HASH_BULLET = re.compile(rb"^- \*\*Hash:\*\*[ \t]+(\S+)[ \t]*$", re.MULTILINE)

_WORKBENCH_TITLE = re.compile(rb"#[ \t]+(\S+)@([0-9]{1,9})[ \t]*")
_WORKBENCH_FACTS = re.compile(rb"\[.*\bhash:[ \t]*((?:sha256:)?\w+)\][ \t]*")

_PIECE = 256 * 1024

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """What an embedded history says its archive is: a version of a package.

    `content_hash` is the hash that it gives, maybe only the first digits; None when it gives none.
    """

    package: str
    version: int
    content_hash: str | None = None

    def agrees_with(self, content_hash: str) -> bool | None:
        """Whether the claimed hash is that of the version; None when there is none to compare."""
        claimed = _digest(self.content_hash or "")
        return (_digest(content_hash) or "").startswith(claimed) if claimed else None


def read_claim(data: bytes) -> Claim | None:
    """The claim of an embedded history, of a hub's or in the Workbench's own form; None if not UTF-8."""
    if not _is_utf8(data):
        return None
    text = data.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n")
    return _workbench_claim(text) or _hub_claim(text)


def _is_utf8(data: bytes) -> bool:
    decoder = getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(data), _PIECE):
            decoder.decode(data[at : at + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _hub_claim(text: bytes) -> Claim | None:
    """The highest version listed below `# Package History: <name>` and `## Versions`.

    Its hash is looked for in the bullets right below its heading, never in the description.
    """
    if not (title := _TITLE.search(text)) or not (versions := _VERSIONS.search(text, title.end())):
        return None
    section_end = _SECTION_END.search(text, versions.end())
    end = section_end.start() if section_end else len(text)
    headings = _HEADING.finditer(text, versions.end(), end)
    highest = max(headings, key=lambda heading: int(heading[1]), default=None)
    if highest is None:
        return None
    bullets = _BULLETS.match(text, highest.end(), end)
    return _claim(title[1], highest[1], bullets and _HASH_BULLET.search(bullets[1]))


def _workbench_claim(text: bytes) -> Claim | None:
    """The newest entry: `# name@7`, then `[time: …, author: …, hash: eb1ddd1ce6a9]`."""
    first, _, rest = text[:_PIECE].lstrip().partition(b"\n")
    if not (title := _WORKBENCH_TITLE.fullmatch(first)):
        return None
    facts, _, _ = rest.lstrip().partition(b"\n")
    return _claim(title[1], title[2], _WORKBENCH_FACTS.fullmatch(facts))


def _claim(package: bytes, version: bytes, content_hash: re.Match[bytes] | None) -> Claim | None:
    name = package.decode()
    if has_many_marks(name):
        return None
    claimed = content_hash[1].decode() if content_hash else ""
    return Claim(nfc(name), int(version), claimed if _digest(claimed) else None)


def _digest(content_hash: str) -> str | None:
    """The bare digits in lower case; None for what is no hash, or too short to mean one."""
    found = _DIGEST.fullmatch(content_hash)
    return found[1].lower() if found else None
