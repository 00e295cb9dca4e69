"""When a part of the hub fails: section 5, checks 3, 4 and 46."""

import itertools
import threading

import pytest

from hubrepo.features.artifacts import health
from hubrepo.features.artifacts.health import Health, NotWell, health_error, is_well
from hubrepo.kernel.base import Unavailable
from tests.support.artifacts import OPERATIONS, assert_refused, caller
from tests.support.hub import Hub
from tests.support.s3 import Wire as Cable

WELL = {"database": "Database is fine", "storage": "Storage is fine"}


@pytest.fixture
def broken(tmp_path):
    """A hub on a disk of its own, to be broken."""
    hub = Hub.below(tmp_path, database=f"sqlite:///{tmp_path}/hub.sqlite")
    yield hub
    hub.registry.database.close()


def told(client, status):
    """What `/health` says, with nothing of the inside in it."""
    answer = client.get("/health", status)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    for word in ("/tmp", "/dev", "sqlite", "postgres", "127.0.0.1", "Error", "Traceback", "blobs"):
        assert word not in answer.text
    return answer.json


@pytest.mark.backend
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


def test_a_file_that_is_gone_is_told_to_anybody(broken, tmp_path):
    """Check 46."""
    client = caller(broken.organisation())
    client.create("my-lib")
    broken.registry.database.close()
    (tmp_path / "hub.sqlite").rename(tmp_path / "away.sqlite")
    (tmp_path / "hub.sqlite").mkdir()
    for who in (client, client.like(None), client.like("bad")):
        assert told(who, 503) == {**WELL, "database": "Database is unreachable"}
    for method, path, value in OPERATIONS[1:]:
        answer = client.refused(503, method, path.format("x"), value)
        assert answer.headers["Retry-After"] == "1"
        assert "Traceback" not in answer.text
        assert "sql" not in answer.text.lower()
    (tmp_path / "hub.sqlite").rmdir()
    (tmp_path / "away.sqlite").rename(tmp_path / "hub.sqlite")
    assert told(client, 200) == WELL
    assert client.accessible() == ["my-lib"]


@pytest.mark.backend
@pytest.mark.long
def test_a_server_that_is_silent_or_away_is_told_to_anybody(postgresql, tmp_path, monkeypatch):
    """Check 46. A silent one would never say who calls."""
    url = postgresql.fresh()
    with Cable(f"http://127.0.0.1:{postgresql.port}") as wire:
        port = wire.endpoint.rpartition(":")[2]
        monkeypatch.setattr(health, "PATIENCE", 60.0)
        hub = Hub.below(tmp_path, database=url.replace(str(postgresql.port), port))
        client = caller(hub.organisation())
        assert told(client, 200) == WELL
        hub.registry.afterwards.settle()
        monkeypatch.setattr(health, "PATIENCE", 0.2)
        wire.silent = True
        for who in (client, client.like(None)):
            assert told(who, 503)["database"] == "Database does not answer"
        monkeypatch.setattr(health, "PATIENCE", 60.0)
    for who in (client, client.like(None)):
        assert told(who, 503) == {**WELL, "database": "Database is unreachable"}
    hub.registry.database.close()
    postgresql.drop(url)


class TestProbes:
    def test_a_part_that_hangs_holds_up_neither_the_answer_nor_the_others(self, monkeypatch):
        # The deadline; the database is waited for, for long; nothing is left for the storage.
        moments = itertools.cycle([0.0, 0.0, 60.0])
        monkeypatch.setattr(health, "PATIENCE", 60.0)
        monkeypatch.setattr(health, "monotonic", lambda: next(moments))
        go_on, asked = threading.Event(), []

        def hang():
            asked.append(threading.current_thread())
            go_on.wait(60)

        parts = Health({"database": lambda: None, "storage": hang})
        for _ in range(3):
            report = parts.report()
            assert report == {**WELL, "storage": "Storage does not answer"}
            assert not is_well(report)
        assert len(asked) == 1  # and not a thread for each question
        assert asked[0].daemon  # so the process can end meanwhile
        go_on.set()
        moments = itertools.repeat(0.0)
        assert parts.report() == WELL

    def test_what_is_wrong_is_told_to_the_log_and_part_by_part_to_the_client(self, caplog):
        def fail():
            raise RuntimeError("s3cret at /srv/blobs")

        told = {"cache": "Cache is unreachable"}
        assert Health({"cache": fail}).report() == health_error(NotWell(told)) == told
        assert "s3cret" in caplog.text
        assert set(health_error(Unavailable())) == {"error"}
