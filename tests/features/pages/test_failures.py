"""When a part of the hub fails while a page is published, what was live stays so, and nothing is half done."""

import errno
import os
import shutil
from contextlib import contextmanager
from datetime import timedelta

import pytest
from pyramid_retry import mark_error_retryable
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import adopt_orphans, tidy
from tests.support.hub import Hub

ONE, TWO = {"index.html": "one"}, {"index.html": "two", "more.txt": "more"}


@pytest.fixture
def hub(tmp_path):
    hub = Hub.below(tmp_path)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def acme(hub):
    acme = hub.organisation()
    acme.publish_page("x", ONE)
    return acme


class SerializationFailure(Exception):
    """What PostgreSQL says when another transaction was first."""

    sqlstate = "40001"


@contextmanager
def commits_that_fail(hub, times):
    """As when others are always first."""
    left = [times]

    def fail(connection):
        if connection.get_execution_options().get("writes") and left[0]:
            left[0] -= 1
            error = OperationalError("COMMIT", {}, SerializationFailure())
            mark_error_retryable(error)
            raise error

    event.listen(hub.registry.database.engine, "commit", fail)
    try:
        yield
    finally:
        event.remove(hub.registry.database.engine, "commit", fail)


def blobs(tmp_path):
    return [each for each in (tmp_path / "blobs").rglob("*") if each.is_file()]


@pytest.mark.backend
def test_a_commit_that_fails_once_is_tried_again_with_the_same_upload(hub, acme):
    with commits_that_fail(hub, 1):
        assert acme.publish_page("x", TWO)["publication"] == 2
    assert (acme.visit("x/").text, acme.visit("x/more.txt").text) == ("two", "more")
    assert len(acme.get("/api/pages/x/publications").json) == 2
    assert [each.action for each in acme.events()[:2]] == ["pages:publish", "pages:publish"]


@pytest.mark.backend
def test_a_commit_that_fails_for_good_leaves_what_was_live_and_bytes_for_gc(hub, acme, tmp_path):
    before = blobs(tmp_path)
    with commits_that_fail(hub, 3):
        acme.publish_page("x", TWO, status=503)
    assert acme.visit("x/").text == "one"
    assert [each["publication"] for each in acme.get("/api/pages/x/publications").json] == [1]
    assert len(blobs(tmp_path)) == len(before) + 1
    later = now() + timedelta(hours=1)
    adopt_orphans(hub.registry.database, hub.registry.stores, later, dry_run=False)
    tidy(hub.registry)
    assert blobs(tmp_path) == before
    assert acme.publish_page("x", TWO)["publication"] == 2


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EIO, 503)])
def test_bytes_that_cannot_be_kept_leave_what_was_live(acme, tmp_path, monkeypatch, number, status):
    real = os.replace

    def fail(source, target):
        raise OSError(number, "injected")

    before = blobs(tmp_path)
    monkeypatch.setattr(os, "replace", fail)
    acme.publish_page("x", TWO, status=status)
    monkeypatch.setattr(os, "replace", real)
    assert acme.visit("x/").text == "one"
    assert blobs(tmp_path) == before
    assert acme.publish_page("x", TWO)["publication"] == 2


def test_missing_bytes_are_nothing_to_visitors_and_told_to_the_log(acme, tmp_path, caplog):
    for folder in (tmp_path / "blobs").iterdir():
        if folder.name != ".stage":
            shutil.rmtree(folder)
    answer = acme.visit("x/", 404)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"the archive behind /pages/{acme.slug}/x/ is missing" in caplog.text


def test_a_page_that_was_in_memory_comes_back_from_its_archive_after_a_restart(acme, tmp_path):
    assert acme.visit("x/").text == "one"
    acme.hub.registry.database.close()
    again = Hub.below(tmp_path)
    try:
        assert again.app().get(f"/pages/{acme.slug}/x/").text == "one"
    finally:
        again.registry.database.close()
