"""`/api/organisation`, `/api/keys`, `/api/members` and `/api/log`: D18, D20, D45."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubrepo.kernel.accounts.services import Limits
from hubrepo.kernel.base import iso_seconds, now
from tests.support.archives import package_zip
from tests.support.contract import assert_refused, same_answer
from tests.support.hub import Client

MICROS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
MISSING = "Authentication credentials were not provided."
MAY_NOT = "You do not have permission to perform this action."

PATHS = {
    "/api/organisation": {"GET"},
    "/api/keys": {"GET", "POST"},
    "/api/keys/x": {"DELETE"},
    "/api/keys/x/rotate": {"POST"},
    "/api/members": {"GET"},
    "/api/members/x": {"DELETE"},
    "/api/log": {"GET"},
}


ACCENTS = "\u0301\u0323" * 50_000
NAMES = ["a", "A", "b.c", "c-", "ab", "Ab", "a-b", "a.b", "abc", "aab", "cab", "c.b-a"]


def issue(client, status=201, **wish):
    return client.send_json("POST", "/api/keys", wish, status)


def rotate(client, prefix, status=201, **wish):
    return client.send_json("POST", f"/api/keys/{prefix}/rotate", wish, status)


def with_key(client, key):
    return Client(client.hub, client.slug, key)


def user_of(client, name="ann"):
    """A user of the organisation."""
    username = f"{client.slug}-{name}"
    with client.hub.registry.database.write() as db:
        accounts = client.hub.accounts(db)
        accounts.attach(accounts.organisation(client.slug), username, None)
    return username


class TestEverywhere:
    """Which key may do what is in `tests/architecture/permission_matrix.txt`."""

    def test_a_key_is_asked_for_and_one_that_may_not_is_told_so(self, acme):
        reader = with_key(acme, acme.hub.issue_key(acme.slug, scopes=["read"]))
        for path in PATHS:
            response = acme.hub.app().get(path, status=401)
            assert_refused(response, 401, MISSING)
            assert response.headers["WWW-Authenticate"] == "Api-Key"
        for path in ("/api/keys", "/api/members", "/api/log"):
            assert_refused(reader.get(path, 403), 403, MAY_NOT)

    def test_one_trailing_slash_is_fine_and_head_is_get(self, acme):
        acme.get("/api/packages")
        acme.hub.registry.afterwards.settle()  # from here on the key has been used
        for path in ("organisation", "keys", "members", "log"):
            plain = acme.get(f"/api/{path}")
            assert acme.get(f"/api/{path}/").headers["Content-Type"] == "application/json"
            head = acme.call("HEAD", f"/api/{path}", status=200)
            assert head.body == b""
            assert head.headers["Content-Length"] == plain.headers["Content-Length"]

    def test_other_methods_are_405_and_other_paths_404(self, acme):
        for path, allowed in PATHS.items():
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
                response = acme.call(method, path)
                assert_refused(response, 405, f'Method "{method}" not allowed.')
                found = set(response.headers["Allow"].replace(" ", "").split(","))
                assert allowed <= found <= allowed | {"HEAD", "OPTIONS"}
        for path in ("organisation/x", "log/1", "keys/x/y", "keys//", "Keys"):
            acme.get(f"/api/{path}", 404)

    def test_what_is_not_there_is_404_and_so_is_what_is_another_organisation_s(self, acme, beta):
        for which in ("x", "kpf_", "KPF_00000000", "%00", "é", "x" * 3000):
            assert acme.delete(f"/api/keys/{which}", "4*").status_int in {400, 404}
        for name in ("nobody", "é", "a b", "x" * 3000, "'", "%25"):
            acme.delete(f"/api/members/{name}", 404)

        def told(prefix):
            keys = (acme.delete(f"/api/keys/{prefix}", 404), rotate(acme, prefix, 404))
            user = f"{beta.slug}-ann"
            members = (acme.delete(f"/api/members/{user}", 404), issue(acme, 404, user=user))
            details = [each.json["detail"].replace(prefix[4:], "") for each in keys]
            return details, [same_answer(each) for each in members]

        nowhere = told("kpf_00000000")
        user_of(beta)
        assert told(beta.key[:12]) == nowhere
        assert len(beta.get("/api/members").json) == 1


@pytest.mark.backend
def test_an_organisation_tells_of_itself_and_what_it_keeps_and_may_keep(acme):
    found = acme.get("/api/organisation").json
    assert (found["name"], found["slug"]) == (acme.slug.upper(), acme.slug)
    assert MICROS.fullmatch(found["created_at"])
    assert (found["stored_bytes"], set(found["limits"].values())) == (0, {None})
    size = acme.publish("widget")["size"]
    limits = Limits(max_upload_size=1, max_stored_bytes=2, max_versions=3, max_pages=4)
    with acme.hub.registry.database.write() as db:
        accounts = acme.hub.accounts(db)
        accounts.set_limits(accounts.organisation(acme.slug), limits)
    found = acme.get("/api/organisation").json
    assert (found["stored_bytes"], found["limits"]) == (size, vars(limits))


class TestKeys:
    @pytest.mark.backend
    def test_a_new_key_is_shown_once_and_works(self, acme):
        response = issue(acme, label="ci")
        made = response.json
        assert re.fullmatch(r"kpf_[0-9a-f]{8}_[A-Za-z0-9_-]{49}", made["key"])
        assert made["key"].startswith(made["prefix"] + "_")
        assert made["label"] == "ci"
        assert response.headers["Cache-Control"] == "no-store"
        with_key(acme, made["key"]).get("/api/packages")
        assert made["key"] not in acme.get("/api/keys").text + acme.get("/api/log").text

    def test_keys_are_listed_oldest_first_without_secrets_and_may_what_they_say(self, acme):
        user = user_of(acme)
        expiry = now() + timedelta(days=1)
        issue(acme, label="ü" * 120)
        wish = {"label": "two", "user": user, "scopes": ["publish", "read"]}
        made = issue(acme, **wish, expires_at=iso_seconds(expiry)).json
        acme.hub.registry.afterwards.settle()
        first, one, two = acme.get("/api/keys").json
        assert list(one) == list(two)
        assert first["prefix"] == acme.key[:12]
        assert first["last_used_at"] is not None
        assert (one["label"], one["user"], one["scopes"]) == ("ü" * 120, None, None)
        assert (one["expires_at"], one["revoked_at"], one["last_used_at"]) == (None, None, None)
        assert (two["label"], two["user"]) == ("two", user)
        assert sorted(two["scopes"]) == ["publish", "read"]
        assert two["expires_at"].startswith(iso_seconds(expiry)[:-1])
        assert MICROS.fullmatch(two["created_at"])
        assert not {"key", "secret", "digest", "hash"} & set(one)
        assert with_key(acme, made["key"]).publish("widget")["published_by"] == user
        with_key(acme, issue(acme, scopes=["read"]).json["key"]).publish("widget", status=403)

    def test_a_wish_that_cannot_be_is_400(self, acme):
        patterns = [*("packages", "packages:", "packages:a b", "packages:*a*b*", "package:a")]
        patterns += ["packages:" + "x" * 1024, 1]
        dates = ["yesterday", 7, "2001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
        scopes = ["root", "\ud800", "\0", "", "x" * 9999, 1]
        wishes = [
            *({"label": each} for each in ("x" * 121, "a\nb", "a\0b", 1, None, "\ud800")),
            *({"scopes": [each]} for each in scopes),
            *({"scopes": "root"}, {"scopes": {"read": True}}, {"scopes": 7}, {"unknown": 1}),
            *({"only": [each]} for each in patterns),
            *({"only": ["packages:a"], "scopes": ["admin"]}, {"only": {"packages": "a"}}),
            *({"expires_at": each} for each in dates),
            *({"user": 7}, {"user": ["x"]}),
        ]
        for wish in wishes:
            assert isinstance(issue(acme, 400, **wish).json["detail"], str), wish
        for user in ("\ud800", "\0", "x" * 9999, "\u202e", "a\nb"):
            assert issue(acme, "4*", user=user).status_int in {400, 404}
        for body in ([], "x", 1, None):
            acme.send_json("POST", "/api/keys", body, 400)
        assert len(acme.get("/api/keys").json) == 1

    def test_nonsense_does_not_come_back_by_the_megabyte(self, acme):
        long = "x" * 500_000
        for wish in (
            *({"user": long}, {"scopes": [long]}, {"only": [long]}, {long: 1}),
            {"only": ["packages:" + "\n" * 100_000]},
            # To bring these into normal form would take minutes.
            *({"user": ACCENTS}, {"only": [f"packages:{ACCENTS}"]}),
            {f"{number}{'x' * 1000}": 1 for number in range(500)},
        ):
            assert len(issue(acme, "4*", **wish).body) < 2000
        acme.send_json("POST", "/api/packages", {"name": ACCENTS}, 400)

    @pytest.mark.backend
    def test_a_revoked_key_stops_at_once_and_stays_listed(self, acme):
        for number, start in enumerate((0, 4), 1):
            made = issue(acme).json
            client = with_key(acme, made["key"])
            client.get("/api/packages")
            moments = []
            for _ in range(2):  # again changes nothing
                assert acme.delete(f"/api/keys/{made['prefix'][start:]}").body == b""
                moments.append(acme.get("/api/keys").json[number]["revoked_at"])
            assert MICROS.fullmatch(moments[0])
            assert moments[0] == moments[1]
            assert_refused(client.get("/api/packages", 401), 401, "invalid API key")

    def test_a_whole_key_is_revoked_and_its_secret_is_nowhere(self, acme):
        leaked = acme.hub.issue_key(acme.slug)
        acme.delete(f"/api/keys/{leaked}")
        acme.delete(f"/api/keys/{leaked[:4]}00000000{leaked[12:]}", 404)
        acme.call("DELETE", f"/api/members/{leaked}")
        Client(acme.hub, acme.slug, leaked).get("/api/packages", 401)
        assert leaked[13:] not in str([(each.subject, each.details) for each in acme.events()])

    def test_a_narrowed_key_issues_and_rotates_none_that_may_do_more(self, acme):
        narrow = with_key(acme, acme.hub.issue_key(acme.slug, scopes=["admin"]))
        with_key(acme, issue(narrow).json["key"]).publish("widget", status=403)
        issue(narrow, 403, scopes=["publish"])
        rotate(narrow, acme.key[:12], 403)
        rotate(narrow, narrow.key[:12])
        acme.get("/api/packages")


class TestRotation:
    """A new key takes the place of one, and for a while both are good."""

    @pytest.mark.backend
    def test_both_are_good_until_the_old_one_ends(self, acme):
        old = issue(acme, label="ci", scopes=["read", "publish"]).json
        made = rotate(acme, old["prefix"])
        new = made.json
        assert made.headers["Cache-Control"] == "no-store"
        assert (new["label"], new["old_prefix"]) == ("ci", old["prefix"])
        hours = (datetime.fromisoformat(new["old_expires_at"]) - now()) / timedelta(hours=1)
        assert 23.9 < hours < 24
        for each in (old, new):
            with_key(acme, each["key"]).publish("widget")
        with_key(acme, new["key"]).get("/api/keys", 403)
        _, was, took_over = acme.get("/api/keys").json
        assert (was["successor"], was["expires_at"]) == (new["prefix"], new["old_expires_at"])
        assert (took_over["scopes"], took_over["expires_at"]) == (was["scopes"], None)
        event = next(each for each in acme.get("/api/log").json if each["action"] == "key:rotate")
        assert event["subject"] == f"key:{old['prefix']}"
        assert event["details"]["successor"] == new["prefix"][4:]

    @pytest.mark.backend
    def test_a_key_that_would_expire_begins_its_life_anew_and_ends_no_later_than_before(self, acme):
        soon, wish = iso_seconds(now() + timedelta(hours=2)), {"user": user_of(acme)}
        wish["only"] = ["packages:widget"]
        new = rotate(
            acme, issue(acme, **wish, expires_at=soon).json["prefix"], overlap_hours=24
        ).json
        assert new["old_expires_at"].startswith(soon[:-1])
        life = datetime.fromisoformat(acme.get("/api/keys").json[-1]["expires_at"]) - now()
        for each in acme.get("/api/keys").json[1:]:
            assert {name: each[name] for name in wish} == wish
        assert timedelta(hours=1.9) < life < timedelta(hours=2.1)
        rotate(acme, issue(acme, expires_at="9999-12-31T23:59:59Z").json["prefix"])
        assert acme.get("/api/keys").json[-1]["expires_at"].startswith("9999-12-31")

    @pytest.mark.backend
    def test_of_many_that_rotate_a_key_at_one_moment_one_does(self, acme):
        old = issue(acme).json
        with ThreadPoolExecutor(6) as threads:
            clients = [with_key(acme, acme.key) for _ in range(6)]
            answers = list(threads.map(lambda one: rotate(one, old["prefix"], "*"), clients))
        assert sorted(each.status_int for each in answers) == [201] + [409] * 5

    def test_what_is_over_is_not_rotated(self, acme):
        for end in ("rotate", "revoke", "expire"):
            old = issue(acme).json
            if end == "revoke":
                acme.delete(f"/api/keys/{old['prefix']}")
            else:
                rotate(acme, old["prefix"], overlap_hours=0 if end == "expire" else 1)
            with_key(acme, old["key"]).get("/api/packages", 200 if end == "rotate" else 401)
            before = len(acme.get("/api/keys").json)
            assert old["prefix"] in rotate(acme, old["prefix"], 409).json["detail"]
            assert len(acme.get("/api/keys").json) == before

    def test_an_overlap_that_cannot_be_is_400(self, acme):
        for hours in (-1, 1.5, True, None, "", "x", "-1", 10**9, [1], "\uff19", "0000000024"):
            rotate(acme, acme.key[:12], 400, overlap_hours=hours)
        rotate(acme, acme.key[:12], 400, hours=1)


@pytest.fixture(scope="module")
def named(hub):
    """An organisation that has packages of all `NAMES`."""
    client = hub.organisation()
    for name in NAMES:
        client.send_json("POST", "/api/packages", {"name": name}, 201)
    return client


class TestNames:
    """A key may be limited to packages by their names, and is good for nothing else then."""

    @pytest.fixture
    def limited(self, acme):
        for name in ("team-a", "team-b", "lib", "other"):
            acme.publish(name)
        made = issue(acme, only=["packages:team-*", "packages:l?b"]).json
        return with_key(acme, made["key"])

    def test_it_reads_and_publishes_what_its_patterns_match(self, limited):
        assert limited.publish("team-a")["version"] == 2
        assert limited.publish("team-new")["version"] == 1
        limited.send_json("POST", "/api/packages", {"name": "team-x"}, 201)
        limited.send_json("PUT", "/api/packages/lib/aliases/stable", {"version": 1})
        assert limited.download("lib", 1)

    def test_the_rest_is_closed_whether_it_is_there_or_not(self, limited):
        for name in ("other", "Team-a", "lib2", "nowhere", "xteam-a"):
            at = f"/api/packages/{name}"
            refusals = [limited.get(f"{at}{each}", 403) for each in ("", "/history")]
            refusals += [
                limited.get(f"{at}/versions/1/download", 403),
                limited.upload(f"{at}/versions", package_zip(name), status=403),
                limited.send_json("PUT", f"{at}/aliases/stable", {"version": 1}, 403),
                limited.delete(f"{at}/versions/1", 403),
                limited.send_json("POST", "/api/packages", {"name": name}, 403),
            ]
            for each in refusals:
                assert_refused(each, 403, MAY_NOT)
        for path in ("pages", "keys", "log", "members", "organisation"):
            limited.get(f"/api/{path}", 403)

    @pytest.mark.backend
    def test_a_listing_shows_what_it_may_see_page_by_page(self, limited):
        names = [each["name"] for each in limited.get("/api/packages").json]
        assert names == ["lib", "team-a", "team-b"]
        first = limited.get("/api/packages?limit=2")
        assert [each["name"] for each in first.json] == ["lib", "team-a"]
        following = re.search(r"<([^>]+)>", first.headers["Link"])[1]
        assert [each["name"] for each in limited.get(following).json] == ["team-b"]

    def test_what_it_does_not_reach_is_no_ancestor(self, limited):
        assert limited.publish("team-x", forked_from="lib@1")["forked_from"]["package"] == "lib"
        missing = limited.publish("team-y", status=400, forked_from="nowhere@1")
        assert limited.publish("team-y", status=400, forked_from="other@1") == missing
        claim = "# Package History: {}\n## Versions\n### Version 1\n"
        lib = {"package": "lib", "version": 1}
        for fork, name, origin in (("team-1", "lib", lib), ("team-2", "other", None)):
            archive = package_zip(fork, **{"HISTORY.md": claim.format(name)})
            assert limited.publish(fork, archive)["forked_from"] == origin
        assert "other" not in limited.get("/api/packages/team-2/history").text

    def test_it_may_be_narrower_still_and_is_never_an_administrator(self, acme):
        reader = with_key(acme, issue(acme, only=["packages:lib"], scopes=["read"]).json["key"])
        assert reader.get("/api/packages").json == []
        reader.publish("lib", status=403)
        issue(acme, only="packages:lib packages:team-*")
        found = acme.get("/api/keys").json[-1]
        assert found["scopes"] == ["read", "publish"]
        assert found["only"] == ["packages:lib", "packages:team-*"]

    @pytest.mark.backend
    @given(pattern=st.from_regex(r"(?!.*\*.*\*.*\*)[a-c.*?-]{1,6}", fullmatch=True))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_databases_and_the_hub_agree_on_what_a_pattern_matches(self, named, pattern):
        limited = with_key(named, issue(named, only=[f"packages:{pattern}"]).json["key"])
        listed = {each["name"] for each in limited.get("/api/packages").json}
        assert listed == {name for name in NAMES if fnmatchcase(name, pattern)}
        for name in NAMES[:4]:
            limited.get(f"/api/packages/{name}", 200 if name in listed else 403)


class TestMembers:
    @pytest.mark.backend
    def test_members_come_by_name(self, acme):
        users = [user_of(acme, name) for name in ("zoe", "ann", "bob")]
        found = acme.get("/api/members").json
        assert [each["username"] for each in found] == sorted(users)
        assert all(each["active"] is True for each in found)
        assert all(MICROS.fullmatch(each["created_at"]) for each in found)
        with acme.hub.registry.database.write() as db:
            acme.hub.accounts(db).set_active(users[1], active=False)
        assert [each["active"] for each in acme.get("/api/members").json] == [False, True, True]

    def test_one_who_leaves_takes_their_keys_along(self, acme):
        user = user_of(acme)
        client = with_key(acme, issue(acme, user=user).json["key"])
        client.get("/api/packages")
        assert acme.delete(f"/api/members/{user}").body == b""
        assert_refused(client.get("/api/packages", 401), 401, "invalid API key")
        assert acme.get("/api/members").json == []
        acme.delete(f"/api/members/{user}", 404)


class TestLog:
    @pytest.mark.backend
    def test_it_tells_who_did_what_newest_first(self, acme):
        user = user_of(acme)
        made = issue(acme, user=user).json
        acme.delete(f"/api/keys/{made['prefix']}")
        acme.delete(f"/api/members/{user}")
        acme.publish("widget")
        log = acme.get("/api/log").json
        actions = "packages:publish member:remove key:revoke key:issue member:add"
        assert [each["action"] for each in log[:5]] == actions.split()
        assert {each["actor"] for each in log[:4]} == {f"key:{acme.key[:12]}"}
        assert log[0]["subject"] == "package:widget"
        assert log[2]["subject"] == f"key:{made['prefix']}"
        assert all(each["outcome"] == "done" for each in log)
        assert all(MICROS.fullmatch(each["at"]) for each in log)

    @pytest.mark.backend
    def test_it_tells_what_was_refused_and_can_be_read_whatever_that_was(self, acme):
        issue(acme, 400, label=7)
        acme.delete("/api/keys/kpf_00000000", 404)
        told = acme.get("/api/log?limit=2").json
        assert [each["outcome"] for each in told] == ["refused"] * 2
        assert [each["details"]["status"] for each in told] == [404, 400]
        for odd in ("\ud800", "\0", "\u202e", "a\nb", "x" * 9999, "\U0010ffff"):
            for field in ("label", "user", "scopes", odd):
                issue(acme, "*", **{field: odd if field != "scopes" else [odd]})
            acme.send_json("POST", "/api/packages", {"name": odd}, "*")
            acme.send_json("POST", "/api/packages", {odd: 1}, "*")
            acme.send_json("PUT", "/api/packages/w/aliases/a", {"version": odd}, "*")
        for path in ("%ED%A0%80", "%00", "%ff", "%E2%80%AE", "x" * 9999, "a%0ab"):
            acme.delete(f"/api/keys/{path}", "*")
            acme.delete(f"/api/packages/{path}", "*")
        assert acme.get("/api/keys").json
        assert acme.get("/api/packages").json is not None
        assert acme.get("/api/log").json

    def test_it_is_one_s_own_and_an_event_has_the_id_of_its_answer(self, acme, beta):
        beta.publish("widget")
        response = issue(acme)
        assert "widget" not in acme.get("/api/log").text
        assert acme.get("/api/log").json[0]["request_id"] == response.headers["X-Request-Id"]
