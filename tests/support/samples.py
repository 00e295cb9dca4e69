"""Limits of searches that are long or random."""

import math
import os
import random
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Case = TypeVar("Case")


def seconds(default: float) -> float:
    """Return how long a search may take: SECONDS, or else the default."""
    return float(os.environ.get("SECONDS") or default)


def sampled(cases: Iterable[Case], seed: int) -> Iterator[Case]:
    """Yield the cases in an order that the seed shuffles until SECONDS have passed; without SECONDS all."""
    shuffled, until = list(cases), time.monotonic() + seconds(math.inf)
    random.Random(seed).shuffle(shuffled)
    for each in shuffled:
        yield each
        if time.monotonic() > until:
            return
