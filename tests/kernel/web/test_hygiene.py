"""What every answer says of itself, and what none says of the server."""

import logging

import pytest

from tests.support.hub import Client

ANSWERS = [
    ("GET", "/api/packages", 200),
    ("HEAD", "/api/packages", 200),
    ("OPTIONS", "/api/packages", 200),
    ("GET", "/api/packages/widget/versions/1/download", 200),
    ("POST", "/api/packages", 400),
    ("GET", "/api/packages/nothing", 404),
    ("GET", "/nothing", 404),
    ("PUT", "/api/packages", 405),
    ("GET", "/%ff", 400),
    ("GET", "/_ah/health", 200),
    ("GET", "/_ah/nothing", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_is_hardened_and_names_no_server(acme, method, path, status, known):
    acme.publish("widget")
    caller = acme if known else Client(acme.hub, acme.slug, "kpf_nonsense")
    response = caller.call(method, path)
    assert response.status_int in ({status} if known else {status, 401})
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Server" not in response.headers
    assert "Set-Cookie" not in response.headers
    assert not {name for name in response.headers if name.startswith("Access-Control-")}


@pytest.mark.parametrize("path", ["/api/packages", "/api/packages/nothing", "/nothing", "/%ff"])
def test_the_log_names_a_request_as_its_answer_does(acme, caplog, path):
    with caplog.at_level(logging.INFO, logger="hubrepo.access"):
        found = {acme.call("GET", path).headers["X-Request-Id"] for _ in range(2)}
    assert {
        record.request_id for record in caplog.records if record.name == "hubrepo.access"
    } == found
    assert len(found) == 2
