"""`package.toml`: what a package says of itself, and the number that the hub writes into it.

The manifest is its author's file. It comes back byte for byte as it was sent, save for the one line
that tells the version. Any bytes may be given to this module; it answers or raises
`InvalidManifest`, nothing else.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hubrepo.kernel.base import is_one_line, parse_toml

MAX_SIZE = 256 * 1024
MAX_AUTHOR = 255

NOT_TOML = "`package.toml` is not valid TOML"
TOO_LARGE = "`package.toml` must not exceed 256 KiB"
MISSING_NAME = "missing `[package] 'name' property` in package.toml` file"
MISSING_AUTHOR = "missing `[package] 'author' property` in package.toml` file"
BAD_AUTHOR = f"author must be one line of at most {MAX_AUTHOR} characters"
NOT_STAMPED = "`package.toml` cannot be stamped with the version"


class InvalidManifest(ValueError):
    """The manifest cannot be used. Its text follows "invalid package - " in the answer."""


# --- Reading -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Manifest:
    """What the hub takes from a manifest: trimmed texts, the author None when it names none."""

    name: str
    author: str | None

    def author_or(self, *others: str | None) -> str:
        """The author, else the first of `others` that is not blank."""
        for author in (self.author, *others):
            if author and author.strip():
                return checked_author(author)
        raise InvalidManifest(MISSING_AUTHOR)


def read_manifest(raw: bytes) -> Manifest:
    """The manifest in the bytes of a `package.toml`."""
    package = _parsed(_decoded(raw)).get("package")
    if not isinstance(package, dict):
        raise InvalidManifest(MISSING_NAME)
    name = _text(package.get("name"))
    if not name:
        raise InvalidManifest(MISSING_NAME)
    author = _text(package.get("author"))
    return Manifest(name, checked_author(author) if author else None)


def checked_author(text: str) -> str:
    """`text` trimmed, when it may be a version's author; wherever it came from."""
    author = text.strip()
    if not author:
        raise InvalidManifest(MISSING_AUTHOR)
    if len(author) > MAX_AUTHOR or not is_one_line(author):
        raise InvalidManifest(BAD_AUTHOR)
    return author


def _text(value: object) -> str:
    """A TOML value as trimmed text: 7 is "7"; what is false, 0 included, is nothing."""
    try:
        return str(value).strip() if value else ""
    except (ValueError, RecursionError):  # such as a hexadecimal number of thousands of digits
        raise InvalidManifest(NOT_TOML) from None


def _decoded(raw: bytes) -> str:
    if len(raw) > MAX_SIZE:
        raise InvalidManifest(TOO_LARGE)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidManifest(NOT_TOML) from None


def _parsed(text: str, parse_float: Callable[[str], object] = float) -> dict[str, Any]:
    try:
        return parse_toml(text, parse_float)
    except ValueError:
        raise InvalidManifest(NOT_TOML) from None


# --- Stamping ----------------------------------------------------------------------------------

_PACKAGE = ("package",)
_VERSION = ("package", "version")


def stamp(raw: bytes, version: int) -> bytes:
    """The manifest with `package.version` set to `version`, and nothing else changed.

    What gave the version before gives way in its place to `version = <n>`; a manifest without one
    gets that line right after `[package]`, before the first `package.… =`, or as the first entry of
    `package = { … }`. Line ends stay those of the file. The result is parsed again, and refused
    unless it says what the original says, with the new version.
    """
    text = _decoded(raw)
    expected = _parsed(text, parse_float=str)  # as text, for nan is not equal to itself
    if not isinstance(expected.get("package"), dict):
        raise InvalidManifest(NOT_STAMPED)
    expected["package"]["version"] = version
    try:
        stamped = _edited(text, _edits(text, version))
        faithful = tomllib.loads(stamped, parse_float=str) == expected
    except (ValueError, RecursionError):
        faithful = False
    if not faithful:
        raise InvalidManifest(NOT_STAMPED)
    return stamped.encode("utf-8")


@dataclass(frozen=True)
class _Edit:
    """Put `text` in place of what stands from `start` to `end`."""

    start: int
    end: int
    text: str = ""


def _edited(text: str, edits: Iterable[_Edit]) -> str:
    pieces, done = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        pieces += [text[done : edit.start], edit.text]
        done = edit.end
    return "".join([*pieces, text[done:]])


