"""What every answer says of itself, and what none says of the server."""

import logging

from tests.support.hub import Client

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ANSWERS = """GET /api/packages 200, HEAD /api/packages 200, OPTIONS /api/packages 200,
    GET /api/packages/widget/versions/1/download 200, POST /api/packages 400, GET /api/packages/nothing 404,
    GET /nothing 404, PUT /api/packages 405, GET /%ff 400, GET /_ah/health 200, GET /_ah/nothing 404"""


def test_every_answer_is_hardened_and_names_no_server(acme):
    acme.publish("widget")
    stranger = Client(acme.hub, acme.slug, "kpf_nonsense")
    for asked in ANSWERS.split(","):
        method, path, status = asked.split()
        for caller in (acme, stranger):
            response = caller.call(method, path)
            assert response.status_int in ({int(status)} if caller is acme else {int(status), 401})
            assert HEADERS.items() <= dict(response.headers).items()
            assert not {"Server", "Set-Cookie"} & set(response.headers)
            assert not {name for name in response.headers if name.startswith("Access-Control-")}


def test_the_log_names_a_request_as_its_answer_does(acme, caplog):
    paths = ["/api/packages", "/api/packages/nothing", "/nothing", "/%ff"]
    with caplog.at_level(logging.INFO, logger="hubrepo.access"):
        found = [acme.call("GET", path).headers["X-Request-Id"] for path in paths]
    told = [each.request_id for each in caplog.records if each.name == "hubrepo.access"]
    assert told == found
    assert len(set(found)) == len(paths)
