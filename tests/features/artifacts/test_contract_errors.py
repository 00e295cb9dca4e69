"""Statuses and shapes of what goes wrong: section 5, checks 42 and 43, and sections 1.1 and 1.5."""

import json
import logging
import re

import pytest

from hubrepo.features.artifacts.catalogue import Catalogue
from hubrepo.kernel.base.logs import JsonFormatter, LineFormatter
from tests.support.artifacts import OPERATIONS, assert_refused, caller
from tests.support.contract import same_answer

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
ALLOWED: dict[str, set[str]] = {}
for _method, _path, _ in OPERATIONS:
    ALLOWED.setdefault(_path, set()).add(_method)
# What differs between two answers to the same: tokens, digests and times.
APART = re.compile(rb"[0-9a-f]{64}|[0-9a-f]{48}|\d{4}-\d\d-\d\dT[\d:.]+Z")


@pytest.mark.backend
def test_every_operation_is_the_same_however_its_path_is_spelled(hub):
    """Check 43: as in the contract, below `/api`, with a slash at its end, below a prefix."""

    def tell(spelling, prefix=""):
        """Do everything once; statuses, headers and bodies."""
        client = caller(hub.organisation(), admin=True)
        client.app.lint, client.prefix = not prefix, prefix
        client.create("my-lib")
        client.put("my-lib", "v1")
        token = client.registered().digest
        fields = [("product", "my-lib"), ("version", "v2")]
        form = client.app.encode_multipart(fields, [("file", "a.bin", b"x")])
        for method, path, value in OPERATIONS:
            kind, body = (
                "application/json",
                json.dumps(value).replace('"{}"', f'"{token}"').encode(),
            )
            if value is None:
                kind, body = form if method == "POST" else (None, b"")
            url = spelling.format(path.format(token))
            status, headers, said = same_answer(client.call(method, url, body, content_type=kind))
            kept = [each for each in headers if each[0] not in {"Last-Modified", "Expires"}]
            yield method, path, status, kept, APART.sub(b"", said)

    told = list(tell("{}"))
    assert [each[:3] for each in told if each[2] >= 300] == []
    assert told == list(tell("/api{}")) == list(tell("{}/"))
    assert told == list(tell("{}", "/hub/of/acme"))


class TestMethods:
    def test_a_known_path_with_another_method_is_405(self, adm):
        """Check 42."""
        for path, fine in ALLOWED.items():
            reads = {"GET", "HEAD"} if "GET" in fine else set()
            for method in set(METHODS) - fine:
                response = adm.refused(405, method, path.format("x"), {})
                assert set(response.headers["Allow"].split(", ")) == fine | reads | {"OPTIONS"}

    def test_an_unknown_path_is_404(self, adm):
        """Check 42."""
        paths = (
            "/product/nope /product /product/access/x /register/x /health/x /fetch /product/Access"
        )
        for path in [*paths.split(), "/product/@@access"]:
            adm.refused(404, "GET", path, {})
        paths = "/product/create/x /product//create /product/modify /product/modify/addToken/x"
        for path in paths.split():
            adm.refused(404, "PUT", path, {})
        for path in ("/product/nope/x", "/product/upload/x"):
            adm.refused(404, "POST", path, {})
        adm.refused(404, "DELETE", "/prune", {})
        for path in ("/product/fetch/%ff", "/fetch/%ff", "/product/modify/%ff"):  # no text
            assert_refused(adm.app.request(path, expect_errors=True), 400)

    @pytest.mark.usefixtures("my_lib")
    def test_a_head_is_a_get_without_a_body(self, usr):
        usr.put("my-lib", "v1")
        for path in (each for each in ALLOWED if "GET" in ALLOWED[each]):
            target = path.format(usr.key)
            whole, head = usr.call("GET", target, status=200), usr.call("HEAD", target, status=200)
            assert head.body == b""
            assert head.headers["Content-Type"] == whole.headers["Content-Type"]
            usr.like(None).call("HEAD", target, status=401)


