"""What hunts share: the places where a hub keeps its rows and bytes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stress.backends import Backend, DiskAndSQLite, S3AndPostgreSQL


@pytest.fixture(params=["disk+sqlite", "s3+postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Where hubs of a hunt keep rows and bytes: what one machine has, and what many share."""
    if request.param == "disk+sqlite":
        yield DiskAndSQLite()
        return
    yield S3AndPostgreSQL(request.getfixturevalue("s3"), request.getfixturevalue("postgresql"))
