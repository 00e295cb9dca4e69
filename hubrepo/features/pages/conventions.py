"""`_redirects` and `_headers`: two files that static hosts agree on, made into rules.

They lie at the root of a page and are not served. What is not understood is refused with its line: a
rule that was silently passed over would be found out by visitors.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from hubrepo.features.pages.rules import (
    PLACEHOLDER,
    REWRITES,
    HeaderRule,
    Redirect,
    Rules,
    decoded,
    is_wild,
    names_in,
)
from hubrepo.kernel.base import is_one_line

REDIRECTS, HEADERS = "_redirects", "_headers"

MAX_SIZE = 64 * 1024
MAX_LINE = 1000
MAX_RULES, MAX_WILD = 1000, 100
# In one path: each takes its time to be found not to match.
MAX_NAMES = 8

STATUSES = REWRITES | {301, 302, 303, 307, 308}
DEFAULT_STATUS = 301

# What a file may tell of itself, and of nothing else. Other headers bind the whole host
# (Clear-Site-Data, Strict-Transport-Security, NEL), people (Set-Cookie) or proxies
# (X-Accel-Redirect), or undo the sandbox that pages are served in.
ALLOWED = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-language",
        "content-type",
        "cross-origin-embedder-policy",
        "cross-origin-resource-policy",
        "expires",
        "link",
        "permissions-policy",
        "pragma",
        "referrer-policy",
        "refresh",
        "sourcemap",
        "timing-allow-origin",
    }
)
# Your own may begin with X-, unless somebody on the way listens to it.
RESERVED = re.compile(
    r"x-(?:accel|appengine|content|envoy|forwarded|host|http|lighttpd|litespeed|method|offload|original"
    r"|permitted|proxy|real|reproxy|request|rewrite|send|sendfile|url|varnish|webkit)\d?(?:-.*)?"
)

# Sites bring these along from elsewhere; here they are so in any case.
ALWAYS_SO = {("access-control-allow-origin", "*"), ("x-content-type-options", "nosniff")}

_BOTH_IN_SEGMENT = re.compile(r"/:[A-Za-z][^/]*\*")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]+")


class BadRule(ValueError):
    """A file that cannot be followed; its text names the file, the line and the reason."""


def read_rules(redirects: bytes | None, headers: bytes | None) -> Rules | None:
    """The rules in the two files, None where there are none. Raises BadRule."""
    rules = Rules(
        list(_redirects(_Lines(REDIRECTS, redirects or b""))),
        list(_headers(_Lines(HEADERS, headers or b""))),
    )
    return rules if rules.redirects or rules.headers else None


class _Lines:
    """The lines of a file that say something, and which one was read last."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._number = name, 0
        if len(data) > MAX_SIZE:
            raise BadRule(f"`{name}` must not exceed {MAX_SIZE // 1024} KiB")
        self._lines = [line.decode("utf-8", "replace") for line in data.split(b"\n")]

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self._lines, 1):
            self._number = number
            text = line.strip().removeprefix("\ufeff")
            if "\ufffd" in text or not text.replace("\t", " ").isprintable():
                raise self.bad("has characters that are no text")
            if not text or text.startswith("#"):
                continue
            if len(text) > MAX_LINE:
                raise self.bad(f"is longer than {MAX_LINE} characters")
            yield text

    def bad(self, reason: str) -> BadRule:
        """What is wrong with the line that was read last."""
        return BadRule(f"`{self._name}` line {self._number} {reason}")


def _redirects(lines: _Lines) -> Iterator[Redirect]:
    rules = wild = 0
    for line in lines:
        words = line.split()
        # A word that begins with # begins a remark.
        words = words[: next((at for at, word in enumerate(words) if word.startswith("#")), None)]
        rule = _redirect(lines, words)
        rules, wild = rules + 1, wild + is_wild(rule.source)
        if rules > MAX_RULES or wild > MAX_WILD:
            raise lines.bad(
                f"is one rule too many: {MAX_RULES}, and {MAX_WILD} with * or :names, may be"
            )
        yield rule


