"""Two organisations do whatever comes to mind, on every store and database, and never meet."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.filled import EVERY_PLACE
from tests.support.two_organisations import starter

pytestmark = pytest.mark.long

# A run that fails is shown as it was: to make it small takes minutes. Who wants that adds `Phase.shrink`.
few = settings(
    max_examples=6,
    stateful_step_count=35,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("place", EVERY_PLACE)
def test_each_sees_its_own_and_nothing_of_the_other(
    request: pytest.FixtureRequest, tmp_path: Path, place: tuple[str, str]
):
    run_state_machine_as_test(starter(request, tmp_path, *place), settings=few)
