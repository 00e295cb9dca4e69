"""When a part of the hub fails, the answer says so in the surface's own shape, and nothing is half done."""

import errno
import logging
import os
import shutil

import pytest
from webob import Request

from hubrepo.features.packages.catalogue import Catalogue
from hubrepo.features.packages.models import Package
from hubrepo.kernel.base import now
from hubrepo.kernel.base.logs import LineFormatter
from tests.support.archives import package_zip
from tests.support.hub import Hub


@pytest.fixture
def hub(tmp_path):
    hub = Hub.below(tmp_path, database_busy_timeout="1")
    yield hub
    hub.registry.database.close()


@pytest.fixture
def acme(hub):
    return hub.organisation()


def test_a_store_that_is_gone_is_unhealthy_and_publishing_waits_for_it(hub, acme, tmp_path):
    answer = hub.app().get("/_ah/health")
    assert answer.json == {"status": "ok", "database": "ok", "blobs": "ok"}
    acme.publish("widget")
    (tmp_path / "blobs").rename(tmp_path / "away")
    answer = hub.app().get("/_ah/health", status=503)
    assert answer.json == {"status": "failing", "database": "ok", "blobs": "failing"}
    assert "try again" in acme.publish("widget", status=503)["detail"]
    acme.get("/api/packages/widget")
    (tmp_path / "away").rename(tmp_path / "blobs")
    assert acme.publish("widget")["version"] == 2


@pytest.mark.backend
def test_a_database_that_is_busy_for_too_long_is_503_with_a_time_to_come_back(hub, acme):
    acme.publish("widget")
    with hub.registry.database.writing() as db:
        organisation = hub.accounts(db).organisation(acme.slug)
        db.add(Package(organisation_id=organisation.id, name="gadget", created_at=now(), head=0))
        db.flush()
        answer = acme.send_json("POST", "/api/packages", {"name": "gadget"}, status=503)
        acme.get("/api/packages/widget")
        db.rollback()
    assert answer.headers["Retry-After"] == "1"
    assert "busy" in answer.json["detail"]
    acme.send_json("POST", "/api/packages", {"name": "gadget"}, status=201)


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EIO, 503)])
def test_bytes_that_cannot_be_kept_leave_nothing_behind(
    hub, acme, tmp_path, monkeypatch, number, status
):
    acme.publish("widget")
    real = os.replace

    def fail(source, target):
        raise OSError(number, "injected")

    monkeypatch.setattr(os, "replace", fail)
    acme.publish("widget", status=status)
    monkeypatch.setattr(os, "replace", real)
    assert len(acme.get("/api/packages/widget/versions").json) == 1
    assert list((tmp_path / "blobs" / ".stage").iterdir()) == []
    assert acme.publish("widget")["version"] == 2


def test_a_bug_is_told_to_the_log_and_not_to_the_client(hub, acme, monkeypatch, caplog):
    def fail(*_args):
        raise ZeroDivisionError("the inner workings")

    monkeypatch.setattr(Catalogue, "packages", fail)
    answer = acme.get("/api/packages", status=500)
    assert answer.json == {"detail": "internal error", "request_id": answer.headers["X-Request-Id"]}
    assert "the inner workings" in caplog.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_missing_bytes_are_404_and_told_to_the_log(acme, tmp_path, caplog):
    acme.publish("widget")
    for folder in (tmp_path / "blobs").iterdir():
        if folder.name != ".stage":
            shutil.rmtree(folder)
    answer = acme.get("/api/packages/widget/versions/1/download", status=404)
    assert answer.json == {"detail": "zip not found on disk"}
    assert "the bytes of widget version 1 are missing" in caplog.text


def test_the_access_log_names_the_caller_without_the_key_and_is_one_line(acme, caplog):
    with caplog.at_level(logging.INFO, logger="hubrepo.access"):
        acme.call("GET", f"/api/packages/{acme.key}")
        acme.call("GET", "/api/packages/x%0Aforged%20line%E2%80%A8another")
    known, forged = (LineFormatter("%(message)s").format(each) for each in caplog.records)
    assert f'key:{acme.key[:12]} "GET /api/packages/{acme.key[:12]}_…" 404' in known
    assert acme.key not in known
    assert len(forged.splitlines()) == 1


def test_a_request_target_without_a_path_is_400(hub):
    request = Request.blank("/", method="OPTIONS", environ={"PATH_INFO": "*"})
    answer = request.get_response(hub.wsgi)
    assert (answer.status_int, answer.json) == (400, {"detail": "the URL has no path"})


def test_media_types_have_no_case_and_no_likes(acme):
    content_type, body = acme.app.encode_multipart([], [("file", "x.zip", package_zip("widget"))])
    likes = content_type.replace("form-data", "form-datax")
    path = "/api/packages/widget/versions"
    assert acme.call("POST", path, body, content_type=likes).status_int == 415
    acme.call("POST", path, body, content_type=content_type.replace("multi", "MULTI"), status=201)
    nameless = body.replace(b'name="file"', b'name=""')
    acme.call("DELETE", "/api/packages/widget", nameless, content_type=content_type, status=204)


def test_what_is_answered_and_kept_of_nonsense_is_short(acme):
    answer = acme.send_json("POST", "/api/packages", {"x" * 100_000: 1}, status=400)
    assert len(answer.body) < 2_000
    assert max(len(str(event.details)) for event in acme.events()) < 2_000


def test_metrics_count_requests_where_they_are_on(acme, hub, tmp_path):
    acme.get("/api/packages")
    counted = 'hubrepo_request_seconds_count{method="GET",status="200"}'
    assert counted in hub.app().get("/_ah/metrics").text
    silent = Hub.below(tmp_path / "silent", metrics="false")
    silent.app().get("/_ah/metrics", status=404)
    silent.registry.database.close()
