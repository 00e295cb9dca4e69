"""Keys, scopes, and what belongs to another organisation: sections 1 and 3."""

import itertools
from datetime import timedelta

import pytest

from hubrepo.kernel.base import now
from tests.support.archives import make_zip, manifest, package_zip
from tests.support.contract import ENDPOINTS, assert_refused, same_answer
from tests.support.hub import Client, Hub

MISSING = "Authentication credentials were not provided."
BAD = "invalid API key"

_names = (f"secret-{number}" for number in itertools.count(1))


def ask(hub, method, path, **headers):
    return hub.app().request(path, method=method, headers=headers, status="*", expect_errors=True)


class TestHeader:
    @pytest.mark.parametrize(("method", "path"), ENDPOINTS)
    def test_every_endpoint_wants_a_key(self, hub, method, path):
        response = ask(hub, method, path.format("widget"))
        assert_refused(response, 401, MISSING)
        assert response.headers["WWW-Authenticate"] == "Api-Key"

    @pytest.mark.parametrize(("method", "path"), ENDPOINTS)
    def test_every_endpoint_refuses_a_bad_key(self, hub, method, path):
        response = ask(hub, method, path.format("widget"), Authorization="Api-Key kpf_0_x")
        assert_refused(response, 401, BAD)
        assert response.headers["WWW-Authenticate"] == "Api-Key"

    @pytest.mark.parametrize(
        "header",
        ["", "Api-Key", "Api-Key ", "Api-Key    ", "Basic YTpi", "Bearer {}", "{}", "ApiKey {}"],
    )
    def test_what_is_no_key_counts_as_none(self, acme, header):
        response = ask(
            acme.hub, "GET", "/api/packages", Authorization=header.format(acme.key).rstrip("\n")
        )
        assert_refused(response, 401, MISSING)
        assert response.headers["WWW-Authenticate"] == "Api-Key"

    @pytest.mark.parametrize("scheme", ["Api-Key", "api-key", "API-KEY", "aPI-kEY"])
    def test_the_case_of_the_scheme_does_not_matter(self, acme, scheme):
        asked = ask(acme.hub, "GET", "/api/packages", Authorization=f"{scheme} {acme.key}")
        assert asked.status_int == 200

    @pytest.mark.parametrize("template", ["Api-Key   {}", "Api-Key {}   ", "Api-Key     {}  "])
    def test_spaces_around_the_key_are_dropped(self, acme, template):
        header = template.format(acme.key)
        assert ask(acme.hub, "GET", "/api/packages", Authorization=header).status_int == 200

    @pytest.mark.parametrize(
        "bend",
        [
            lambda key: key[:-1],
            lambda key: key + "x",
            lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
            lambda key: key.replace("kpf_", "kpf-"),
            lambda key: key.replace("kpf_", "KPF_"),
            lambda key: "kpf_00000000_" + key[13:],
            lambda key: key[:13] + "A" * 43,
            lambda key: key[:12],
            lambda key: key + " " + key,
            lambda _: "x",
            lambda _: "kpf__",
            lambda _: "kpf_" * 5000,
            lambda key: key[:20] + "\xe9" + key[21:],
            lambda key: key[:20] + "%" + key[21:],
            lambda key: key.upper(),
        ],
    )
    def test_any_other_key_is_refused(self, acme, bend):
        response = ask(acme.hub, "GET", "/api/packages", Authorization=f"Api-Key {bend(acme.key)}")
        assert_refused(response, 401, BAD)
        assert response.headers["WWW-Authenticate"] == "Api-Key"

    def test_a_key_has_the_form_that_clients_know(self, acme):
        """As the reference's, and six characters of a checksum behind it."""
        kpf, prefix, secret = acme.key.split("_", 2)
        assert (kpf, len(prefix), len(secret), len(acme.key)) == ("kpf", 8, 43 + 6, 62)
        assert set(prefix) <= set("0123456789abcdef")

    @pytest.mark.parametrize(
        ("method", "path", "content_type", "body"),
        [
            ("POST", "/api/packages", "text/plain", b"x"),
            ("POST", "/api/packages", "application/json", b"{"),
            ("PATCH", "/api/packages", "application/json", b"{}"),
            ("POST", "/api/packages/w/versions", "multipart/form-data", b"x"),
            ("DELETE", "/api/packages/nothing", "text/plain", b"x"),
        ],
    )
    def test_the_key_comes_before_body_method_and_existence(
        self, hub, method, path, content_type, body
    ):
        response = hub.app().request(
            path,
            method=method,
            body=body,
            headers={"Content-Type": content_type},
            status=401,
            expect_errors=True,
        )
        assert response.json == {"detail": MISSING}

    def test_a_key_in_the_query_or_a_cookie_is_none(self, acme):
        ask_for = f"/api/packages?api_key={acme.key}&Authorization=Api-Key%20{acme.key}"
        response = ask(acme.hub, "GET", ask_for, Cookie=f"Authorization=Api-Key {acme.key}")
        assert_refused(response, 401, MISSING)

    def test_with_a_key_no_csrf_token_is_needed(self, acme):
        acme.send_json(
            "POST", "/api/packages", {"name": "w"}, 201, headers={"Cookie": "csrftoken=x"}
        )


