"""Who calls, and tokens themselves: section 5, checks 1, 2, 5 to 13, 44 and 45.

That a key of another surface is no token is in `tests/architecture/test_permission_matrix.py`.
"""

import base64
import re

import pytest

from hubrepo.features.artifacts.tokens import digest_named, digest_of, is_digest, new_token
from tests.support.artifacts import OPERATIONS, UNKNOWN, all_rows, assert_refused, sha256
from tests.support.contract import same_answer
from tests.support.hub import Hub

RAW = re.compile("[0-9a-f]{48}")
CHALLENGE = 'ApiKey realm="artifacts"'


def test_a_token_has_192_bits_and_cannot_be_taken_for_a_digest():
    raws = {new_token() for _ in range(100)}
    assert len(raws) == 100
    assert {len(bytes.fromhex(each)) * 8 for each in raws} == {192}
    assert not any(map(is_digest, raws))


def test_a_token_may_be_named_by_itself_or_its_digest():
    raw = new_token()
    digest = sha256(raw)
    assert digest_named(raw) == digest_named(digest) == digest_of(raw) == digest
    assert digest_named(digest.upper()) != digest
    assert not is_digest(f"{digest}\n")
    assert digest_named("\udc80ü")  # whatever a header has, it has a digest


class TestHeader:
    def test_every_operation_wants_a_token_that_is_good(self, adm, usr, my_lib):
        """Check 1."""
        pruned = adm.registered()
        adm.prune(pruned.key)
        bad = ["", "  ", "garbage", UNKNOWN, pruned.key, f"{usr.key} x", usr.key.upper()]
        for method, path, value in OPERATIONS:
            target = path.format(usr.digest)
            answers = [usr.like(key).refused(401, method, target, value) for key in (None, *bad)]
            assert {each.headers["WWW-Authenticate"] for each in answers} == {CHALLENGE}
            bodies = [each.body for each in answers]
            assert len(set(bodies[1:])) == 1
            assert bodies[0] != bodies[1]
        assert adm.accessible() == [my_lib]

    def test_the_token_comes_before_body_method_and_existence(self, usr):
        stranger = usr.like(None)
        for method, path, body in (
            ("PATCH", "/health", b""),
            ("POST", "/register", b"{"),
            ("PUT", "/product/create", b"x" * 100_000),
            ("GET", "/product/fetch/..", b""),
            ("PUT", "/product/modify/nonsense", b""),
            ("POST", "/product/upload", b"no form"),
            ("GET", "/product/nope", b""),
        ):
            assert_refused(stranger.call(method, path, body), 401)

    def test_a_token_counts_in_its_own_header_alone(self, usr):
        """Check 2."""
        basic = base64.b64encode(f"token:{usr.key}".encode()).decode()
        schemes = ("", "Bearer ", "Api-Key ", "ApiKey ")
        elsewhere = [{"Authorization": f"{each}{usr.key}"} for each in schemes]
        elsewhere += [
            {"Authorization": f"Basic {basic}"},
            {"Cookie": f"X-Api-Token={usr.key}; token={usr.key}"},
            {"X-Token": usr.key, "X-Api-Key": usr.key},
        ]
        query = f"?X-Api-Token={usr.key}&token={usr.key}&api_key={usr.key}"
        stranger = usr.like(None)
        for method, path, value in OPERATIONS:
            target = path.format("x")
            for headers in elsewhere:
                assert_refused(stranger.call(method, target, headers=headers), 401)
            assert_refused(stranger.call(method, f"{target}{query}"), 401)
            usr.like(usr.digest).refused(401, method, target, value)
        # Blanks around it are dropped.
        for template in (" {}", "{} ", "\t{}  ", "   {}\t"):
            assert usr.like(template.format(usr.key)).accessible() == []

    def test_too_many_bad_tokens_from_one_address_are_429_and_good_ones_still_good(self, tmp_path):
        hub = Hub.below(tmp_path, security__failures_per_minute="3")
        owner = hub.organisation()
        good, bad = owner.token(), owner.token()
        bad.app.extra_environ["HTTP_X_API_TOKEN"] = UNKNOWN
        answers = [bad.get("/product/access", "*") for _ in range(5)]
        assert [each.status_int for each in answers] == [401, 401, 401, 429, 429]
        assert_refused(answers[-1], 429)
        assert good.get("/product/access").json == []
        hub.registry.database.close()


