"""What a proxy is told that asks whether a body is worth reading."""

import json

from tests.support.hub import Client, Hub

ADMISSION = "/_ah/admission"
UNKNOWN = "kpf_00000000_" + "A" * 43


def test_a_good_key_is_let_in_and_nothing_is_told(acme: Client):
    answer = acme.get(ADMISSION)
    assert answer.json == {"admission": "granted"}
    assert "no-store" in answer.headers["Cache-Control"]
    assert "X-Hubrepo-Refusal" not in answer.headers


def test_a_refusal_is_what_the_request_itself_would_be_answered(hub: Hub, acme: Client):
    for key in ("", "kpf_nonsense", UNKNOWN):
        stranger = Client(hub, acme.slug, key)
        asked, usual = stranger.get(ADMISSION, 401), stranger.get("/api/packages", 401)
        assert asked.body == usual.body
        assert asked.headers["WWW-Authenticate"] == usual.headers["WWW-Authenticate"]
        assert asked.headers["X-Hubrepo-Refusal"] == usual.text


def test_who_tried_too_often_is_told_in_a_way_that_nginx_passes_on(tmp_path):
    hub = Hub.below(tmp_path, security__failures_per_minute="2")
    try:
        stranger = Client(hub, "nobody", UNKNOWN)
        for _ in range(2):
            stranger.get(ADMISSION, 401)
        answer = stranger.get(ADMISSION, 403)
        assert answer.headers["Retry-After"]
        told = json.loads(answer.headers["X-Hubrepo-Refusal"])
        assert told == stranger.get("/api/packages", 429).json
        # Good keys are still good.
        hub.organisation().get(ADMISSION)
    finally:
        hub.registry.database.close()


def test_a_revoked_key_is_not_let_in(hub: Hub, acme: Client):
    acme.get(ADMISSION)
    with hub.registry.database.write() as db:
        hub.accounts(db).revoke_key(acme.key.rpartition("_")[0])
    acme.get(ADMISSION, 401)
