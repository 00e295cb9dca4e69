"""Limits of searches that are long or random."""

import os
import random
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Case = TypeVar("Case")


def seconds(default: float | None = None) -> float | None:
    """Return how long a search may take: SECONDS, or else the default."""
    return float(os.environ["SECONDS"]) if os.environ.get("SECONDS") else default


def sampled(cases: Iterable[Case], seed: int) -> Iterator[Case]:
    """Yield the cases in an order that the seed shuffles until SECONDS have passed; without SECONDS all."""
    shuffled, limit = list(cases), seconds()
    random.Random(seed).shuffle(shuffled)
    until = None if limit is None else time.monotonic() + limit
    for each in shuffled:
        yield each
        if until is not None and time.monotonic() > until:
            return