class TestRegister:
    @pytest.mark.backend
    def test_a_token_is_shown_alone_and_good_at_once(self, adm):
        """Checks 5 and 6."""
        for wish in ({"admin": False}, {"admin": True}, {}, {"x": [1]}):
            response = adm.send_json("PUT", "/register", wish, 201)
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert response.headers["Cache-Control"] == "no-store"
            assert RAW.fullmatch(response.text)
            new, is_admin = adm.like(response.text), wish.get("admin", False)
            assert new.accessible() == []
            new.send_json("PUT", "/register", {}, 201 if is_admin else 403)
            assert new.get(f"/fetch/{new.key}").json["admin"] is is_admin

    def test_only_admins_register_and_what_cannot_be_meant_is_400(self, adm, usr):
        """Check 7."""
        for value in ({}, {"admin": True}, {"admin": "yes"}, []):
            usr.refused(403, "PUT", "/register", value)
        bodies = [b"", b"{bad", b"[]", b"null", b"1", b'"x"', b" ", b'{"admin": NaN}', b"\xff{}"]
        bodies += [b'{"admin": %s}' % each for each in (b'"yes"', b"1", b"null", b"[]")]
        labels = (b"5", b"null", b'"a\\nb"', b'"\\u0000"', b'"%s"' % (b"x" * 101))
        for body in [*bodies, *(b'{"label": %s}' % each for each in labels)]:
            assert_refused(adm.call("PUT", "/register", body), 400)
        long = b'{"x": "%s"}' % (b"x" * 64 * 1024)
        assert_refused(adm.call("PUT", "/register", long), 413)
        adm.call("PUT", "/register", b"{}" + b" " * (64 * 1024 - 2), status=201)

    @pytest.mark.backend
    def test_a_raw_token_is_nowhere_in_the_database_and_in_no_other_answer(self, adm, usr, hub):
        """Checks 8 and 45: every answer to a client is searched for all tokens."""
        raws = [adm.key, usr.key, (new := adm.registered(admin=True)).key]
        usr.create("my-lib")
        usr.grant("my-lib", new, "download")
        usr.get(f"/fetch/{new.key}")
        usr.delete(f"/prune/{new.key}", 403)
        adm.delete(f"/fetch/{new.key}", 405)
        usr.send_json("PUT", "/product/create", {"name": f"_{new.key}"}, 400)
        wish = {"product": "my-lib", "token": new.key, "permissions": {adm.key: True}}
        usr.refused(400, "PUT", "/product/modify/addToken", wish)
        usr.form({"product": "my-lib", "version": "1", "checksum": new.key}, status=400)
        for path in ("download/my-lib", "fetch", "delete/my-lib", "delete"):
            method = "DELETE" if "delete" in path else "GET"
            usr.refused(404, method, f"/product/{path}/{new.key}")
        usr.delete(f"/product/modify/deleteToken?product=my-lib&token={new.key}", 400)
        adm.registered().put("my-lib", new.key, status=403)
        rows = all_rows(hub)
        assert [each for each in raws if each in rows] == []
        assert [each for each in raws if sha256(each) not in rows] == []


