"""The store is on S3, and S3 is down, silent, full, or breaks off: what those who call the hub see."""

import os
import time

import pytest
from botocore.exceptions import ClientError

from hubrepo.kernel.blobs import fetching
from hubrepo.kernel.blobs.stores.breaker import REST
from tests.support.archives import make_zip, manifest
from tests.support.hub import Hub
from tests.support.s3 import S3Server, Wire

pytestmark = pytest.mark.long

DOWNLOAD = "/api/packages/widget/versions/1/download"


@pytest.fixture
def wire(s3):
    with Wire(s3.endpoint) as wire:
        yield wire


@pytest.fixture
def timeout():
    """How long S3 may be silent: less than by default."""
    return "2"


@pytest.fixture
def acme(s3, wire, tmp_path, timeout):
    blobs = S3Server(wire.endpoint).url(f"{s3.new_bucket()}/hub", timeout=timeout)
    hub = Hub.below(tmp_path, blobs=blobs, blobs_in_memory="0")
    acme = hub.organisation()
    acme.publish("widget", large("widget"))
    acme.publish_page("docs", {"index.html": "<h1>Docs</h1>", "large.bin": os.urandom(200_000)})
    yield acme
    hub.registry.database.close()


@pytest.fixture
def clock(acme, monkeypatch):
    """The time by which a silent store is not asked again."""
    clock = [0.0]
    breaker = acme.hub.registry.stores.main.filesystem.bucket._breaker
    monkeypatch.setattr(breaker, "_clock", lambda: clock[0])
    return clock


def large(name: str) -> bytes:
    return make_zip({"package.toml": manifest(name), "bytes": bytes(200_000)}, compression=0)


def unavailable(answer):
    assert (answer.status_int, answer.headers.get("Retry-After")) == (503, "1")
    assert "try again" in answer.text or "cannot answer this request" in answer.text


def test_a_silent_store_is_503_and_not_asked_again_while_metadata_is_read(acme, wire, clock):
    wire.silent = True
    unavailable(acme.call("GET", DOWNLOAD))
    asked = wire.connections
    for _ in range(5):
        acme.get("/api/packages/widget")
        unavailable(acme.call("GET", DOWNLOAD))
        unavailable(acme.visit("docs/large.bin", status="*"))
    assert acme.hub.app().get("/_ah/health", status=503).json["blobs"] == "failing"
    assert wire.connections == asked


def test_a_publish_that_the_store_does_not_take_leaves_nothing_and_comes_through_later(
    acme, wire, clock
):
    wire.silent = True
    unavailable(acme.upload("/api/packages/widget/versions", large("widget"), status=503))
    assert len(acme.get("/api/packages/widget/versions").json) == 1
    wire.silent = False
    wire.hang_up()
    clock[0] += REST
    assert acme.publish("widget", large("widget"))["version"] == 2
    assert len(acme.download("widget", 2)) > 200_000


def test_bytes_that_break_off_or_cease_on_the_way_are_503_and_not_half_an_answer(acme, wire):
    wire.hang_up()
    wire.cut_after = 100_000
    unavailable(acme.call("GET", DOWNLOAD))
    unavailable(acme.visit("docs/large.bin", status="*"))
    wire.cut_after = None
    assert len(acme.download("widget", 1)) > 200_000
    wire.hang_up()
    wire.drips_until = time.monotonic() + 1
    unavailable(acme.call("GET", DOWNLOAD))


def test_what_comes_slowly_comes_whole(acme, monkeypatch):
    digits = "".join(map(str, range(100_000)))
    acme.publish_page("docs", {"large.bin": os.urandom(200_000), "digits.txt": digits})
    whole, page = acme.download("widget", 1), acme.visit("docs/large.bin").body
    monkeypatch.setattr(fetching, "PATIENCE", 0.0)
    assert acme.download("widget", 1) == whole
    assert acme.visit("docs/large.bin").body == page
    assert acme.visit("docs/digits.txt").text == digits


def test_a_store_that_is_full_is_507(acme):
    def refuse(model, **_):
        answer = {"Error": {"Code": "QuotaExceeded"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, model.name)

    events = acme.hub.registry.stores.main.filesystem.bucket.client.meta.events
    events.register("before-call.s3.PutObject", refuse)
    assert "full" in acme.publish("widget", large("widget"), status=507)["detail"]
    events.unregister("before-call.s3.PutObject", refuse)
    assert acme.publish("widget", large("widget"))["version"] == 2


@pytest.mark.stress
@pytest.mark.serial
@pytest.mark.parametrize("timeout", ["4"])
@pytest.mark.parametrize("drips", [None, 3.9])
def test_a_store_that_falls_silent_is_told_within_five_seconds(acme, wire, drips):
    wire.hang_up()
    started = time.monotonic()
    wire.silent, wire.drips_until = drips is None, drips and started + drips
    unavailable(acme.call("GET", DOWNLOAD))
    assert time.monotonic() - started < 5
