"""The hub does what its description says, asked by a program that knows nothing else of it.

That is asked in `make stress`. Here the complaints that it can make are tried on hubs that were broken on
purpose.
"""

import pytest

from hubrepo.features.organisation import presenters
from hubrepo.kernel.base import HubError
from tests.support.explorer import explore
from tests.support.hub import Client, Hub

ORGANISATION = "^/api/organisation$"


def test_an_answer_outside_the_description_and_an_error_of_the_server_are_complained_of(
    hub: Hub, monkeypatch
):
    for broken, complaint in (
        (lambda _: {"name": 7}, "response_schema_conformance"),
        (lambda _: 1 / 0, "not_a_server_error"),
    ):
        monkeypatch.setattr(presenters, "organisation_json", broken)
        complaints = explore(hub, examples=1, paths=ORGANISATION).complaints
        assert any(complaint in each for each in complaints)


def test_every_answer_that_a_test_gets_is_held_against_the_description(acme: Client, monkeypatch):
    told = presenters.organisation_json
    acme.get("/api/organisation")
    for change, complaint in (
        ({"more": 1}, "'more' was unexpected"),
        ({"created_at": "yesterday"}, 'is not a "date-time"'),
    ):
        monkeypatch.setattr(
            presenters, "organisation_json", lambda row, new=change: told(row) | new
        )
        with pytest.raises(AssertionError, match=complaint):
            acme.get("/api/organisation")
    monkeypatch.setattr(presenters, "organisation_json", lambda _: {})
    with pytest.raises(AssertionError, match="is a required property"):
        acme.get("/api/organisation")

    class Teapot(HubError):
        status = 418

    def brew(_row: object) -> object:
        raise Teapot

    monkeypatch.setattr(presenters, "organisation_json", brew)
    with pytest.raises(AssertionError, match="GET /api/organisation: 418 is not described"):
        acme.get("/api/organisation", status=418)
