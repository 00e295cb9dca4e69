"""A program that knows the hub by its description alone, for as long as it takes to get bored."""

import pytest

from tests.support.explorer import explore
from tests.support.hub import Hub


@pytest.mark.torture
def test_no_request_that_it_can_think_of_is_answered_otherwise_than_described(hub: Hub, seed: int):
    report = explore(hub, examples=40, seed=seed, seconds=150)
    assert report.complaints == []
    assert not [status for each in report.answers.values() for status in each if status >= 500]
    assert report.requests > 1000