class TestFetch:
    def test_whoever_holds_a_token_hears_its_digest_and_whether_it_is_an_admin_s(self, adm, usr):
        """Check 9."""
        for who, is_admin in ((usr, False), (adm, True)):
            response = usr.get(f"/fetch/{who.key}")
            assert response.json["token"] == sha256(who.key)
            assert response.json["admin"] is is_admin
            assert response.headers["Cache-Control"] == "no-store"
            assert set(response.json) == {"token", "admin", "label", "created_at", "last_used_at"}

    def test_only_admins_ask_by_digest_and_nobody_about_others(self, adm, usr, zadm, zusr):
        """Check 10."""
        assert adm.get(f"/fetch/{usr.digest}").json["token"] == usr.digest
        unknown = usr.get(f"/fetch/{UNKNOWN}", 404)
        for asking, which in [
            (usr, usr.digest),
            (usr, adm.digest),
            (usr, "nonsense"),
            (usr, "0" * 64),
            (adm, "0" * 64),
            *((who, what) for who in (usr, adm) for what in (zusr.key, zadm.key, zadm.digest)),
        ]:
            assert same_answer(asking.get(f"/fetch/{which}", 404)) == same_answer(unknown)

    def test_what_is_no_token_is_404(self, adm):
        for which in ("", "/", "//", "a/b", "%2e%2e", "..", ".", "%00", "ü", "a%2Fb"):
            assert_refused(adm.call("GET", f"/fetch/{which}"), 404)
            assert_refused(adm.call("DELETE", f"/prune/{which}"), 404)

    @pytest.mark.backend
    def test_its_label_and_when_it_was_used_last_are_told(self, adm, hub):
        assert adm.registered(label="x" * 100).accessible() == []
        new = adm.registered(label="für CI")
        told = adm.get(f"/fetch/{new.digest}").json
        assert (told["label"], told["last_used_at"]) == ("für CI", None)
        new.get("/product/access")
        hub.registry.afterwards.settle()
        told = adm.get(f"/fetch/{new.digest}").json
        assert told["last_used_at"] >= told["created_at"]


class TestPrune:
    @pytest.mark.backend
    def test_a_pruned_token_is_refused_at_once_and_cannot_be_pruned_again(self, adm, usr, usr2):
        """Check 11."""
        assert_refused(usr.call("DELETE", f"/prune/{usr2.key}"), 403)
        assert usr2.accessible() == []
        response = adm.prune(usr2.key)
        assert response.body == b""
        usr2.refused(401, "GET", "/product/access")
        adm.refused(404, "DELETE", f"/prune/{usr2.key}")
        adm.refused(404, "GET", f"/fetch/{usr2.digest}")
        adm.prune(adm.key)  # also the last admin
        adm.refused(401, "GET", "/product/access")

    @pytest.mark.backend
    def test_its_grants_end_with_it(self, adm, usr, usr2):
        """Check 12."""
        for name in ("my-lib", "other"):
            usr.create(name)
            usr.grant(name, usr2, "download")
        adm.prune(usr2.key)
        for name in ("my-lib", "other"):
            assert list(usr.product(name)["tokens"]) == [usr.digest]
        adm.prune(usr.digest)
        assert adm.product("my-lib")["tokens"] == {}
        usr.refused(401, "GET", "/product/access")

    def test_a_token_of_another_organisation_is_none(self, adm, zadm, zusr):
        """Check 13."""
        unknown = adm.delete(f"/prune/{UNKNOWN}", 404)
        for which in (zusr.key, zusr.digest, zadm.key, "0" * 64):
            assert same_answer(adm.delete(f"/prune/{which}", 404)) == same_answer(unknown)
        assert zusr.accessible() == []
        zadm.prune(zusr.digest)
        zusr.refused(401, "GET", "/product/access")

    @pytest.mark.backend
    def test_every_process_hears_of_it_at_once(self, tmp_path):
        """Check 11."""
        hubs = [Hub.below(tmp_path) for _ in range(2)]
        owner = hubs[0].organisation()
        admin, plain = owner.token(admin=True), owner.token()
        header = {"X-Api-Token": plain.key}
        for hub in hubs * 2:
            assert hub.app().get("/product/access", headers=header).json == []
        admin.delete(f"/prune/{plain.key}")
        for hub in hubs:
            hub.app().get("/product/access", headers=header, status=401)
            hub.registry.database.close()


def test_a_json_body_needs_no_content_type(usr):
    """Check 44."""
    for number, kind in enumerate([None, "text/plain", "application/octet-stream", "x"]):
        body = b'{"name": "lib-%d"}' % number
        usr.call("PUT", "/product/create", body, content_type=kind, status=201)
