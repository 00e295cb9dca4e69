"""Downloads that the hub leaves to the store (`hubrepo.redirect_downloads`)."""

from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.support.hub import Hub

pytestmark = pytest.mark.long

VERSION = "/api/packages/widget/versions/1/download"
PATHS = [VERSION, "/api/packages/widget/latest", "/api/packages/widget/aliases/stable/download"]


@pytest.fixture(scope="module")
def hub(s3, tmp_path_factory):
    hub = Hub.below(
        tmp_path_factory.mktemp("redirects"),
        blobs=s3.url(f"{s3.new_bucket()}/hub"),
        redirect_downloads="true",
    )
    yield hub
    hub.registry.database.close()


@pytest.fixture
def widget(acme):
    acme.publish("widget")
    acme.send_json("PUT", "/api/packages/widget/aliases/stable", {"version": 1})
    return acme


def test_whoever_follows_has_the_bytes_with_their_name_and_type(widget):
    for path in PATHS:
        led = widget.get(path, 302)
        assert (led.body, led.headers["Cache-Control"]) == (b"", "no-store")
        as_the_hub_says = widget.call("HEAD", path)
        with urlopen(led.headers["Location"]) as answer:
            assert len(answer.read()) == int(as_the_hub_says.headers["Content-Length"])
            for name in ("Content-Type", "Content-Disposition", "Cache-Control"):
                assert answer.headers[name] == as_the_hub_says.headers[name]
        assert 'filename="widget-v1.zip"' in as_the_hub_says.headers["Content-Disposition"]


def test_a_range_is_asked_of_the_store(widget):
    sent = {"Range": "bytes=0-3"}
    led = widget.get(VERSION, 302, headers=sent)
    with urlopen(Request(led.headers["Location"], headers=sent)) as answer:
        assert (answer.status, answer.read()) == (206, b"PK\x03\x04")


def test_what_needs_no_bytes_the_hub_answers_itself(widget, beta):
    tag = widget.call("HEAD", VERSION, status=200).headers["ETag"]
    widget.get(VERSION, 304, headers={"If-None-Match": tag})
    widget.get(VERSION, 412, headers={"If-Match": '"another"'})
    widget.get(VERSION, 416, headers={"Range": "bytes=99999999-"})
    missing = beta.get(VERSION.replace("widget", "nothing"), 404)
    assert beta.get(VERSION, 404).json == missing.json
    widget.hub.app().get(VERSION, status=401)
    widget.send_json("DELETE", "/api/packages/widget/versions/1", {"reason": "leaked"})
    widget.get(VERSION, 410)


def test_an_address_is_good_for_a_minute_and_holds_no_secret(widget, s3):
    location = widget.get(VERSION, 302).headers["Location"]
    assert parse_qs(urlsplit(location).query)["X-Amz-Expires"] == ["60"]
    assert s3.environ["AWS_SECRET_ACCESS_KEY"] not in location
    assert widget.key not in location


def test_a_store_without_addresses_sends_the_bytes_itself(tmp_path):
    hub = Hub.below(tmp_path, redirect_downloads="true")
    acme = hub.organisation()
    acme.publish("widget")
    assert acme.download("widget", 1).startswith(b"PK")
    hub.registry.database.close()
