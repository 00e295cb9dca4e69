"""The authenticator of `Authorization: Api-Key kpf_…`."""

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from hubrepo.kernel.accounts import SCOPES, KeyHolder, KeyRefused, touch_key, verify_key
from hubrepo.kernel.base import setting
from hubrepo.kernel.security.errors import KeyNotAccepted, TooManyFailures
from hubrepo.kernel.security.identity import Identity

SCHEME = "api-key"
TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class SecuritySettings:
    """How patient the hub is with bad credentials."""

    failures_per_minute: int = setting(
        300,
        minimum=0,
        help="Bad keys from one address within a minute before it gets 429 for them; 0: no limit.",
    )


class Throttle:
    """Counts bad credentials by address, in this process."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def fail(self, address: str) -> None:
        """Count one failure. Raises TooManyFailures."""
        if self._limit is not None and not self._limiter.hit(self._limit, address):
            raise TooManyFailures(headers={"Retry-After": "60"})


def by_api_key(request: Any) -> Identity | None:
    """Whom the key in the header stands for; None without one. Raises KeyNotAccepted, TooManyFailures."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    plain = credential.strip(" ")
    if scheme.lower() != SCHEME or not plain:
        return None
    holder = _look_up(request, plain)
    if isinstance(holder, KeyRefused):
        request.registry.throttle.fail(request.remote_addr or "")
        raise KeyNotAccepted(holder.organisation_id, holder.prefix)
    if holder.last_used_at is None or holder.last_used_at + TOUCH_EVERY < request.now:
        key_id, moment = holder.key_id, request.now
        request.registry.afterwards.write(
            f"that key {key_id} was used", lambda db: touch_key(db, key_id, moment)
        )
    return Identity(
        holder.organisation,
        f"key:kpf_{holder.prefix}",
        holder.username,
        tuple(holder.scopes.split()) or SCOPES,
    )


def _look_up(request: Any, plain: str) -> KeyHolder | KeyRefused:
    if request.is_safe:
        return verify_key(request.rows, plain, request.now)
    # Not in the request's own transaction: that would take the right to write before the body is read.
    with closing(request.registry.database.rows()) as rows:
        return verify_key(rows, plain, request.now)
