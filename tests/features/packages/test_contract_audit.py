"""Who did what, and what was refused: D20, D45. The bodies of untrusted text that go with it."""

import pytest

from tests.support.archives import make_zip, manifest, package_zip
from tests.support.contract import READS
from tests.support.hub import Client

WIDGET = "/api/packages/widget"


def done(client, action):
    return [each for each in client.events() if each.action == action and each.outcome == "done"]


def refused(client):
    return [each for each in client.events() if each.outcome == "refused"]


class TestDone:
    def test_every_change_is_told_once_newest_first(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "widget"}, 201)
        acme.publish("widget")
        acme.publish("widget")
        acme.send_json("PUT", f"{WIDGET}/aliases/stable", {"version": 1})
        acme.send_json("PUT", f"{WIDGET}/aliases/stable", {"version": 2})
        acme.delete(f"{WIDGET}/aliases/stable")
        acme.send_json("DELETE", f"{WIDGET}/versions/1", {"reason": "bad"})
        acme.send_json("DELETE", WIDGET, {"reason": "all"}, 204)
        log = acme.get(f"{WIDGET}/log").json
        assert [each["action"] for each in log] == [
            "packages:delete",
            "packages:tombstone",
            "packages:unalias",
            "packages:alias",
            "packages:alias",
            "packages:publish",
            "packages:publish",
            "packages:register",
        ]
        assert all(each["outcome"] == "done" for each in log)
        assert log[0]["details"]["reason"] == "all"
        assert log[0]["details"]["versions"] == [2]
        assert log[1]["details"]["reason"] == "bad"
        assert (log[3]["details"]["version"], log[3]["details"]["previous"]) == (2, 1)

    def test_the_actor_is_the_key_and_its_user(self, hub, acme):
        user = f"{acme.slug}-ann"
        key = hub.issue_key(acme.slug, user=user)
        acme.publish("widget")
        Client(hub, acme.slug, key).publish("widget")
        by_user, by_service = acme.get(f"{WIDGET}/log").json
        assert by_service["actor"] == f"key:{acme.key[:12]}"
        assert key[:12] in by_user["actor"]
        assert user in by_user["actor"]

    def test_no_event_holds_a_secret(self, acme):
        acme.publish("widget")
        acme.publish("widget", b"", 400)
        secret = acme.key.split("_", 2)[2]
        assert secret not in acme.get("/api/log").text

    def test_a_log_is_of_its_package_alone(self, acme):
        acme.publish("widget")
        acme.publish("gadget")
        [event] = acme.get(f"{WIDGET}/log").json
        assert event["details"]["package"] == "widget"

    def test_an_event_and_its_answer_bear_the_same_id(self, acme):
        archive = package_zip("widget")
        response = acme.upload(f"{WIDGET}/versions", archive)
        [event] = done(acme, "packages:publish")
        assert event.request_id == response.headers["X-Request-Id"]

    def test_reading_leaves_no_event(self, acme):
        acme.publish("widget")
        before = len(acme.events())
        for path in READS:
            acme.get(path.format("widget"), "*")
            acme.get(path.format("nothing"), "*")
        assert len(acme.events()) == before

    def test_no_method_changes_or_removes_an_event(self, acme):
        acme.publish("widget")
        for path in ("/api/log", f"{WIDGET}/log"):
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                acme.call(method, path, status=405)


