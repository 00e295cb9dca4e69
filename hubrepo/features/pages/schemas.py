"""What requests say, made into values."""

import re
from dataclasses import dataclass

from hubrepo.features.pages import errors
from hubrepo.features.pages.models import MAX_AUTHOR, MAX_PATH, MAX_SEGMENTS
from hubrepo.kernel.base import Invalid, is_one_line, shown

MISSING_PATH = "pages.toml missing [publish].path"
MAX_REASON = 500

_SEGMENT = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True)
class PublishWish:
    """What comes with an upload: where to publish it if it does not say, and whose it is."""

    path: str | None
    author: str | None


def publish_wish(fields: dict[str, str]) -> PublishWish:
    """The text fields of a publish. Raises BadAuthor."""
    author = fields.get("author", "").strip()
    if len(author) > MAX_AUTHOR or not is_one_line(author):
        raise errors.BadAuthor(f"author must be one line of at most {MAX_AUTHOR} characters")
    path = fields.get("path", "")
    return PublishWish(path if path.strip() else None, author or None)


def manifest_path(value: object) -> str:
    """The path that a manifest, or the form in its place, wants. Raises BadPath."""
    given = value if isinstance(value, str) else ""
    return _checked(given, given.strip())


def path_in_url(text: str) -> str:
    """The path that a URL names. Raises BadPath."""
    return _checked(text, text if text.strip() else "")


def is_path(text: str) -> bool:
    """Whether something may be published at `text`."""
    try:
        return bool(path_in_url(text))
    except errors.BadPath:
        return False


def prefixes(path: str) -> list[str]:
    """The paths that a page may be at of which `path` is in it: the longest first."""
    segments = path.split("/", MAX_SEGMENTS)[:MAX_SEGMENTS]
    return ["/".join(segments[:length]) for length in range(len(segments), 0, -1)]


def _checked(given: str, path: str) -> str:
    segments = path.split("/")
    if not path:
        raise errors.BadPath(MISSING_PATH)
    if {"", ".", ".."} & set(segments) or path.startswith("."):
        raise errors.BadPath(f"invalid publish path: {shown(given)}")
    if len(path) > MAX_PATH:
        raise errors.BadPath("publish path too long")
    if len(segments) > MAX_SEGMENTS:
        raise errors.BadPath("publish path too deep")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            raise errors.BadPath(f"invalid path segment: {shown(segment)}")
    return path


def publication_wish(body: object) -> int:
    """The number of the publication that shall be live. Raises Invalid."""
    if not isinstance(body, dict) or "publication" not in body:
        raise Invalid("body must include 'publication'")
    value = body["publication"]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if type(value) is not int or not 0 < value < 10**9:
        raise Invalid("'publication' must be a positive integer")
    return value


def unpublish_reason(body: object) -> str:
    """Why a page is taken down; empty where the body does not say."""
    reason = body.get("reason") if isinstance(body, dict) else None
    return reason[:MAX_REASON] if isinstance(reason, str) and "\0" not in reason else ""
