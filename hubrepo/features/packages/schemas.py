"""What requests say, made into values. Each function raises Invalid with the text clients know."""

import re
from dataclasses import dataclass, replace
from typing import Any

from hubrepo.features.packages import errors
from hubrepo.features.packages.manifest import InvalidManifest, checked_author
from hubrepo.features.packages.models import LATEST, MAX_ALIAS, MAX_NAME
from hubrepo.features.packages.settings import PackageSettings
from hubrepo.kernel.base import Invalid, has_many_marks, nfc, shown_list

_NAME = re.compile(r"\w[\w.\-]*")
_ALIAS = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_FORK = re.compile(r"(.+)@([0-9]{1,9})")
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_KEBAB = (
    "alias name must be lowercase kebab-case (letters, digits, single dashes; cannot start with a "
    "digit or dash, cannot contain `--`, cannot end with a dash)"
)


@dataclass(frozen=True)
class PublishWish:
    """What comes with an upload. `parent_version` is the head that the publisher believes in."""

    summary: str
    description: str
    author: str | None
    parent_version: int | None
    forked_from: tuple[str, int] | None


def name_in_url(text: str) -> str | None:
    """The package name that a URL segment spells; None if it cannot be one."""
    if has_many_marks(text):
        return None
    name = nfc(text)
    return name if _NAME.fullmatch(name) else None


def checked_name(text: str) -> str:
    """A name under which a package may be made. Raises BadPackageName."""
    name = name_in_url(text)
    if name is None or len(name) > MAX_NAME:
        raise errors.BadPackageName
    return name


def registered_name(body: object) -> str:
    """The name in a body that registers a package."""
    if not isinstance(body, dict):
        raise Invalid("body must be a JSON object")
    if extra := sorted(set(body) - {"name"}):
        raise Invalid(f"unexpected fields: {shown_list(extra)}")
    name = body.get("name")
    if isinstance(name, str):
        name = name.strip()
    if not name:
        raise Invalid("missing 'name'")
    if not isinstance(name, str):
        raise Invalid("'name' must be text")
    return checked_name(name)


def publish_wish(fields: dict[str, str], limits: PackageSettings) -> PublishWish:
    """The text fields of a publish."""
    wish = PublishWish(
        summary=_text(fields, "summary", limits.max_summary),
        description=_text(fields, "description", limits.max_description),
        author=None,
        parent_version=_parent_version(fields.get("parent_version", "")),
        forked_from=_declared_fork(fields.get("forked_from", "")),
    )
    author = fields.get("author", "").strip()
    try:
        return replace(wish, author=checked_author(author) if author else None)
    except InvalidManifest as error:
        raise errors.InvalidPackage(error) from None


def _text(fields: dict[str, Any], name: str, limit: int) -> str:
    text = fields.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise Invalid(f"'{name}' must be text")
    if limit and len(text) > limit:
        setting = "max_description" if name == "description" else "max_summary"
        raise Invalid(f"'{name}' must not exceed {limit} characters (hubrepo.packages.{setting})")
    if _NOT_TEXT.search(text):
        raise Invalid(f"'{name}' has characters that are not text")
    return text


def _parent_version(text: str) -> int | None:
    if text == "":
        return None
    try:
        return _as_integer(text)
    except ValueError:
        raise Invalid("`parent_version` must be an integer") from None


def _as_integer(value: object) -> int:
    """As Python's `int()` reads it, less the digits of other scripts. Raises ValueError."""
    if isinstance(value, str) and not value.isascii():
        raise ValueError(value)
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, OverflowError):
        raise ValueError(value) from None


def _declared_fork(text: str) -> tuple[str, int] | None:
    if not text.strip():
        return None
    match = _FORK.fullmatch(text.strip())
    if match is None:
        raise errors.NotAFork("`forked_from` must be a package and a version, such as widget@3")
    return nfc(match[1]), int(match[2])


def checked_alias(name: str) -> str:
    """An alias that clients may set and remove."""
    if name == LATEST:
        raise errors.AliasReserved
    if not _ALIAS.fullmatch(name):
        raise errors.BadAliasName(_KEBAB)
    if len(name) > MAX_ALIAS:
        raise errors.BadAliasName(f"alias name must be ≤ {MAX_ALIAS} characters")
    return name


def alias_target(body: object) -> int:
    """The version that an alias shall point to."""
    if not isinstance(body, dict) or "version" not in body:
        raise Invalid("body must include 'version'")
    try:
        return _as_integer(body["version"])
    except ValueError:
        raise Invalid("'version' must be a positive integer") from None


def tombstone_reason(body: object, limits: PackageSettings) -> str:
    """Why something is removed; empty when the body does not say."""
    return _text(body, "reason", limits.max_summary) if isinstance(body, dict) else ""


def version_in_url(text: str) -> int | None:
    """The version number that a URL segment spells; None if there can be no such version."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) < 10 else None
