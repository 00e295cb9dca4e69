"""Two organisations do whatever comes to mind, and never meet; for longer in `tests/stress`."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.two_organisations import starter

# A run that fails is shown as it was: to make it small takes minutes.
few = settings(
    max_examples=3,
    stateful_step_count=30,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.long
@pytest.mark.backend
def test_each_sees_its_own_and_nothing_of_the_other(request: pytest.FixtureRequest, tmp_path: Path):
    place = [request.config.getoption(each) for each in ("--store", "--database")]
    run_state_machine_as_test(starter(request, tmp_path, *place), settings=few)
