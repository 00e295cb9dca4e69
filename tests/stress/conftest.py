"""The limits of the long searches, and the places where their hubs keep rows and bytes."""

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stress.backends import BucketAndDatabase, FolderAndFile, Place
from tests.support.samples import sampled

BACKENDS = ("disk+sqlite", "s3+postgresql")


@dataclass(frozen=True)
class Budget:
    """Limits of one search: SECONDS and KILLS of the environment, and the seed of the test.

    Without SECONDS an exhaustive search visits everything, and a random one lasts a minute.
    """

    seed: int = 0
    seconds: float | None = None
    kills: int = 200

    @classmethod
    def from_environment(cls, seed: int = 0) -> "Budget":
        seconds = os.environ.get("SECONDS")
        return cls(seed, float(seconds) if seconds else None, int(os.environ.get("KILLS", "200")))

    @property
    def is_sample(self) -> bool:
        return self.seconds is not None

    def is_over(self, share: float = 1) -> Callable[[], bool]:
        """Start the clock of a random search, and return a function that tells if its time is over."""
        end = time.monotonic() + (self.seconds or 60) * share
        return lambda: time.monotonic() > end

    def points(self, points: Sequence, share: float = 1) -> Iterator:
        """Yield all points, or in a sample as many as there is time for (see `sampled`)."""
        return sampled(points, self.seed, share)


_searches = itertools.count(int(os.environ.get("SEED", "0")) + 1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each search on both pairs of backends; in a sample they take turns."""
    if "backend" in metafunc.fixturenames:
        is_sample = Budget.from_environment().is_sample
        pairs = BACKENDS[next(_searches) % 2 :][:1] if is_sample else BACKENDS
        metafunc.parametrize("backend", pairs, indirect=True)


@pytest.fixture
def budget(seed: int) -> Budget:
    return Budget.from_environment(seed)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Callable[[Path], Place]:
    """Make a fresh place: disk and SQLite below a folder, or a bucket of S3 and a PostgreSQL database."""
    if request.param == BACKENDS[0]:
        return FolderAndFile
    s3, server = request.getfixturevalue("s3"), request.getfixturevalue("postgresql")
    return lambda _: BucketAndDatabase(s3, server)