class TestLifeOfAKey:
    def test_a_revoked_key_stops_at_once(self, acme):
        with acme.hub.registry.database.write() as db:
            acme.hub.accounts(db).revoke_key(acme.key[4:12])
        assert_refused(acme.get("/api/packages", 401), 401, BAD)

    def test_an_expired_key_is_refused(self, acme):
        key = acme.hub.issue_key(acme.slug, expires_at=now() + timedelta(hours=1))
        client = Client(acme.hub, acme.slug, key)
        client.get("/api/packages")
        with acme.hub.registry.database.write() as db:
            accounts = acme.hub.accounts(db)
            row = accounts.keys(accounts.organisation(acme.slug))[-1]
            row.expires_at = now()
        assert_refused(client.get("/api/packages", 401), 401, BAD)

    def test_a_user_s_key_stops_with_the_membership(self, acme):
        client = Client(acme.hub, acme.slug, acme.hub.issue_key(acme.slug, user=f"{acme.slug}-u"))
        client.get("/api/packages")
        with acme.hub.registry.database.write() as db:
            accounts = acme.hub.accounts(db)
            accounts.remove_member(accounts.organisation(acme.slug), f"{acme.slug}-u")
        assert_refused(client.get("/api/packages", 401), 401, BAD)

    def test_a_user_s_key_stops_and_starts_with_the_user(self, acme):
        client = Client(acme.hub, acme.slug, acme.hub.issue_key(acme.slug, user=f"{acme.slug}-u"))
        for active, status in ((False, 401), (True, 200)):
            with acme.hub.registry.database.write() as db:
                acme.hub.accounts(db).set_active(f"{acme.slug}-u", active=active)
            client.get("/api/packages", status)

    def test_bad_keys_get_429_after_too_many_from_one_address(self, tmp_path):
        hub = Hub.below(tmp_path, security__failures_per_minute="3")
        good = hub.organisation()
        statuses = [
            ask(hub, "GET", "/api/packages", Authorization="Api-Key x").status_int for _ in range(5)
        ]
        assert statuses == [401, 401, 401, 429, 429]
        assert good.get("/api/packages").status_int == 200
        hub.registry.database.close()


class TestScopes:
    @pytest.mark.parametrize(
        ("scope", "statuses"),
        [
            ("read", (200, 403, 403, 403, 403, 403)),
            ("publish", (200, 201, 201, 200, 200, 403)),
            ("admin", (200, 403, 403, 403, 403, 204)),
            (None, (200, 201, 201, 200, 200, 204)),
        ],
    )
    def test_a_scope_narrows_what_a_key_may_do(self, acme, scope, statuses):
        acme.publish("widget")
        key = acme.hub.issue_key(acme.slug, scopes=[scope] if scope else [])
        client = Client(acme.hub, acme.slug, key)
        found = (
            client.get("/api/packages/widget", "*"),
            client.send_json("POST", "/api/packages", {"name": "new"}, "*"),
            client.upload("/api/packages/widget/versions", package_zip("widget"), status="*"),
            client.send_json("PUT", "/api/packages/widget/aliases/beta", {"version": 1}, "*"),
            client.delete("/api/packages/widget/versions/1", "*"),
            client.delete("/api/packages/widget", "*"),
        )
        assert tuple(each.status_int for each in found) == statuses
        for refused in (each for each in found if each.status_int == 403):
            assert_refused(refused, 403, "You do not have permission to perform this action.")


