"""What requests about keys say, made into values."""

from dataclasses import dataclass
from datetime import UTC, datetime

from hubrepo.kernel.base import Invalid


@dataclass(frozen=True)
class KeyWish:
    """A key that shall be issued."""

    label: str
    username: str | None
    scopes: tuple[str, ...]
    expires_at: datetime | None


def key_wish(body: object) -> KeyWish:
    """Raises Invalid, naming the first bad field."""
    if not isinstance(body, dict):
        raise Invalid("body must be a JSON object")
    if extra := sorted(set(body) - {"label", "user", "scopes", "expires_at"}):
        raise Invalid(f"unexpected fields: {extra!r}")
    label, user, expires = body.get("label", "api key"), body.get("user"), body.get("expires_at")
    if not isinstance(label, str):
        raise Invalid("'label' must be text")
    if not isinstance(user, str | None):
        raise Invalid("'user' must be text")
    return KeyWish(label, user or None, _scopes(body.get("scopes") or []), _instant(expires))


def _scopes(value: object) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(each, str) for each in words):
        raise Invalid("'scopes' must be a list of words")
    return tuple(words)


def _instant(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)  # type: ignore[arg-type]
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Invalid("'expires_at' must be a date such as 2027-01-31T12:00:00Z") from None
