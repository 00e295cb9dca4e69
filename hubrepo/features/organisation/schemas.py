"""What requests about keys say, made into values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hubrepo.kernel.base import Invalid, shown_list

# How long a key that was rotated stays good, unless another time is asked for.
OVERLAP_HOURS = 24
MOST_HOURS = 24 * 366


@dataclass(frozen=True)
class KeyWish:
    """A key that shall be issued."""

    label: str
    username: str | None
    scopes: tuple[str, ...]
    only: tuple[str, ...]
    expires_at: datetime | None


def key_wish(body: object) -> KeyWish:
    """Raises Invalid, naming the first bad field."""
    body = _fields(body, {"label", "user", "scopes", "only", "expires_at"})
    label, user, expires = body.get("label", "api key"), body.get("user"), body.get("expires_at")
    if not isinstance(label, str):
        raise Invalid("'label' must be text")
    if not isinstance(user, str | None):
        raise Invalid("'user' must be text")
    scopes, only = _words(body, "scopes"), _words(body, "only")
    return KeyWish(label, user or None, scopes, only, _instant(expires))


def overlap_wish(body: object) -> timedelta:
    """How long a key that is rotated stays good. Raises Invalid."""
    hours = _fields(body, {"overlap_hours"}).get("overlap_hours", OVERLAP_HOURS)
    if isinstance(hours, str) and re.fullmatch("[0-9]{1,6}", hours):
        hours = int(hours)
    if not isinstance(hours, int) or isinstance(hours, bool) or not 0 <= hours <= MOST_HOURS:
        raise Invalid(f"'overlap_hours' must be a number from 0 to {MOST_HOURS}")
    return timedelta(hours=hours)


def _fields(body: object, known: set[str]) -> dict[str, object]:
    if not isinstance(body, dict):
        raise Invalid("body must be a JSON object")
    if extra := sorted(set(body) - known):
        raise Invalid(f"unexpected fields: {shown_list(extra)}")
    return body


def _words(body: Mapping[str, object], field: str) -> tuple[str, ...]:
    value = body.get(field)
    if value is None:
        return ()
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(each, str) for each in words):
        raise Invalid(f"{field!r} must be a list of words")
    return tuple(words)


def _instant(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)  # type: ignore[arg-type]
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Invalid("'expires_at' must be a date such as 2027-01-31T12:00:00Z") from None