class TestOtherOrganisations:
    @pytest.mark.parametrize(("method", "path"), ENDPOINTS)
    def test_what_is_elsewhere_answers_like_what_is_nowhere(self, acme, beta, method, path):
        name = next(_names)
        body, content_type = {
            "POST": (b"{}", "application/json"),
            "PUT": (b'{"version":1}', "application/json"),
            "DELETE": (b'{"reason":"x"}', "application/json"),
        }.get(method, (b"", None))

        def answer():
            return same_answer(
                acme.call(method, path.format(name), body, content_type=content_type)
            )

        nowhere = answer()
        beta.publish(name)
        beta.send_json("PUT", f"/api/packages/{name}/aliases/stable", {"version": 1})
        assert answer() == nowhere
        beta.delete(f"/api/packages/{name}/versions/1", 200)
        assert answer() == nowhere
        beta.delete(f"/api/packages/{name}")
        assert answer() == nowhere

    def test_so_do_a_head_and_a_range_and_a_validator_of_it(self, acme, beta):
        name = next(_names)
        path = f"/api/packages/{name}/versions/1/download"
        asked = [
            ("HEAD", {}),
            ("GET", {"Range": "bytes=0-3"}),
            ("GET", {"If-None-Match": "*"}),
            ("GET", {"If-Match": "*"}),
        ]

        def answers():
            return [same_answer(acme.call(method, path, headers=sent)) for method, sent in asked]

        nowhere = answers()
        beta.publish(name)
        assert answers() == nowhere
        assert [status for status, *_ in nowhere] == [404] * 4

    def test_a_publish_that_is_refused_tells_nothing_of_others(self, acme, beta):
        name = next(_names)

        def answer(**fields):
            return acme.publish(name, status="*", **fields)

        asked = ({"parent_version": "1"}, {"forked_from": f"{name}@1"})
        nowhere = [answer(**each) for each in asked]
        beta.publish(name)
        assert [answer(**each) for each in asked] == nowhere
        assert nowhere[0] == {"detail": "head moved", "head": 0}

    def test_a_declared_fork_of_what_is_elsewhere_is_one_of_what_is_nowhere(self, acme, beta):
        name = next(_names)
        wish = {"forked_from": f"{name}@1", "status": 400}
        nowhere = acme.publish("mine", **wish)
        beta.publish(name)
        assert acme.publish("mine", **wish) == nowhere

    def test_a_claimed_fork_of_what_is_elsewhere_is_none(self, acme, beta):
        name = next(_names)
        beta.publish(name)
        history = beta.get(f"/api/packages/{name}/history").text
        archive = make_zip({"package.toml": manifest("mine"), "HISTORY.md": history})
        assert acme.publish("mine", archive)["forked_from"] is None

    def test_names_are_free_to_repeat(self, acme, beta):
        for client, author in ((acme, "ann"), (beta, "bob"), (acme, "ann"), (beta, "bob")):
            client.publish("widget", package_zip("widget", author))
        for client, author in ((acme, "ann"), (beta, "bob")):
            versions = client.get("/api/packages/widget/versions").json
            assert [(each["version"], each["author"]) for each in versions] == [
                (2, author),
                (1, author),
            ]

    def test_the_same_bytes_outlive_their_removal_elsewhere(self, acme, beta):
        archive = package_zip("widget")
        acme.publish("widget", archive)
        beta.publish("widget", archive)
        acme.delete("/api/packages/widget")
        assert beta.download("widget", 1)

    def test_a_listing_has_one_s_own_only(self, acme, beta):
        acme.publish("widget")
        assert beta.get("/api/packages").json == []
        assert beta.get("/api/log").json
        assert all(each["subject"] != "package:widget" for each in beta.get("/api/log").json)