def _redirect(lines: _Lines, words: list[str]) -> Redirect:
    if len(words) < 2:
        raise lines.bad("must name a path and where it leads, such as /old /new 301")
    if len(words) > 3 or "=" in words[1].partition("/")[0]:
        raise lines.bad(
            "has a condition, which is not supported: a path, a target, and a status are"
        )
    status, forced = _status(lines, words[2] if len(words) == 3 else str(DEFAULT_STATUS))
    source = _source(lines, words[0])
    return Redirect(source, _target(lines, words[1], source, status), status, forced)


def _status(lines: _Lines, word: str) -> tuple[int, bool]:
    number = word.removesuffix("!")
    if number not in map(str, STATUSES):
        known = ", ".join(map(str, sorted(STATUSES)))
        raise lines.bad(f"has the status {word!r}, which is none of {known}")
    return int(number), number != word


def _source(lines: _Lines, word: str) -> str:
    path = decoded(word)
    if not path.startswith("/") or path.startswith("//") or not is_one_line(path):
        raise lines.bad(f"speaks of {word!r}, which is not a path within the page, such as /old")
    if "?" in word or "#" in word:
        raise lines.bad(f"speaks of {word!r}: a path has no query and no fragment here")
    names = names_in(word)
    if len(names) != len(set(names)):
        raise lines.bad("has more than one *, or a name twice")
    if len(names) > MAX_NAMES:
        raise lines.bad(f"has more than {MAX_NAMES} names")
    if _BOTH_IN_SEGMENT.search(word):
        raise lines.bad("has a name and a * in one segment")
    return word


def _target(lines: _Lines, word: str, source: str, status: int) -> str:
    elsewhere = word.startswith(("http://", "https://"))
    if not elsewhere and (not word.startswith("/") or word.startswith("//")):
        raise lines.bad(f"leads to {word!r}, which is neither a path within the page nor a URL")
    if status in REWRITES and (
        elsewhere or "?" in word or "#" in word or not is_one_line(decoded(word))
    ):
        raise lines.bad(f"leads to {word!r}, but with {status} a file of the page must be sent")
    known = names_in(source)
    if unknown := [name for name in PLACEHOLDER.findall(word) if name not in known]:
        raise lines.bad(f"leads to :{unknown[0]}, which its path does not name")
    if "*" in word:
        raise lines.bad(f"leads to {word!r}: what * matched is :splat there")
    if elsewhere:
        _check_host(lines, word)
    return quote(word, safe="/:?#[]@!$&'()*+,;=%~")


def _check_host(lines: _Lines, url: str) -> None:
    try:
        parts: Any = urlsplit(url)
        good = bool(parts.hostname) and (parts.port or 1) and parts.netloc.isascii()
    except ValueError:
        good = False
    if not good:
        raise lines.bad(f"leads to {url!r}, which is not a URL")


def _headers(lines: _Lines) -> Iterator[HeaderRule]:
    rules: list[tuple[str, dict[str, str]]] = []
    for line in lines:
        if line.startswith("/"):
            rules.append((_source(lines, line), {}))
        elif not rules:
            raise lines.bad("has a header before any path, or a path that does not begin with /")
        else:
            name, value = _header(lines, line)
            found = rules[-1][1]
            if (name, value) not in ALWAYS_SO:
                found[name] = f"{found[name]}, {value}" if name in found else value
        if len(rules) > MAX_WILD:
            raise lines.bad(f"is one path too many: {MAX_WILD} may be")
    for source, headers in rules:
        yield HeaderRule(source, list(headers.items()))


def _header(lines: _Lines, line: str) -> tuple[str, str]:
    written, colon, value = (part.strip() for part in line.partition(":"))
    name = written.lower()
    if not colon or not _NAME.fullmatch(written) or not _VALUE.fullmatch(value):
        raise lines.bad("must be a header, such as Cache-Control: max-age=60")
    if (name, value) in ALWAYS_SO:
        return name, value
    if name not in ALLOWED and (not name.startswith("x-") or RESERVED.fullmatch(name)):
        raise lines.bad(f"sets {written}, which a page may not")
    if name == "content-type" and value.lower().startswith(("multipart/", "message/")):
        raise lines.bad("sets a Content-Type whose parts have headers of their own")
    return name, value
