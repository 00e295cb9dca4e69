"""Two organisations do whatever comes to mind for longer, other things each time, and never meet."""

import itertools
import time
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.samples import seconds
from tests.support.two_organisations import starter

pytestmark = pytest.mark.stress

one = settings(
    max_examples=1,
    stateful_step_count=40,
    derandomize=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    "place", [("disk", "sqlite"), ("memory", "postgresql"), ("s3", "postgresql")]
)
def test_each_sees_its_own_and_nothing_of_the_other(
    request: pytest.FixtureRequest, tmp_path: Path, seed: int, place: tuple[str, str]
) -> None:
    start, until = starter(request, tmp_path, *place), time.monotonic() + seconds(60)
    for number in itertools.count(seed):
        run_state_machine_as_test(hypothesis.seed(number)(start), settings=one)
        if time.monotonic() > until:
            break
