"""What a page's own rules say of a path: where it leads, and which headers its file has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Self
from urllib.parse import quote, unquote

import orjson

from hubrepo.kernel.base import has_many_marks, nfc

# Statuses with which the target is sent in place of what was asked for.
REWRITES = frozenset({200, 404})

SPLAT = "splat"
PLACEHOLDER = re.compile(r"(?<=[/=]):([A-Za-z]\w*)", re.ASCII)
_WILD = re.compile(r"(?<=/):([A-Za-z]\w*)|\*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Redirect:
    """`source` leads to `target`, both percent-encoded. A forced one goes before a file that is there."""

    source: str
    target: str
    status: int
    forced: bool


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """Files that `source` matches have these headers: names in lower case, and values."""

    source: str
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Lead:
    """Where a path leads: to a file of the page, to be sent in its place, or with 3xx to a URL.

    A URL that begins with a slash begins at the page.
    """

    target: str
    status: int

    @property
    def is_rewrite(self) -> bool:
        """Whether the target is a file of the page."""
        return self.status in REWRITES


@dataclass(frozen=True)
class Rules:
    """All rules of a publication, in the order of their lines."""

    redirects: Sequence[Redirect] = ()
    headers: Sequence[HeaderRule] = ()
    _plain: dict[str, list[int]] = field(init=False, default_factory=dict)
    _wild: list[tuple[int, "re.Pattern[str]"]] = field(init=False, default_factory=list)
    _headers: list[tuple["re.Pattern[str]", HeaderRule]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for number, rule in enumerate(self.redirects):
            if is_wild(rule.source):
                self._wild.append((number, pattern_of(rule.source)))
            else:
                self._plain.setdefault(key_of(decoded(rule.source)), []).append(number)
        self._headers.extend((pattern_of(rule.source), rule) for rule in self.headers)

    def dump(self) -> str:
        """As text, for `load`."""
        return orjson.dumps({"redirects": self.redirects, "headers": self.headers}).decode()

    @classmethod
    def load(cls, text: str) -> Self:
        """The rules that `dump` made a text of."""
        known = orjson.loads(text)
        return cls(
            [Redirect(**each) for each in known["redirects"]],
            [HeaderRule(**each) for each in known["headers"]],
        )

    def lead(self, path: str, *, forced: bool = False) -> Lead | None:
        """Where `path` leads by the first rule that speaks of it; `forced`: the first forced one.

        `path` is decoded, and begins with the slash of the page.
        """
        plain = (
            number for number in self._plain.get(key_of(path), ()) if self._counts(number, forced)
        )
        first = next(plain, len(self.redirects))
        values: Mapping[str, str] = {}
        for number, pattern in self._wild:
            if number > first:
                break
            if self._counts(number, forced) and (match := pattern.fullmatch(path)):
                first, values = number, match.groupdict("")
                break
        if first == len(self.redirects):
            return None
        rule = self.redirects[first]
        return Lead(_filled(rule, values), rule.status)

    def _counts(self, number: int, forced: bool) -> bool:
        return self.redirects[number].forced or not forced

    def headers_for(self, path: str) -> dict[str, str]:
        """The headers of the file at `path`; of two rules about one header the later counts."""
        found: dict[str, str] = {}
        for pattern, rule in self._headers:
            if pattern.fullmatch(path):
                found.update(rule.headers)
        return found


def key_of(path: str) -> str:
    """A path as rules compare it: with and without a trailing slash it is the same."""
    return path.removesuffix("/")


def decoded(text: str) -> str:
    """What a percent-encoded text means. One that no name is like stays as it is, to match none."""
    text = unquote(text)
    return text if has_many_marks(text) else nfc(text)


def names_in(source: str) -> list[str]:
    """The names that a source gives to segments, and to what `*` matches."""
    return [match[1] or SPLAT for match in _WILD.finditer(source)]


def is_wild(source: str) -> bool:
    """Whether a source speaks of more than one path."""
    return bool(_WILD.search(source))


def pattern_of(source: str) -> "re.Pattern[str]":
    """What matches the paths that `source` speaks of: `/a/*` also `/a`, the folder itself.

    A segment has one of `*` and a name at most, so there is little to try in vain.
    """
    stem = source.removesuffix("/*")
    pattern, at = "", 0
    for match in _WILD.finditer(stem):
        pattern += re.escape(decoded(stem[at : match.start()]))
        pattern += f"(?P<{match[1]}>[^/]+)" if match[1] else f"(?P<{SPLAT}>.*)"
        at = match.end()
    pattern += re.escape(decoded(key_of(stem[at:])))
    rest = f"(?:/(?P<{SPLAT}>.*))?" if stem != source else "/?"
    return re.compile(pattern + rest, re.DOTALL)


def _filled(rule: Redirect, values: Mapping[str, str]) -> str:
    """The target with its names filled in: decoded for a file, encoded for a URL."""
    literals, names = PLACEHOLDER.split(rule.target)[::2], PLACEHOLDER.findall(rule.target)
    found = [values[name] for name in names]
    if rule.status in REWRITES:
        literals = [decoded(text) for text in literals]
    else:
        found = [quote(text) for text in found]
    return "".join(text for pair in zip_longest(literals, found, fillvalue="") for text in pair)
