"""What hunts share: a seed that is told, and the places where a hub keeps its rows and bytes."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.backends import Backend, DiskAndSQLite, S3AndPostgreSQL


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    """What all dice of a hunt are thrown by: TORTURE_SEED, or another one each time."""
    seed = int(os.environ.get("TORTURE_SEED", time.time_ns() % 1_000_000))
    with capsys.disabled():
        print(f"\nseed {seed}")
    return seed


@pytest.fixture(params=["disk+sqlite", "s3+postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Where hubs of a hunt keep rows and bytes: what one machine has, and what many share."""
    if request.param == "disk+sqlite":
        yield DiskAndSQLite()
        return
    yield S3AndPostgreSQL(request.getfixturevalue("s3"), request.getfixturevalue("postgresql"))