class TestRefused:
    @pytest.mark.parametrize(
        ("action", "method", "path", "body", "status"),
        [
            ("packages:publish", "POST", "/api/packages", b'{"name":"widget"}', 409),
            ("packages:publish", "POST", "/api/packages", b"{", 400),
            ("packages:publish", "POST", f"{WIDGET}/versions", b"{}", 400),
            ("packages:alias", "PUT", f"{WIDGET}/aliases/stable", b'{"version":9}', 404),
            ("packages:alias", "DELETE", f"{WIDGET}/aliases/latest", b"", 400),
            ("packages:tombstone", "DELETE", f"{WIDGET}/versions/9", b"", 404),
            ("packages:delete", "DELETE", "/api/packages/nothing", b"", 404),
        ],
    )
    def test_a_change_that_was_refused_is_told(self, acme, action, method, path, body, status):
        acme.publish("widget")
        response = acme.call(method, path, body, content_type="application/json", status=status)
        [event] = refused(acme)
        assert (event.action, event.details["status"]) == (action, status)
        assert event.subject == (
            path if path == "/api/packages" else f"package:{path.split('/')[3]}"
        )
        assert event.details["path"] == path
        assert event.actor == f"key:{acme.key[:12]}"
        assert event.request_id == response.headers["X-Request-Id"]

    def test_so_is_one_that_the_key_may_not_make(self, hub, acme):
        key = hub.issue_key(acme.slug, scopes=["read"])
        Client(hub, acme.slug, key).publish("widget", status=403)
        [event] = refused(acme)
        assert event.details["status"] == 403
        assert event.actor == f"key:{key[:12]}"

    def test_a_refused_publish_leaves_its_refusal_and_nothing_else(self, acme):
        acme.publish("widget", make_zip({"x": ""}), 400)
        [event] = refused(acme)
        assert event.details["message"] == "invalid package - missing `package.toml` file"
        assert done(acme, "packages:publish") == []

    def test_a_reading_that_was_refused_is_not(self, acme):
        acme.get("/api/packages/nothing", 404)
        acme.get("/api/packages?limit=x", 400)
        assert refused(acme) == []

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

    def test_a_log_is_read_in_one_s_own_organisation(self, acme, beta):
        acme.publish("widget", b"", 400)
        assert refused(acme)
        assert refused(beta) == []
        assert acme.get("/api/log").json[0]["outcome"] == "refused"


class TestUntrustedText:
    TEXTS = (
        '"><script>alert(1)</script>',
        "'; DROP TABLE packages_version; --",
        "%s %d {0} ${x}",
        "\u202eevil\u202c",
        "a\u0000b",
        "\x1b[31mred",
        "\ufeff\ufffe\uffff",
        "\U0001f469\u200d\U0001f680",
        "e\u0301",
        "\r\nSet-Cookie: x=1\r\n\r\n",
        "x" * 4000,
    )

    @pytest.mark.parametrize("text", TEXTS, ids=ascii)
    def test_it_comes_back_as_it_went_or_is_refused(self, acme, text):
        fields = {"summary": text, "description": text}
        response = acme.upload(f"{WIDGET}/versions", package_zip("widget"), fields, status="*")
        if response.status_int == 400:
            assert "\0" in text
            return
        for each in (response.json, acme.get(f"{WIDGET}/versions/1").json):
            assert (each["summary"], each["description"]) == (text, text)
        gone = acme.send_json("DELETE", f"{WIDGET}/versions/1", {"reason": text})
        assert gone.json["tombstone_reason"] == text
        assert acme.get(f"{WIDGET}/versions/1/download", 410).json["tombstone_reason"] == text
        for path in READS:
            answer = acme.get(path.format("widget"), "*")
            assert answer.status_int < 500
            assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize("text", ["a<b>", "é" * 255, "%0d%0a", "\U0001f680", "a, b; c"])
    def test_an_author_does_as_well(self, acme, text):
        made = acme.publish("widget", package_zip("widget", None), author=text)
        assert made["author"] == text
        assert f"- **Author:** {text}\n" in acme.get(f"{WIDGET}/history").text

    @pytest.mark.parametrize("name", ['"', "<b>", "a\tb", "a\\\\b", "\\u0000"])
    def test_a_name_in_a_manifest_is_only_quoted(self, acme, name):
        archive = make_zip({"package.toml": manifest(name.replace('"', '\\"'))})
        answer = acme.upload(f"{WIDGET}/versions", archive, status=400)
        assert list(answer.json) == ["detail"]

    @pytest.mark.parametrize("alias", ["<script>", "a%0d%0ab", "a'b", '"', "%F0%9F%9A%80"])
    def test_an_alias_that_cannot_be_is_only_refused(self, acme, alias):
        acme.publish("widget")
        for method in ("GET", "PUT", "DELETE"):
            response = acme.call(method, f"{WIDGET}/aliases/{alias}", b"")
            assert response.status_int in {400, 404}
            assert response.headers["Content-Type"] == "application/json"
