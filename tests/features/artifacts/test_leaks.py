"""What is looked for in every answer that a test gets: no raw token but the one that is given out."""

import pytest

from tests.support import leaks
from tests.support.hub import Client


@pytest.fixture(autouse=True)
def nothing_was_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this test leaves lying about is forgotten with it."""
    monkeypatch.setattr(leaks, "ISSUED", set())


def test_no_answer_may_show_one_but_that_to_who_registers_it(acme: Client):
    admin = acme.token(admin=True)
    given = admin.send_json("PUT", "/api/register/", {}, 201).text
    assert {given, admin.key} <= {each.decode() for each in leaks.ISSUED}
    shown = admin.send_json("PUT", "/register", {"label": "ci"}, 201).text
    acme.publish("widget", summary="nothing")
    with pytest.raises(AssertionError):
        acme.publish("widget", summary=f"use {shown}")


def test_who_may_not_prune_a_token_leaves_it_in_no_log(acme: Client):
    """What was refused is remembered with its address, and that has the token."""
    plain, other = acme.token(), acme.token()
    plain.delete(f"/prune/{other.key}", 403)
    plain.delete(f"/api/prune/{other.key}", 403)
    told = [each["details"]["path"] for each in acme.get("/api/log?limit=2").json]
    assert told == ["/api/prune/…", "/prune/…"]
