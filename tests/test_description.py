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


def test_an_answer_outside_the_description_is_complained_of(hub: Hub, monkeypatch):
    monkeypatch.setattr(presenters, "organisation_json", lambda _: {"name": 7})
    (complaint, *_) = explore(hub, examples=1, paths=ORGANISATION).complaints
    assert "response_schema_conformance" in complaint


def test_an_error_of_the_server_is_complained_of(hub: Hub, monkeypatch):
    monkeypatch.setattr(presenters, "organisation_json", lambda _: 1 / 0)
    complaints = explore(hub, examples=1, paths=ORGANISATION).complaints
    assert any("not_a_server_error" in each for each in complaints)


def test_every_answer_that_a_test_gets_is_held_against_the_description(acme: Client, monkeypatch):
    told = presenters.organisation_json

    def answered_with(answer: object) -> None:
        monkeypatch.setattr(presenters, "organisation_json", answer)

    acme.get("/api/organisation")
    answered_with(lambda row: {**told(row), "more": 1})
    with pytest.raises(AssertionError, match="'more' was unexpected"):
        acme.get("/api/organisation")
    answered_with(lambda row: {**told(row), "created_at": "yesterday"})
    with pytest.raises(AssertionError, match='is not a "date-time"'):
        acme.get("/api/organisation")
    answered_with(lambda row: {name: value for name, value in told(row).items() if name != "slug"})
    with pytest.raises(AssertionError, match='"slug" is a required property'):
        acme.get("/api/organisation")

    class Teapot(HubError):
        status = 418

    def brew(_row: object) -> object:
        raise Teapot

    answered_with(brew)
    with pytest.raises(AssertionError, match="GET /api/organisation: 418 is not described"):
        acme.get("/api/organisation", status=418)
