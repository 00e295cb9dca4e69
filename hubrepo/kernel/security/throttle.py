"""Bad credentials are counted, by address and by the key they pretend to be, and soon answered with 429.

Each process counts what comes to it, and writes it down for the others a moment later; so no answer waits
for the right to write, and many processes together let through little more than one would.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from time import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, Storage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from hubrepo.kernel.base import now, setting
from hubrepo.kernel.db import Afterwards, Database, insert_if_absent
from hubrepo.kernel.security.errors import TooManyFailures
from hubrepo.kernel.security.models import FailureCount

LONGEST_ADDRESS = 64


@dataclass(frozen=True)
class ThrottleSettings:
    """How patient the hub is with bad credentials."""

    failures_per_minute: int = setting(
        300,
        minimum=0,
        help="Bad keys and tokens from one address within a minute before it gets 429 for them; 0: no limit. "
        "An address of IPv6 is its network of 64 bits.",
    )
    key_failures_per_minute: int = setting(
        60,
        minimum=0,
        help="Wrong secrets for the prefix of one key within a minute before they get 429, wherever "
        "they come from; 0: no limit. The key itself stays good.",
    )


class Throttle:
    """Counts bad credentials, and says when it is enough."""

    def __init__(self, settings: ThrottleSettings, database: Database, later: Afterwards) -> None:
        self._by_address = _per_minute(settings.failures_per_minute)
        self._by_prefix = _per_minute(settings.key_failures_per_minute)
        self._here = FixedWindowRateLimiter(MemoryStorage())
        self._everywhere = FixedWindowRateLimiter(DatabaseStorage(database))
        self._later = later

    def fail(self, address: str, prefix: str | None) -> None:
        """Count one failure. Raises TooManyFailures."""
        for limit, kind, who in self._counters(address, prefix):
            if not self._here.hit(limit, kind, who):
                raise _too_many(self._here, limit, kind, who)
            if not self._everywhere.test(limit, kind, who):
                raise _too_many(self._everywhere, limit, kind, who)
            count = partial(self._everywhere.hit, limit, kind, who)
            self._later.call("a failure", count, dispensable=True)

    def _counters(
        self, address: str, prefix: str | None
    ) -> Iterator[tuple[RateLimitItemPerMinute, str, str]]:
        if self._by_address is not None:
            yield self._by_address, "address", network_of(address)
        if self._by_prefix is not None and prefix is not None:
            yield self._by_prefix, "key", prefix


def _per_minute(failures: int) -> RateLimitItemPerMinute | None:
    return RateLimitItemPerMinute(failures) if failures else None


def _too_many(
    limiter: FixedWindowRateLimiter, limit: RateLimitItemPerMinute, kind: str, who: str
) -> TooManyFailures:
    wait = ceil(limiter.get_window_stats(limit, kind, who).reset_time - time())
    return TooManyFailures(headers={"Retry-After": str(min(max(wait, 1), limit.get_expiry()))})


def network_of(address: str) -> str:
    """Whom an address stands for. Whoever has one of IPv6 has 2**64 of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:LONGEST_ADDRESS]
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found)


class DatabaseStorage(Storage):
    """The counters of `limits`, in the database that all processes of a hub share."""

    STORAGE_SCHEME = None

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong."""
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` more in a window of `expiry` seconds from the first; how many there are now."""
        moment = now()
        with self._database.write() as db:
            # So there are never more rows than failures of the last window. Two that do this at one moment
            # must not wait for one another.
            over = select(FailureCount.counter).where(FailureCount.until <= moment)
            over = over.with_for_update(skip_locked=True)
            db.execute(delete(FailureCount).where(FailureCount.counter.in_(over)))
            until = moment + timedelta(seconds=expiry)
            insert_if_absent(db, FailureCount, counter=key, failures=0, until=until)
            count = update(FailureCount).where(FailureCount.counter == key)
            count = count.values(failures=FailureCount.failures + amount)
            return db.scalar(count.returning(FailureCount.failures)) or amount

    def get(self, key: str) -> int:
        """How many there are in the window."""
        query = select(FailureCount.failures)
        with self._database.read() as db:
            return (
                db.scalar(query.where(FailureCount.counter == key, FailureCount.until > now())) or 0
            )

    def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970."""
        query = select(FailureCount.until).where(FailureCount.counter == key)
        with self._database.read() as db:
            until = db.scalar(query)
        return (until or now()).timestamp()

    def check(self) -> bool:
        """Whether the counters can be reached."""
        try:
            self._database.ping()
        except SQLAlchemyError:
            return False
        return True

    def reset(self) -> int | None:
        """Forget all counters; how many is not told."""
        with self._database.write() as db:
            db.execute(delete(FailureCount))
        return None

    def clear(self, key: str) -> None:
        """Forget a counter."""
        with self._database.write() as db:
            db.execute(delete(FailureCount).where(FailureCount.counter == key))
