"""Statuses and shapes of what goes wrong: section 5, checks 42 and 43, and sections 1.1 and 1.5."""

import json
import logging

import pytest

from hubrepo.features.artifacts.catalogue import Catalogue
from hubrepo.kernel.base.logs import JsonFormatter, LineFormatter
from tests.support.artifacts import OPERATIONS, assert_refused, caller

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
ALLOWED: dict[str, set[str]] = {}
for _method, _path, _ in OPERATIONS:
    ALLOWED.setdefault(_path, set()).add(_method)


class TestMethods:
    @pytest.mark.parametrize("path", ALLOWED)
    def test_a_known_path_with_another_method_is_405(self, adm, path):
        """Check 42."""
        fine = ALLOWED[path]
        reads = {"GET", "HEAD"} if "GET" in fine else set()
        for method in METHODS:
            if method not in fine:
                response = adm.refused(405, method, path.format("x"), {})
                assert set(response.headers["Allow"].split(", ")) == fine | reads | {"OPTIONS"}

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            *(("GET", "/product/nope"), ("POST", "/product/nope/x"), ("GET", "/product")),
            *(("GET", "/product/access/x"), ("PUT", "/product/create/x"), ("GET", "/register/x")),
            *(
                ("GET", "/health/x"),
                ("GET", "/fetch"),
                ("DELETE", "/prune"),
                ("PUT", "/product//create"),
            ),
            *(("POST", "/product/upload/x"), ("PUT", "/product/modify/addToken/x")),
            *(("PUT", "/product/modify"), ("GET", "/product/@@access"), ("GET", "/product/Access")),
        ],
    )
    def test_an_unknown_path_is_404(self, adm, method, path):
        """Check 42."""
        adm.refused(404, method, path, {})

    @pytest.mark.parametrize("path", sorted(path for path in ALLOWED if "GET" in ALLOWED[path]))
    def test_a_head_is_a_get_without_a_body(self, usr, path, my_lib):
        usr.put(my_lib, "v1")
        target = path.format(usr.key)
        whole, head = usr.call("GET", target, status=200), usr.call("HEAD", target, status=200)
        assert head.body == b""
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]
        usr.like(None).call("HEAD", target, status=401)

    def test_what_nobody_serves_is_404_in_the_shape_of_others(self, usr):
        for path in ("/products", "/registered", "/healthy", "/nothing"):
            answer = usr.hub.app().get(path, status=404)
            assert list(answer.json) == ["detail"]


class TestConventions:
    @pytest.mark.parametrize("path", ["/health", "/register", "/fetch/x", "/product/access"])
    def test_an_error_is_one_at_both_places_and_others_keep_theirs(self, usr, path):
        """Check 43."""
        for prefix in ("", "/api"):
            assert_refused(usr.hub.app().get(f"{prefix}{path}", expect_errors=True), 401)
        elsewhere = usr.hub.app().get("/api/packages", status=401)
        assert list(elsewhere.json) == ["detail"]
        assert elsewhere.headers["WWW-Authenticate"] == "Api-Key"

    @pytest.mark.parametrize("path", ["/health", "/product/access", "/product/fetch/my-lib"])
    @pytest.mark.usefixtures("my_lib")
    def test_below_a_prefix_everything_is_the_same(self, usr, path):
        usr.app.lint = False
        here = usr.get(path).json
        usr.prefix = "/hub/of/acme"
        assert usr.get(path).json == here
        usr.prefix = ""

    @pytest.mark.usefixtures("my_lib")
    def test_what_may_not_be_kept_says_so(self, adm, usr):
        adm.send_json("PUT", "/register", {}, 201)
        for path in ("/health", f"/fetch/{usr.key}", "/fetch/x"):
            assert usr.get(path, "*").headers["Cache-Control"] == "no-store"

    def test_bytes_that_are_no_text_are_400(self, usr):
        for path in ("/product/fetch/%ff", "/fetch/%ff", "/product/modify/%ff"):
            answer = usr.app.request(path, expect_errors=True)
            assert_refused(answer, 400)

    @pytest.mark.usefixtures("my_lib")
    def test_a_bug_is_told_to_the_log_and_not_to_the_client(self, usr, monkeypatch, caplog):
        def fail(*_args):
            raise ZeroDivisionError("the inner workings")

        monkeypatch.setattr(Catalogue, "names", fail)
        with caplog.at_level(logging.ERROR, logger="hubrepo"):
            answer = usr.refused(500, "GET", "/product/access")
        assert answer.json == {
            "error": "internal error",
            "details": {"request_id": answer.headers["X-Request-Id"]},
        }
        assert "the inner workings" in caplog.text