def _edits(text: str, version: int) -> Iterator[_Edit]:
    """The edits that stamp `text`: the first old version is replaced, the rest of it removed.

    A version can have several statements: `version.a = 1` and `version.b = 2`, or a table
    `[package.version]`; the latter cannot be replaced in its place, as it is outside `[package]`.
    """
    statements = list(_statements(text))
    old = [statement for statement in statements if statement.path[:2] == _VERSION]
    if old and len(old[0].table) < len(_VERSION):
        first = old.pop(0)
        key = ".".join(_VERSION[len(first.table) :])
        yield _Edit(first.start, first.stop, f"{key} = {version}")
    else:
        yield _insertion(text, statements, version)
    for statement in old:
        yield _Edit(statement.start, statement.end)


def _insertion(text: str, statements: Iterable["_Statement"], version: int) -> _Edit:
    line_end = "\r\n" if "\r\n" in text else "\n"
    for statement in statements:
        start, stop, end = statement.start, statement.stop, statement.end
        if statement.table == statement.path == _PACKAGE:
            if stop == end:  # the heading is the last line, and nothing ends it
                return _Edit(end, end, f"{line_end}version = {version}")
            return _Edit(end, end, f"version = {version}{text[stop:end]}")
        if statement.inline:
            return _Edit(start, start, f"version = {version}, ")
        if not statement.table and statement.path[0] == "package" and statement.path != _PACKAGE:
            return _Edit(start, start, f"package.version = {version}{text[stop:end] or line_end}")
    raise InvalidManifest(NOT_STAMPED)


# --- Where things stand in a TOML document -----------------------------------------------------

# Complete only for valid TOML, which is all it is given. Order matters: `"""` is no empty string.
_TOKEN = re.compile(
    r'''
      """ (?: [^"\\] | \\. | "{1,2}(?!") )* "{3,5}
    | \'\'\' (?: [^'] | '{1,2}(?!') )* '{3,5}
    | " (?: [^"\\] | \\. )* "
    | ' [^']* '
    | \# [^\r\n]*
    | \r?\n
    | [\[\]{}=,]
    | [^\s"'\#\[\]{}=,]+
    ''',
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class _Span:
    """A stretch between two separators: `stop` is before, `end` after the one that closes it."""

    start: int
    stop: int
    end: int
    tokens: list[re.Match[str]]


@dataclass(frozen=True)
class _Statement:
    """A heading, a key with its value, or an entry of the inline table `package`.

    `table` is the path of the table it stands in, `path` its own; for a heading they are the same.
    From `start` to `stop` it is a whole line, or several, and from there to `end` the line end. An
    inline entry goes from the first to the last character of its text, and to the comma's end.
    """

    start: int
    stop: int
    end: int
    table: tuple[str, ...]
    path: tuple[str, ...]
    inline: bool = False


def _statements(text: str) -> Iterator[_Statement]:
    table: tuple[str, ...] = ()
    for line in _spans(_TOKEN.finditer(text), "\n", 0, len(text)):
        if not line.tokens:
            continue
        if line.tokens[0].group() == "[":
            brackets = 2 if line.tokens[1].group() == "[" else 1
            table = path = _path(text, line.tokens[brackets:-brackets])
        else:
            path = table + _path(text, _key(line))
        yield _Statement(line.start, line.stop, line.end, table, path)
        if path == _PACKAGE and not table:
            yield from _inline_entries(text, line)


def _inline_entries(text: str, line: _Span) -> Iterator[_Statement]:
    opening, *inner, closing = line.tokens[len(_key(line)) + 1 :]
    for entry in _spans(inner, ",", opening.end(), closing.start()):
        if entry.tokens:
            start, stop = entry.tokens[0].start(), entry.tokens[-1].end()
            path = _PACKAGE + _path(text, _key(entry))
            yield _Statement(start, stop, entry.end, _PACKAGE, path, inline=True)


def _spans(
    tokens: Iterable[re.Match[str]], separator: str, start: int, end: int
) -> Iterator[_Span]:
    """What stands between the separators that are in no bracket and no string."""
    inside: list[re.Match[str]] = []
    depth = 0
    for token in tokens:
        mark = token.group().lstrip("\r")
        depth += (mark in "[{") - (mark in "]}")
        if mark == separator and not depth:
            yield _Span(start, token.start(), token.end(), inside)
            start, inside = token.end(), []
        elif mark != "\n" and not mark.startswith("#"):
            inside.append(token)
    yield _Span(start, end, end, inside)


def _key(span: _Span) -> list[re.Match[str]]:
    """The tokens before the `=`."""
    return span.tokens[: [token.group() for token in span.tokens].index("=")]


def _path(text: str, key: list[re.Match[str]]) -> tuple[str, ...]:
    """`a."b c"` as ("a", "b c"): tomllib knows best how a key is written."""
    value: object = tomllib.loads(f"{text[key[0].start() : key[-1].end()]} = 0")
    path = []
    while isinstance(value, dict):
        [(part, value)] = value.items()
        path.append(part)
    return tuple(path)
