"""Two organisations do whatever comes to mind for longer, other things each time, and never meet."""

from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.two_organisations import starter

pytestmark = pytest.mark.stress

many = settings(
    max_examples=12,
    stateful_step_count=40,
    derandomize=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(("store", "database"), [("disk", "sqlite"), ("s3", "postgresql")])
def test_each_sees_its_own_and_nothing_of_the_other(
    request: pytest.FixtureRequest, tmp_path: Path, seed: int, store: str, database: str
) -> None:
    start = hypothesis.seed(seed)(starter(request, tmp_path, store, database))
    run_state_machine_as_test(start, settings=many)
