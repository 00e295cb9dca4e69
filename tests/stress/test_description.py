"""A program that knows the hub by its description alone, for as long as it takes to get bored."""

import pytest

from tests.support.explorer import Report, explore
from tests.support.hub import Hub

# One of the processes asks, not each of them.
pytestmark = [pytest.mark.stress, pytest.mark.xdist_group("description")]

SECONDS = 60


@pytest.fixture(scope="module")
def report(hub: Hub) -> Report:
    """Of the same requests each time: of each operation, and of whatever may come with it."""
    return explore(hub, examples=2)


def test_no_answer_is_outside_the_description_and_none_is_an_error_of_the_server(report: Report):
    assert report.complaints == []
    assert not [status for each in report.answers.values() for status in each if status >= 500]


def test_every_operation_was_reached_and_was_successful(hub: Hub, report: Report):
    told = {
        f"{method.upper()} {path}"
        for path, methods in hub.registry.document.content["paths"].items()
        for method in methods
    }
    successful = {
        operation
        for operation, answers in report.answers.items()
        if any(200 <= status < 300 for status in answers)
    }
    assert told - successful == set()
    assert report.requests > 500


def test_no_request_that_it_can_think_of_is_answered_otherwise_than_described(hub: Hub, seed: int):
    report = explore(hub, examples=40, seed=seed, seconds=SECONDS)
    assert report.complaints == []
    assert not [status for each in report.answers.values() for status in each if status >= 500]
    assert report.requests > 500
