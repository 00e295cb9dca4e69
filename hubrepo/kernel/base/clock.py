"""Time: one aware UTC instant per request, passed on as an argument."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def iso_seconds(instant: datetime) -> str:
    """`2026-11-21T09:48:52Z`: UTC, fractions of a second cut off."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def iso_micros(instant: datetime) -> str:
    """`2026-11-21T09:48:52.068555Z`: UTC, six decimals, all left out when exactly zero."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
