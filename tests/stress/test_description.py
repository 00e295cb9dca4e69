"""A program that knows the hub by its description alone, for as long as it takes to get bored."""

import pytest

from tests.support.explorer import explore
from tests.support.hub import Hub
from tests.support.samples import seconds

# One of the processes asks, not each of them.
pytestmark = [pytest.mark.stress, pytest.mark.xdist_group("description")]


def test_no_request_that_it_can_think_of_is_answered_otherwise_than_described(hub: Hub, seed: int):
    report = explore(hub, examples=40, seed=seed, seconds=seconds(60))
    assert report.complaints == []
    assert not [status for each in report.answers.values() for status in each if status >= 500]


def test_every_operation_is_reached_and_successful(hub: Hub):
    """The same few requests each time, whatever SECONDS says."""
    report = explore(hub, examples=1)
    assert report.complaints == []
    told = {
        f"{method.upper()} {path}"
        for path, methods in hub.registry.document.content["paths"].items()
        for method in methods
    }
    successful = {
        operation
        for operation, answers in report.answers.items()
        if any(200 <= status < 300 or status == 303 for status in answers)
    }
    assert told - successful == set()