class TestOrder:
    def test_401_405_403_of_admins_400_404_403_and_then_the_state(self, usr, usr2, my_lib):
        """Section 1.5, each before all that follow."""
        usr.put(my_lib, "v1")
        usr.like("bad").refused(401, "POST", "/register", [])
        usr2.refused(405, "POST", "/register", [])
        usr2.refused(403, "PUT", "/register", [])
        path = "/product/modify/deleteVersion"
        usr2.refused(400, "DELETE", path, {"product": "none", "version": "../x"})
        usr2.refused(404, "DELETE", path, {"product": "none", "version": "v9"})
        usr2.refused(403, "DELETE", path, {"product": my_lib, "version": "v9"})
        usr.refused(404, "DELETE", path, {"product": my_lib, "version": "v9"})


class TestLog:
    @pytest.mark.parametrize("formatter", [LineFormatter("%(message)s"), JsonFormatter()])
    def test_a_line_names_the_caller_by_its_digest_and_shows_no_token(
        self, adm, usr, usr2, caplog, formatter
    ):
        """Check 45."""
        with caplog.at_level(logging.INFO, logger="hubrepo"):
            usr.get(f"/fetch/{usr2.key}")
            usr.delete(f"/prune/{usr2.key}", 403)
            adm.prune(usr2.key)
            usr2.get(f"/fetch/{usr2.key}", 401)
            adm.get(f"/fetch/%{ord(usr2.key[0]):x}{usr2.key[1:]}", 404)
        lines = [formatter.format(each) for each in caplog.records]
        text = "\n".join(lines)
        assert [each.key for each in (adm, usr, usr2) if each.key in text] == []
        asked = [each for each in lines if "/fetch/" in each or "/prune/" in each]
        assert len(asked) == 5
        assert all("/…" in each for each in asked)
        assert f"token:{usr.digest[:12]}" in asked[0]
        assert usr.digest not in text

    def test_the_audit_names_who_did_what_to_which(self, acme, adm, usr, usr2):
        """Section 6, 11."""
        new = adm.registered(label="ci")
        usr.create("my-lib")
        usr.grant("my-lib", usr2, "upload")
        usr2.put("my-lib", "v1", b"x")
        usr.delete("/product/delete/my-lib/v1")
        remove = {"product": "my-lib", "token": usr2.digest}
        usr.send_json("DELETE", "/product/modify/deleteToken", remove, 204)
        usr.delete("/product/delete/my-lib")
        adm.prune(new.key)
        events = [each for each in reversed(acme.events()) if each.request_id]

        def name(token):
            return f"token:{token.digest[:12]}"

        assert [(each.actor, each.action, each.subject) for each in events] == [
            (name(adm), "artifacts:register", name(new)),
            (name(usr), "artifacts:create", "product:my-lib"),
            (name(usr), "artifacts:grant", "product:my-lib"),
            (name(usr2), "artifacts:upload", "product:my-lib"),
            (name(usr), "artifacts:withdraw", "product:my-lib"),
            (name(usr), "artifacts:revoke", "product:my-lib"),
            (name(usr), "artifacts:delete", "product:my-lib"),
            (name(adm), "artifacts:prune", name(new)),
        ]
        wanted = {"product": "my-lib", "token": name(usr2), "flags": ["upload"]}
        assert events[2].details == wanted

    @pytest.mark.usefixtures("my_lib")
    def test_what_is_refused_is_in_the_audit_too(self, acme, adm, usr2):
        usr2.refused(403, "DELETE", "/product/delete/my-lib")
        usr2.refused(403, "DELETE", f"/prune/{adm.key}")
        usr2.refused(400, "PUT", "/product/modify/addToken", {})
        refused = [each for each in acme.events() if each.outcome == "refused"]
        assert [(each.action, each.subject) for each in refused] == [
            ("artifacts:maintain", "product"),
            ("artifacts:tokens", "token"),
            ("artifacts:maintain", "product:my-lib"),
        ]
        assert adm.key not in json.dumps([each.details for each in refused])


def test_what_is_answered_and_kept_of_nonsense_is_short(adm, usr, my_lib):
    long = "x" * 60_000
    answers = [
        usr.refused(400, "PUT", "/product/create", {"name": long}),
        adm.refused(400, "PUT", "/register", {"label": long}),
        usr.refused(404, "GET", f"/product/fetch/{long}"),
        usr.refused(404, "GET", f"/fetch/{long}"),
        usr.refused(400, "PUT", f"/product/modify/{long}", {}),
        usr.form({"product": my_lib, "version": "v1", "checksum": long}),
    ]
    assert max(len(each.body) for each in answers) < 1_000
    assert max(len(str(each.details)) for each in usr.events()) < 2_000


def test_two_features_of_one_hub_keep_their_credentials_apart(hub):
    owner = hub.organisation()
    token = caller(owner, admin=True)
    for path in ("/api/packages", "/api/organisation", "/api/pages"):
        answer = hub.app().get(path, headers={"X-Api-Token": token.key}, status=401)
        assert list(answer.json) == ["detail"]
        owner.get(path, headers={"X-Api-Token": "bad"})
