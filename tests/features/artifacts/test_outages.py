"""When a part of the hub fails: section 5, checks 3, 4 and 46."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial

import pytest

from hubrepo.features.artifacts.health import (
    PATIENCE,
    Health,
    NotWell,
    Probe,
    health_error,
    is_well,
)
from hubrepo.kernel.base import Unavailable
from tests.support.artifacts import OPERATIONS, assert_refused, caller
from tests.support.contract import file_part, multipart, text_part
from tests.support.hub import Hub
from tests.support.postgres import PostgreSQL
from tests.support.process import HubProcess, Wire
from tests.support.s3 import S3Server
from tests.support.s3 import Wire as Cable

pytestmark = pytest.mark.long

WELL = {"database": "Database is fine", "storage": "Storage is fine"}
SOON = PATIENCE + 1


@pytest.fixture
def broken(tmp_path):
    """A hub on a disk of its own, to be broken."""
    hub = Hub.below(tmp_path, database=f"sqlite:///{tmp_path}/hub.sqlite")
    yield hub
    hub.registry.database.close()


def told(client, status):
    """What `/health` says, soon and with nothing of the inside in it."""
    began = time.monotonic()
    answer = client.get("/health", status)
    assert time.monotonic() - began < SOON
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    for word in ("/tmp", "sqlite", "postgres", "127.0.0.1", "Error", "Traceback", "blobs"):
        assert word not in answer.text
    return answer.json


def test_a_hub_that_is_well_says_so_to_every_token(adm, usr):
    """Check 3."""
    for who in (adm, usr):
        assert told(who, 200) == WELL
    assert_refused(usr.like(None).call("GET", "/health"), 401)
    assert_refused(usr.like("bad").call("GET", "/health"), 401)


def test_a_store_that_is_gone_is_told_and_the_database_is_fine(broken, tmp_path, caplog):
    """Check 4."""
    client = caller(broken.organisation())
    client.create("my-lib")
    (tmp_path / "blobs").rename(tmp_path / "away")
    assert told(client, 503) == {**WELL, "storage": "Storage is unreachable"}
    assert_refused(client.form({"product": "my-lib", "version": "v1"}), 503)
    assert client.accessible() == ["my-lib"]
    # Not a word to strangers as long as it can be known that they are.
    assert_refused(client.like(None).call("GET", "/health"), 401)
    assert "storage is not well" in caplog.text
    (tmp_path / "away").rename(tmp_path / "blobs")
    assert told(client, 200) == WELL
    client.put("my-lib", "v1")


def test_a_store_that_is_silent_is_told_in_time(s3, tmp_path):
    """Check 4."""
    with Cable(s3.endpoint) as wire:
        hub = Hub.below(tmp_path, blobs=S3Server(wire.endpoint).url(f"{s3.new_bucket()}/hub"))
        client = caller(hub.organisation())
        assert told(client, 200) == WELL
        wire.silent = True
        found = told(client, 503)
        assert found["database"] == "Database is fine"
        assert "fine" not in found["storage"]
        wire.silent = False
        wire.hang_up()
        hub.registry.database.close()


def others_are_refused(client):
    """Every operation but `/health` is 503, as JSON, without a word of the inside."""
    for method, path, value in OPERATIONS:
        if path != "/health":
            answer = client.refused(503, method, path.format("x"), value)
            assert answer.headers["Retry-After"] == "1"
            assert "Traceback" not in answer.text
            assert "sql" not in answer.text.lower()


def test_a_file_that_is_gone_is_told_to_anybody(broken, tmp_path):
    """Check 46."""
    client = caller(broken.organisation())
    client.create("my-lib")
    broken.registry.database.close()
    (tmp_path / "hub.sqlite").rename(tmp_path / "away.sqlite")
    (tmp_path / "hub.sqlite").mkdir()
    for who in (client, client.like(None), client.like("bad")):
        assert told(who, 503) == {**WELL, "database": "Database is unreachable"}
    others_are_refused(client)
    (tmp_path / "hub.sqlite").rmdir()
    (tmp_path / "away.sqlite").rename(tmp_path / "hub.sqlite")
    assert told(client, 200) == WELL
    assert client.accessible() == ["my-lib"]


@contextmanager
def on_postgresql(tmp_path, server, port):
    hub = Hub.below(tmp_path, database=server.fresh().replace(str(server.port), str(port)))
    try:
        yield hub
    finally:
        hub.registry.database.close()


def test_a_server_that_is_away_is_told_to_anybody(tmp_path):
    """Check 46."""
    with PostgreSQL() as server, on_postgresql(tmp_path, server, server.port) as hub:
        client = caller(hub.organisation(), "/api{}")
        client.create("my-lib")
        server.stop()
        for who in (client, client.like(None)):
            assert told(who, 503) == {**WELL, "database": "Database is unreachable"}
        others_are_refused(client)
        server.start()
        assert told(client, 200) == WELL
        assert client.accessible() == ["my-lib"]


def test_a_server_that_is_silent_is_told_in_time(postgresql, tmp_path):
    """Check 46. Nobody would ever say who calls."""
    with Cable(f"http://127.0.0.1:{postgresql.port}") as wire:
        port = int(wire.endpoint.rpartition(":")[2])
        with on_postgresql(tmp_path, postgresql, port) as hub:
            client = caller(hub.organisation())
            assert told(client, 200) == WELL
            hub.registry.afterwards.settle()
            wire.silent = True
            for _ in range(2):
                assert told(client, 503) == {**WELL, "database": "Database does not answer"}
            wire.silent = False
            wire.hang_up()
            until = time.monotonic() + 10
            while client.get("/health", "*").status_int != 200 and time.monotonic() < until:
                time.sleep(0.05)
            assert told(client, 200) == WELL


class TestProbes:
    def test_a_part_that_hangs_holds_up_neither_the_answer_nor_the_others(self, monkeypatch):
        monkeypatch.setattr("hubrepo.features.artifacts.health.PATIENCE", 0.05)
        go_on, asked = threading.Event(), []

        def hang():
            asked.append(1)
            go_on.wait(30)

        health = Health({"database": lambda: None, "storage": hang})
        began = time.monotonic()
        for _ in range(3):
            report = health.report()
            assert report == {**WELL, "storage": "Storage does not answer"}
            assert not is_well(report)
        assert time.monotonic() - began < 5
        assert len(asked) == 1  # and not a thread for each question
        go_on.set()
        Probe("x", lambda: None).start().result(5)
        until = time.monotonic() + 10
        while not is_well(health.report()) and time.monotonic() < until:
            pass
        assert health.report() == WELL

    def test_what_is_wrong_is_told_to_the_log_and_not_to_the_client(self, caplog):
        def fail():
            raise RuntimeError("s3cret at /srv/blobs")

        assert Health({"cache": fail}).report() == {"cache": "Cache is unreachable"}
        assert "s3cret" in caplog.text

    def test_what_is_not_well_is_told_part_by_part_and_all_else_in_a_sentence(self):
        assert health_error(NotWell({"database": "Database is busy"})) == {
            "database": "Database is busy"
        }
        assert set(health_error(Unavailable())) == {"error"}


def test_the_log_of_a_process_shows_no_token(tmp_path):
    """Check 45: the real log of a real process."""
    with HubProcess(tmp_path) as hub:
        issue = partial(hub.command, "issue-artifact-token", "--org", "acme")
        admin, plain = issue("--admin"), issue("--label", "ci")
        asked = [
            ("GET", f"/fetch/{plain}", 200),
            ("GET", f"/api/fetch/{plain}/", 200),
            ("DELETE", f"/prune/{plain}", 204),
            ("DELETE", f"/prune/{plain}?token={plain}", 404),
            ("GET", f"/product/fetch/{plain}", 404),
        ]
        with Wire(hub.port) as client:
            for method, path, status in asked:
                answer = client.ask(method, path, headers={"X-Api-Token": admin})
                assert answer.status == status
        hub.stop()
        log = hub.log.read_text()
    assert (log.count("fetch/…"), log.count("prune/…")) == (3, 2)
    assert [each for each in (admin, plain) if each in log] == []


def test_a_slash_that_was_sent_encoded_deletes_nothing(tmp_path):
    """Section 1.1: over a socket, where it is known what was sent."""
    with HubProcess(tmp_path, server={"url_prefix": "/hub"}) as hub, Wire(hub.port) as client:
        sent = {"X-Api-Token": hub.command("issue-artifact-token", "--org", "acme", "--admin")}
        client.ask("PUT", "/hub/product/create", b'{"name": "my-lib"}', sent)
        body = multipart(
            [text_part("product", "my-lib"), text_part("version", "v1"), file_part(b"x")]
        )
        form = {**sent, "Content-Type": "multipart/form-data; boundary=frontier"}
        assert client.ask("POST", "/hub/product/upload", body, form).status == 201
        for path, status in (("my-lib%2Fv1", 404), ("my-lib%2fv1/", 404), ("my-lib/v1", 204)):
            answer = client.ask("DELETE", f"/hub/product/delete/{path}", headers=sent)
            assert answer.status == status


SILENT = """
from threading import Event
from hubrepo.features.artifacts.health import Health
print(Health({"storage": Event().wait}).report()["storage"])
"""


def test_a_part_that_hangs_does_not_keep_the_process_from_ending():
    done = subprocess.run(
        [sys.executable, "-c", SILENT], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "Storage does not answer\n"
