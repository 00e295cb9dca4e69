"""Keys, scopes, and what belongs to another organisation: sections 1 and 3."""

from datetime import timedelta

import pytest

from hubrepo.kernel.base import now
from tests.support.archives import make_zip, manifest, package_zip
from tests.support.contract import ENDPOINTS, assert_refused, same_answer
from tests.support.hub import Client

MISSING = "Authentication credentials were not provided."
BAD = "invalid API key"


def ask(hub, method, path, **headers):
    return hub.app().request(path, method=method, headers=headers, status="*", expect_errors=True)


def assert_unknown(response, text):
    assert_refused(response, 401, text)
    assert response.headers["WWW-Authenticate"] == "Api-Key"


class TestHeader:
    def test_every_endpoint_wants_a_good_key(self, hub):
        for method, path in ENDPOINTS:
            path = path.format("widget")
            assert_unknown(ask(hub, method, path), MISSING)
            assert_unknown(ask(hub, method, path, Authorization="Api-Key kpf_0_x"), BAD)

    def test_what_is_no_key_counts_as_none(self, acme):
        for header in (
            *(
                "",
                "Api-Key",
                "Api-Key ",
                "Api-Key    ",
                "Basic YTpi",
                "Bearer {}",
                "{}",
                "ApiKey {}",
            ),
        ):
            header = header.format(acme.key)
            assert_unknown(ask(acme.hub, "GET", "/api/packages", Authorization=header), MISSING)
        path = f"/api/packages?api_key={acme.key}&Authorization=Api-Key%20{acme.key}"
        cookie = f"Authorization=Api-Key {acme.key}"
        assert_unknown(ask(acme.hub, "GET", path, Cookie=cookie), MISSING)

    def test_the_case_of_the_scheme_and_spaces_around_the_key_do_not_matter(self, acme):
        for template in (
            *("Api-Key {}", "api-key {}", "API-KEY {}", "aPI-kEY {}"),
            *("Api-Key   {}", "Api-Key {}   ", "Api-Key     {}  "),
        ):
            header = template.format(acme.key)
            assert ask(acme.hub, "GET", "/api/packages", Authorization=header).status_int == 200

    def test_any_other_key_is_refused(self, acme):
        key = acme.key
        for bent in (
            *(key[:-1], key + "x", key[:-1] + ("A" if key[-1] != "A" else "B"), key[:12]),
            *(key.replace("kpf_", "kpf-"), key.replace("kpf_", "KPF_"), key.upper()),
            *("kpf_00000000_" + key[13:], key[:13] + "A" * 43, key + " " + key),
            *("x", "kpf__", "kpf_" * 5000, key[:20] + "\xe9" + key[21:], key[:20] + "%" + key[21:]),
        ):
            response = ask(acme.hub, "GET", "/api/packages", Authorization=f"Api-Key {bent}")
            assert_unknown(response, BAD)

    def test_the_key_comes_before_body_method_and_existence(self, hub):
        for method, path, content_type, body in (
            ("POST", "/api/packages", "text/plain", b"x"),
            ("POST", "/api/packages", "application/json", b"{"),
            ("PATCH", "/api/packages", "application/json", b"{}"),
            ("PUT", "/api/packages/nothing/latest", "application/json", b"{}"),
            ("POST", "/api/packages/w/versions", "multipart/form-data", b"x"),
            ("DELETE", "/api/packages/nothing", "text/plain", b"x"),
        ):
            sent = {"Content-Type": content_type}
            response = hub.app().request(
                path, method=method, body=body, headers=sent, status=401, expect_errors=True
            )
            assert response.json == {"detail": MISSING}
            assert "Allow" not in response.headers

    def test_with_a_key_no_csrf_token_is_needed(self, acme):
        cookie = {"Cookie": "csrftoken=x"}
        acme.send_json("POST", "/api/packages", {"name": "w"}, 201, headers=cookie)