class TestConventions:
    def test_what_is_served_elsewhere_has_the_errors_of_others(self, hub):
        for path in ("/products", "/registered", "/healthy", "/nothing"):
            assert list(hub.app().get(path, status=404).json) == ["detail"]
        elsewhere = hub.app().get("/api/packages", status=401)
        assert list(elsewhere.json) == ["detail"]
        assert elsewhere.headers["WWW-Authenticate"] == "Api-Key"

    @pytest.mark.usefixtures("my_lib")
    def test_no_cache_between_keeps_what_is_private(self, usr):
        for path, status, said in (
            ("/product/access", 200, "private, no-cache"),
            ("/product/fetch/my-lib", 200, "private, no-cache"),
            ("/api/product/fetch/none", 404, "private, no-cache"),
            ("/health", 200, "no-store"),
            (f"/fetch/{usr.key}", 200, "no-store"),
            ("/fetch/x", 404, "no-store"),
            ("/prune/x", 405, "no-store"),
        ):
            assert usr.get(path, status).headers["Cache-Control"] == said

    @pytest.mark.usefixtures("my_lib")
    def test_a_bug_is_told_to_the_log_and_not_to_the_client(self, usr, monkeypatch, caplog):
        def fail(*_args):
            raise ZeroDivisionError("the inner workings")

        monkeypatch.setattr(Catalogue, "names", fail)
        with caplog.at_level(logging.ERROR, logger="hubrepo"):
            answer = usr.refused(500, "GET", "/product/access")
        details = {"request_id": answer.headers["X-Request-Id"]}
        assert answer.json == {"error": "internal error", "details": details}
        assert "the inner workings" in caplog.text


def test_401_405_403_of_admins_400_404_403_and_then_the_state(usr, usr2, my_lib):
    """Section 1.5, each before all that follow."""
    usr.put(my_lib, "v1")
    usr.like("bad").refused(401, "POST", "/register", [])
    usr2.refused(405, "POST", "/register", [])
    usr2.refused(403, "PUT", "/register", [])
    for who, product, version, status in (
        (usr2, "none", "../x", 400),
        (usr2, "none", "v9", 404),
        (usr2, my_lib, "v9", 403),
        (usr, my_lib, "v9", 404),
    ):
        wish = {"product": product, "version": version}
        who.refused(status, "DELETE", "/product/modify/deleteVersion", wish)


class TestLog:
    def test_a_line_names_the_caller_by_its_digest_and_shows_no_token(self, adm, usr, usr2, caplog):
        """Check 45."""
        with caplog.at_level(logging.INFO, logger="hubrepo"):
            usr.get(f"/fetch/{usr2.key}")
            usr.delete(f"/prune/{usr2.key}", 403)
            adm.prune(usr2.key)
            usr2.get(f"/fetch/{usr2.key}", 401)
            adm.get(f"/fetch/%{ord(usr2.key[0]):x}{usr2.key[1:]}", 404)
        for formatter in (LineFormatter("%(message)s"), JsonFormatter()):
            lines = [formatter.format(each) for each in caplog.records]
            text = "\n".join(lines)
            assert [each.key for each in (adm, usr, usr2) if each.key in text] == []
            asked = [each for each in lines if "/fetch/" in each or "/prune/" in each]
            assert len(asked) == 5
            assert all("/…" in each for each in asked)
            assert f"token:{usr.digest[:12]}" in asked[0]
            assert usr.digest not in text

    @pytest.mark.backend
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
        one, other, admin, made = (f"token:{each.digest[:12]}" for each in (usr, usr2, adm, new))
        assert [(each.actor, each.action, each.subject) for each in events] == [
            (admin, "artifacts:register", made),
            (one, "artifacts:create", "product:my-lib"),
            (one, "artifacts:grant", "product:my-lib"),
            (other, "artifacts:upload", "product:my-lib"),
            (one, "artifacts:withdraw", "product:my-lib"),
            (one, "artifacts:revoke", "product:my-lib"),
            (one, "artifacts:delete", "product:my-lib"),
            (admin, "artifacts:prune", made),
        ]
        assert events[2].details == {"product": "my-lib", "token": other, "flags": ["upload"]}

    @pytest.mark.usefixtures("my_lib")
    def test_what_is_refused_is_in_the_audit_too_and_shows_no_token(self, acme, adm, usr2):
        usr2.refused(403, "DELETE", "/product/delete/my-lib")
        usr2.refused(403, "DELETE", f"/api/prune/{adm.key}")
        usr2.refused(400, "PUT", "/product/modify/addToken", {})
        refused = [each for each in acme.events() if each.outcome == "refused"]
        assert [(each.action, each.subject, each.details["path"]) for each in refused] == [
            ("artifacts:maintain", "product", "/product/modify/addToken"),
            ("artifacts:tokens", "token", "/api/prune/…"),
            ("artifacts:maintain", "product:my-lib", "/product/delete/my-lib"),
        ]


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
