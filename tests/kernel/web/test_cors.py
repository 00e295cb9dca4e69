"""Scripts of other sites may call the API from the origins that are configured, and from no other."""

import pytest

from hubrepo.kernel.base import Misconfigured
from tests.support.features import needs_artifacts
from tests.support.hub import Hub

APP = "https://app.example.com"


@pytest.fixture(scope="module")
def open_hub(tmp_path_factory):
    hub = Hub.below(tmp_path_factory.mktemp("cors"), cors_origins=f"{APP} http://localhost:3000")
    yield hub
    hub.registry.database.close()


def ask(hub, method, path, origin, key="", **headers):
    headers |= {"Origin": origin, "Access-Control-Request-Method": "GET"}
    if key:
        headers["Authorization"] = f"Api-Key {key}"
    return hub.app().request(path, method=method, headers=headers, status="*")


def shared(response):
    return {name for name, _ in response.headerlist if name.startswith("Access-Control-")}


def test_by_default_nothing_is_shared_and_below_the_api_alone(hub, open_hub):
    for method in ("GET", "OPTIONS"):
        for path in ("/api/packages", "/api/nothing", "/_ah/health", "/nothing"):
            response = ask(hub, method, path, APP)
            assert shared(response) == set()
            assert "Origin" not in response.headers.get("Vary", "")
    for path in ("/_ah/health", "/apix", "/"):
        assert shared(ask(open_hub, "GET", path, APP)) == set()


def test_a_preflight_is_answered_without_a_key(open_hub):
    wanted = {"Access-Control-Request-Headers": "authorization"}
    response = ask(open_hub, "OPTIONS", "/api/packages/widget/versions", APP, **wanted)
    assert (response.status_int, response.body) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Request-Id"]


def test_answers_and_errors_are_shared_with_that_origin_and_without_cookies(open_hub):
    acme = open_hub.organisation()
    for key, status in ((acme.key, 200), ("", 401)):
        response = ask(open_hub, "GET", "/api/packages", APP, key)
        assert response.status_int == status
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert "ETag" in response.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert "Origin" in response.headers["Vary"]


def test_nothing_is_shared_with_another(open_hub):
    acme = open_hub.organisation()
    others = ("https://evil.example", "null", "", f"{APP}.evil.example", f"{APP}:444", APP.upper())
    for origin in others:
        for method in ("GET", "OPTIONS"):
            response = ask(open_hub, method, "/api/packages", origin, acme.key)
            assert shared(response) == set()
            assert "Origin" in response.headers["Vary"]


def test_what_is_no_origin_stops_the_start(tmp_path):
    for origin in (
        "app.example.com", "https://", "https://a/b", "ftp://a", "*x", "https://App.example.com",
        "https://a:443", "http://a:80", "https://a?b", "https://a#", "https://a\\b",
    ):  # fmt: skip
        with pytest.raises(Misconfigured, match="no origin"):
            Hub.below(tmp_path, cors_origins=origin)


@needs_artifacts
def test_a_surface_shares_headers_of_its_own_beside_those_of_all(open_hub):
    asked = ask(open_hub, "OPTIONS", "/api/product/access", APP)
    allowed = asked.headers["Access-Control-Allow-Headers"].split(", ")
    exposed = asked.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Api-Token", "Authorization"} <= set(allowed)
    assert {"X-Checksum-Sha256", "ETag"} <= set(exposed)
    assert (allowed, exposed) == (sorted(set(allowed)), sorted(set(exposed)))
    token = open_hub.organisation().token()
    answer = token.get("/api/product/access", headers={"Origin": APP})
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert "X-Checksum-Sha256" in answer.headers["Access-Control-Expose-Headers"]
    # At the root nothing is shared, there as everywhere.
    assert shared(token.get("/product/access", headers={"Origin": APP})) == set()