class TestLifeOfAKey:
    def test_an_expired_key_is_refused(self, acme):
        key = acme.hub.issue_key(acme.slug, expires_at=now() + timedelta(hours=1))
        client = Client(acme.hub, acme.slug, key)
        client.get("/api/packages")
        with acme.hub.registry.database.write() as db:
            accounts = acme.hub.accounts(db)
            row = accounts.keys(accounts.organisation(acme.slug))[-1]
            row.expires_at = now()
        assert_refused(client.get("/api/packages", 401), 401, BAD)

    def test_a_user_s_key_stops_and_starts_with_the_user_and_ends_with_the_membership(self, acme):
        user = f"{acme.slug}-u"
        client = Client(acme.hub, acme.slug, acme.hub.issue_key(acme.slug, user=user))
        client.get("/api/packages")
        for active, status in ((False, 401), (True, 200)):
            with acme.hub.registry.database.write() as db:
                acme.hub.accounts(db).set_active(user, active=active)
            client.get("/api/packages", status)
        with acme.hub.registry.database.write() as db:
            accounts = acme.hub.accounts(db)
            accounts.remove_member(accounts.organisation(acme.slug), user)
        assert_refused(client.get("/api/packages", 401), 401, BAD)


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("read", (200, 403, 403, 403, 403, 403)),
        ("publish", (200, 201, 201, 200, 200, 403)),
        ("admin", (200, 403, 403, 403, 403, 204)),
        (None, (200, 201, 201, 200, 200, 204)),
    ],
)
def test_a_scope_narrows_what_a_key_may_do(acme, scope, statuses):
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
    @pytest.mark.backend
    def test_what_is_elsewhere_answers_like_what_is_nowhere(self, acme, beta):
        name = f"secret-{beta.slug}"
        path = f"/api/packages/{name}"
        bodies = {"POST": b"{}", "PUT": b'{"version":1}', "DELETE": b'{"reason":"x"}'}
        conditions = ({"Range": "bytes=0-3"}, {"If-None-Match": "*"}, {"If-Match": "*"})

        def answers():
            for method, path in ENDPOINTS:
                body = bodies.get(method, b"")
                kind = "application/json" if body else None
                yield acme.call(method, path.format(name), body, content_type=kind)
            download = f"/api/packages/{name}/versions/1/download"
            yield acme.call("HEAD", download)
            for headers in conditions:
                yield acme.get(download, 404, headers=headers)
            for fields in ({"parent_version": "1"}, {"forked_from": f"{name}@1"}):
                sent = package_zip(name)
                yield acme.upload(f"/api/packages/{name}/versions", sent, fields, status="4*")
            wish = {"forked_from": f"{name}@1"}
            yield acme.upload("/api/packages/mine/versions", package_zip("mine"), wish, status=400)

        nowhere = list(map(same_answer, answers()))
        beta.publish(name)
        beta.send_json("PUT", f"{path}/aliases/stable", {"version": 1})
        assert list(map(same_answer, answers())) == nowhere
        beta.delete(f"{path}/versions/1", 200)
        assert list(map(same_answer, answers())) == nowhere
        beta.delete(path)
        assert list(map(same_answer, answers())) == nowhere

    def test_a_claimed_fork_of_what_is_elsewhere_is_none(self, acme, beta):
        name = f"secret-{beta.slug}"
        beta.publish(name)
        history = beta.get(f"/api/packages/{name}/history").text
        archive = make_zip({"package.toml": manifest("mine"), "HISTORY.md": history})
        assert acme.publish("mine", archive)["forked_from"] is None

    @pytest.mark.backend
    def test_names_are_free_to_repeat(self, acme, beta):
        for client, author in ((acme, "ann"), (beta, "bob"), (acme, "ann"), (beta, "bob")):
            client.publish("widget", package_zip("widget", author))
        for client, author in ((acme, "ann"), (beta, "bob")):
            versions = client.get("/api/packages/widget/versions").json
            numbered = [(each["version"], each["author"]) for each in versions]
            assert numbered == [(2, author), (1, author)]

    @pytest.mark.backend
    def test_the_same_bytes_outlive_their_removal_elsewhere(self, acme, beta):
        archive = package_zip("widget")
        acme.publish("widget", archive)
        beta.publish("widget", archive)
        acme.delete("/api/packages/widget")
        assert beta.download("widget", 1)
