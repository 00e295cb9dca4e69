"""Who did what, and what was refused: D20, D45."""

import pytest

from tests.support.archives import make_zip, package_zip
from tests.support.contract import READS
from tests.support.hub import Client

WIDGET = "/api/packages/widget"


def done(client, action):
    return [each for each in client.events() if each.action == action and each.outcome == "done"]


def refused(client):
    return [each for each in client.events() if each.outcome == "refused"]


class TestDone:
    @pytest.mark.backend
    def test_every_change_is_told_once_newest_first(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "widget"}, 201)
        acme.publish("widget")
        acme.publish("widget")
        acme.publish("gadget")
        acme.send_json("PUT", f"{WIDGET}/aliases/stable", {"version": 1})
        acme.send_json("PUT", f"{WIDGET}/aliases/stable", {"version": 2})
        acme.delete(f"{WIDGET}/aliases/stable")
        acme.send_json("DELETE", f"{WIDGET}/versions/1", {"reason": "bad"})
        acme.send_json("DELETE", WIDGET, {"reason": "all"}, 204)
        log = acme.get(f"{WIDGET}/log").json
        assert [each["action"].removeprefix("packages:") for each in log] == [
            *("delete", "tombstone", "unalias", "alias", "alias", "publish", "publish", "register"),
        ]
        assert {each["details"]["package"] for each in log} == {"widget"}
        assert {each["outcome"] for each in log} == {"done"}
        assert log[0]["details"]["reason"] == "all"
        assert log[0]["details"]["versions"] == [2]
        assert log[1]["details"]["reason"] == "bad"
        assert (log[3]["details"]["version"], log[3]["details"]["previous"]) == (2, 1)

    def test_the_actor_is_the_key_and_its_user(self, hub, acme):
        user = f"{acme.slug}-ann"
        key = hub.issue_key(acme.slug, user=user)
        response = acme.upload(f"{WIDGET}/versions", package_zip("widget"))
        [event] = done(acme, "packages:publish")
        assert event.request_id == response.headers["X-Request-Id"]
        Client(hub, acme.slug, key).publish("widget")
        by_user, by_service = acme.get(f"{WIDGET}/log").json
        assert by_service["actor"] == f"key:{acme.key[:12]}"
        assert key[:12] in by_user["actor"]
        assert user in by_user["actor"]

    def test_reading_leaves_no_event(self, acme):
        acme.publish("widget")
        before = len(acme.events())
        for path in READS:
            acme.get(path.format("widget"), "*")
            acme.get(path.format("nothing"), "*")
        acme.get("/api/packages?limit=x", 400)
        assert len(acme.events()) == before

    def test_no_method_changes_or_removes_an_event(self, acme):
        acme.publish("widget")
        for path in ("/api/log", f"{WIDGET}/log"):
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                acme.call(method, path, status=405)


class TestRefused:
    @pytest.mark.backend
    def test_a_change_that_was_refused_is_told(self, acme):
        acme.publish("widget")
        for action, method, path, subject, body, status in (
            ("publish", "POST", "/api/packages", "/api/packages", b'{"name":"widget"}', 409),
            ("publish", "POST", "/api/packages", "/api/packages", b"{", 400),
            ("publish", "POST", f"{WIDGET}/versions", "package:widget", b"{}", 400),
            ("alias", "PUT", f"{WIDGET}/aliases/s", "package:widget", b'{"version":9}', 404),
            ("alias", "DELETE", f"{WIDGET}/aliases/latest", "package:widget", b"", 400),
            ("tombstone", "DELETE", f"{WIDGET}/versions/9", "package:widget", b"", 404),
            ("delete", "DELETE", "/api/packages/nothing", "package:nothing", b"", 404),
        ):
            response = acme.call(method, path, body, content_type="application/json", status=status)
            event = refused(acme)[0]
            assert (event.action, event.subject) == (f"packages:{action}", subject)
            assert (event.details["status"], event.details["path"]) == (status, path)
            assert event.actor == f"key:{acme.key[:12]}"
            assert event.request_id == response.headers["X-Request-Id"]
        assert len(refused(acme)) == 7

    def test_so_is_one_that_the_key_may_not_make(self, hub, acme):
        key = hub.issue_key(acme.slug, scopes=["read"])
        Client(hub, acme.slug, key).publish("widget", status=403)
        [event] = refused(acme)
        assert event.details["status"] == 403
        assert event.actor == f"key:{key[:12]}"

    @pytest.mark.backend
    def test_a_refused_publish_leaves_its_refusal_and_nothing_else(self, acme, beta):
        acme.publish("widget", make_zip({"x": ""}), 400)
        [event] = refused(acme)
        assert event.details["message"] == "invalid package - missing `package.toml` file"
        log = acme.get("/api/log")
        assert log.json[0]["outcome"] == "refused"
        assert acme.key.split("_", 2)[2] not in log.text
        assert done(acme, "packages:publish") == []
        assert refused(beta) == []

    def test_a_bad_key_whose_prefix_is_known_is_told(self, acme):
        Client(acme.hub, acme.slug, acme.key[:13] + "A" * 43).get("/api/packages", 401)
        [event] = refused(acme)
        assert (event.action, event.details["status"]) == ("authenticate", 401)
        assert acme.key[:12] in event.actor

    def test_a_stranger_cannot_write_in_anybody_s_log(self, hub, acme, beta):
        before = [len(each.events()) for each in (acme, beta)]
        for key in ("x", "kpf_00000000_" + "A" * 43):
            Client(hub, acme.slug, key).send_json("POST", "/api/packages", {"name": "x"}, 401)
        hub.app().post("/api/packages", status=401)
        assert [len(each.events()) for each in (acme, beta)] == before
