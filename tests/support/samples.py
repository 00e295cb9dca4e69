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


def sampled(cases: Iterable[Case], seed: int, share: float = 1) -> Iterator[Case]:
    """Yield all cases, or with SECONDS at least one and as many as a share of them has time for, shuffled."""
    limit = seconds(math.inf)
    shuffled, until = list(cases), time.monotonic() + limit * share
    if limit < math.inf:
        random.Random(seed).shuffle(shuffled)
    for each in shuffled:
        yield each
        if time.monotonic() > until:
            return
