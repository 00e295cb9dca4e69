"""While the database fails, those who ask are told so, soon; nothing half remains; it ends by itself."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import event, make_url, text

from hubrepo.kernel.db import Database
from tests.stress.agreement import check_package
from tests.support.archives import package_zip
from tests.support.hub import Client, Hub
from tests.support.postgres import PostgreSQL, connected
from tests.support.process import PROGRAM, Answer, HubProcess

pytestmark = pytest.mark.long

# Seconds within which everybody has an answer, and in which a crowd must get somewhere.
SOON = 5
PATIENCE = 30


@pytest.fixture
def url(postgresql):
    url = postgresql.fresh()
    yield url
    postgresql.drop(url)


@pytest.fixture
def hub(tmp_path, url):
    """A hub over PostgreSQL."""
    hub = Hub.below(tmp_path, database=url)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def acme(hub):
    return hub.organisation()


@pytest.fixture
def sqlite_hub(tmp_path):
    hub = Hub.below(tmp_path, database=f"sqlite:///{tmp_path}/hub.sqlite")
    yield hub
    hub.registry.database.close()


def refused(call, status=503):
    """The answer, which came soon, says what is the matter in the shape of `/api`."""
    began = time.monotonic()
    answer = call()
    assert time.monotonic() - began < SOON
    assert (answer.status_int, list(answer.json)) == (status, ["detail"])
    assert answer.json["detail"].startswith("the database is ")
    assert ("Retry-After" in answer.headers) is (status == 503)
    return answer.json["detail"]


def publish(client: Client, name: str = "widget"):
    return client.upload(f"/api/packages/{name}/versions", package_zip(name), status="*")


def numbers(client: Client, name: str = "widget") -> list[int]:
    return [each["version"] for each in client.get(f"/api/packages/{name}/versions").json]


# --- PostgreSQL comes and goes


class Crowd:
    """Publishers and readers who never stop, and all that they were answered."""

    def __init__(self, hub: HubProcess) -> None:
        self._hub, self._over = hub, threading.Event()
        self.published: list[Answer] = []
        self.refused: list[Answer] = []
        self.read = 0
        self.strange: list[object] = []
        self.slowest = 0.0
        acts = [lambda n=n: self._publish(n) for n in range(3)] + [self._read] * 2
        self._threads = [threading.Thread(target=self._go, args=[each]) for each in acts]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def _go(self, act) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                act()
            except Exception as error:  # noqa: BLE001 - shown by the test
                self.strange.append(error)
                return
            self.slowest = max(self.slowest, time.monotonic() - began)

    def _publish(self, publisher: int) -> None:
        archive = package_zip("anvil", readme=f"{publisher} {time.time_ns()}")
        with self._hub.wire(SOON * 2) as wire:
            self._note(wire.publish("anvil", archive), 201)

    def _read(self) -> None:
        with self._hub.wire(SOON * 2) as wire:
            self._note(wire.ask("GET", "/api/packages/anvil"), 200, 404)

    def _note(self, answer: Answer, *fine: int) -> None:
        if answer.status == 201:
            self.published.append(answer)
        elif answer.status in fine:
            self.read += 1
        elif answer.status == 503 and "retry-after" in answer.headers:
            self.refused.append(answer)
        else:
            self.strange.append(answer)

    def progress(self) -> tuple[int, int]:
        return len(self.published), self.read

    def wait(self, what) -> None:
        until = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < until
            assert self.strange == []
            time.sleep(0.01)

    def wait_for_more(self) -> None:
        published, read = self.progress()
        self.wait(lambda: len(self.published) > published + 15 and self.read > read + 15)


def test_a_server_that_is_restarted_costs_refusals_and_nothing_else(tmp_path):
    with PostgreSQL() as server, HubProcess(tmp_path, {"database": server.fresh()}) as hub:
        with hub.wire() as wire:
            assert wire.publish("anvil", package_zip("anvil")).status == 201
        with Crowd(hub) as crowd:
            for _ in range(2):
                crowd.wait_for_more()
                server.restart()
            crowd.wait_for_more()
            server.stop()
            before = len(crowd.refused)
            crowd.wait(lambda: len(crowd.refused) > before + 20)
            server.start()
            crowd.wait_for_more()
        assert crowd.strange == []
        assert crowd.slowest < SOON
        told = {each.body for each in crowd.refused}
        assert told <= {
            b'{"detail":"the database is not available, try again"}',
            b'{"detail":"the database is busy, try again"}',
        }
        with hub.wire() as wire:
            versions = check_package(wire, "anvil")
            assert wire.ask("GET", "/_ah/health").json["database"] == "ok"
        for answer in crowd.published:
            assert versions[answer.json["version"]].content_hash == answer.json["content_hash"]
        assert make_url(hub.database_url).password not in hub.log.read_text()
        assert "Traceback" not in hub.log.read_text()


def test_a_server_that_is_away_is_said_so_by_health_and_each_surface_in_its_own_shape(tmp_path):
    with PostgreSQL() as server:
        hub = Hub.below(tmp_path, database=server.fresh())
        acme = hub.organisation()
        publish(acme)
        acme.publish_page("site")
        server.stop()
        health = hub.app().get("/_ah/health", status=503)
        assert health.json == {"status": "failing", "database": "failing", "blobs": "ok"}
        assert "not available" in refused(lambda: acme.get("/api/packages", status="*"))
        assert "not available" in refused(lambda: publish(acme))
        page = acme.visit("site/", 503)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Retry-After"] == "1"
        server.start()
        assert hub.app().get("/_ah/health").json["status"] == "ok"
        assert acme.visit("site/").text
        assert publish(acme).json["version"] == 2
        hub.registry.database.close()


def test_connections_that_an_operator_ends_are_made_anew_unnoticed(hub, acme, url):
    publish(acme)
    with connected(url) as operator:
        for _ in range(3):
            operator.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
            assert acme.get("/api/packages").json
            assert publish(acme).status_int == 201


def test_a_database_that_may_only_be_read_is_read(hub, acme, url):
    publish(acme)
    name = make_url(url).database

    def only_read(mode: str) -> None:
        with connected(url) as operator:
            operator.execute(
                text(f"ALTER DATABASE {name} SET default_transaction_read_only = {mode}")
            )
        hub.registry.database.engine.dispose()

    only_read("on")
    assert "not available" in refused(lambda: publish(acme))
    assert numbers(acme) == [1]
    with connected(url) as operator:
        operator.execute(text("SET default_transaction_read_only = off"))
        operator.execute(text(f"ALTER DATABASE {name} RESET default_transaction_read_only"))
    hub.registry.database.engine.dispose()
    assert publish(acme).json["version"] == 2


def started(tmp_path: Path, database: str) -> tuple[int, list[str]]:
    """How `hubrepo serve` ends, and what it says."""
    hub = HubProcess(tmp_path, {"database": database})
    done = subprocess.run(
        [*PROGRAM, "-c", str(hub.ini), "serve", "--port", str(hub.port)],
        env=hub.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("wrong", ["away", "password", "database"])
def test_a_hub_whose_database_cannot_be_used_says_why_in_one_sentence_without_its_password(
    tmp_path, postgresql, wrong
):
    database = {
        "away": "postgresql://hub:s3cret@127.0.0.1:1/hub",
        "password": postgresql.url("postgres", password="s3cret"),
        "database": postgresql.url("s0-such-database"),
    }[wrong]
    reason = {"away": "refused", "password": "password", "database": "does not exist"}[wrong]
    status, lines = started(tmp_path, database)
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("Error: hubrepo.database cannot be used: ")
    assert reason in lines[0]
    assert str(make_url(database).password) not in lines[0]


# --- others hold what a writer needs


@contextmanager
def holding(url: str, statement: str) -> Iterator[None]:
    """Another session in the middle of a transaction, which has run `statement`."""
    with connected(url) as other:
        other.execute(text("BEGIN"))
        other.execute(text(statement))
        yield
        other.execute(text("ROLLBACK"))


PACKAGE = "SELECT * FROM packages_package FOR UPDATE"
ORGANISATION = "SELECT * FROM accounts_organisation FOR UPDATE"


def test_who_waits_for_a_row_that_is_held_is_told_so_soon_and_only_once(hub, acme, url):
    publish(acme)
    with holding(url, PACKAGE):
        assert "busy" in refused(lambda: publish(acme))
        assert numbers(acme) == [1]
    assert publish(acme).json["version"] == 2


def test_waits_for_one_row_after_another_are_one_turn(hub, acme, url):
    publish(acme)
    with connected(url) as first, holding(url, ORGANISATION):
        first.execute(text("BEGIN"))
        first.execute(text(PACKAGE))
        release = threading.Timer(2.5, lambda: first.execute(text("ROLLBACK")))
        release.start()
        assert "busy" in refused(lambda: publish(acme))
        release.join()
    assert publish(acme).json["version"] == 2


@pytest.fixture
def told_by_a_trigger(hub, acme, url):
    """Have the database say something when a version is written; how often it was tried."""

    @contextmanager
    def told(body: str, when: str = "AFTER INSERT") -> Iterator[list[int]]:
        tries: list[int] = []
        with connected(url) as operator:
            operator.execute(text("CREATE SEQUENCE tries"))
            operator.execute(
                text(
                    "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$"
                    f" DECLARE try bigint := nextval('tries'); BEGIN {body}; RETURN NEW; END $$"
                )
            )
            constraint, late = ("", "")
            if when == "COMMIT":
                constraint, late, when = (
                    "CONSTRAINT",
                    "DEFERRABLE INITIALLY DEFERRED",
                    "AFTER INSERT",
                )
            operator.execute(
                text(
                    f"CREATE {constraint} TRIGGER fails {when} ON packages_version {late}"
                    " FOR EACH ROW EXECUTE FUNCTION fail()"
                )
            )
            yield tries
            tries.append(operator.scalar(text("SELECT last_value FROM tries")))
            operator.execute(text("DROP TRIGGER fails ON packages_version"))
            operator.execute(text("DROP FUNCTION fail"))
            operator.execute(text("DROP SEQUENCE tries"))

    return told


@pytest.mark.parametrize("when", ["AFTER INSERT", "COMMIT"])
@pytest.mark.parametrize(
    ("state", "status", "tries"),
    [
        ("53100", 507, 1),
        ("53300", 503, 1),
        ("55P03", 503, 1),
        ("58030", 503, 1),
        ("40001", 503, 3),
        ("40P01", 503, 3),
        ("23505", 503, 3),
    ],
)
def test_what_the_server_says_is_answered_and_only_a_lost_race_is_run_again(
    acme, told_by_a_trigger, state, status, tries, when
):
    publish(acme)
    with told_by_a_trigger(f"RAISE EXCEPTION USING ERRCODE = '{state}'", when) as tried:
        refused(lambda: publish(acme), status)
        assert numbers(acme) == [1]
    assert tried == [tries]
    assert publish(acme).json["version"] == 2


def test_a_race_that_is_lost_once_is_won_unnoticed(acme, told_by_a_trigger):
    with told_by_a_trigger(
        "IF try = 1 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF"
    ) as tried:
        assert publish(acme).json["version"] == 1
    assert tried == [2]


def test_a_defect_stays_one(acme, told_by_a_trigger):
    with told_by_a_trigger("PERFORM 1 / 0"):
        assert publish(acme).status_int == 500
    assert publish(acme).json["version"] == 1


@pytest.mark.parametrize("when", ["AFTER INSERT", "COMMIT"])
def test_a_connection_that_is_lost_is_not_tried_again_for_it_may_have_committed(
    acme, told_by_a_trigger, when
):
    with told_by_a_trigger("PERFORM pg_terminate_backend(pg_backend_pid())", when) as tried:
        assert "not available" in refused(lambda: publish(acme))
    assert tried == [1]
    assert publish(acme).json["version"] == 1


# --- SQLite

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    line = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        yield
        other.communicate(b"\n")


def test_a_file_that_another_process_holds_is_read_and_written_as_soon_as_it_is_free(
    sqlite_hub, tmp_path
):
    acme = sqlite_hub.organisation()
    publish(acme)
    acme.publish_page("site")
    with held_by_another_process(tmp_path / "hub.sqlite"):
        assert "busy" in refused(lambda: publish(acme))
        assert numbers(acme) == [1]
        assert acme.visit("site/").text
    assert publish(acme).json["version"] == 2


def test_a_database_without_room_is_507_and_takes_rows_again_once_there_is_some(
    sqlite_hub, tmp_path
):
    acme, engine = sqlite_hub.organisation(), sqlite_hub.registry.database.engine
    publish(acme)

    def limit(pages: int) -> None:
        def bound(connection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")

        engine.dispose()
        event.listen(engine, "connect", bound)

    limit(1)  # which is less than there are: no more than there are now
    filled = [publish(acme).status_int for _ in range(40)]
    assert set(filled) <= {201, 507}
    last = filled.count(201) + 1
    assert "full" in refused(lambda: publish_long(acme), 507)
    assert numbers(acme) == list(range(last, 0, -1))
    limit(2**30)
    assert publish(acme).json["version"] == last + 1
    assert list((tmp_path / "blobs" / ".stage").iterdir()) == []


def publish_long(client: Client):
    """A publish that needs much room for its rows."""
    fields = {"description": "x" * 60_000}
    return client.upload("/api/packages/widget/versions", package_zip("widget"), fields, status="*")


def fill(disk: Path) -> Path:
    """Write a file until there is no room left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("only root may mount a disk of a given size")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_507_and_takes_rows_again_once_there_is_room(tmp_path, small_disk):
    hub = Hub.below(tmp_path, database=f"sqlite:///{small_disk}/hub.sqlite")
    acme = hub.organisation()
    publish(acme)
    filler = fill(small_disk)
    statuses = [publish_long(acme).status_int for _ in range(20)]
    assert set(statuses) <= {201, 507}
    assert statuses[-1] == 507
    kept = numbers(acme)
    assert kept == list(range(len(kept), 0, -1))
    filler.unlink()
    assert publish_long(acme).json["version"] == len(kept) + 1
    hub.registry.database.close()
    with sqlite3.connect(small_disk / "hub.sqlite") as rows:
        assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows.close()


def test_a_database_that_cannot_be_written_to_is_read(sqlite_hub):
    acme, engine = sqlite_hub.organisation(), sqlite_hub.registry.database.engine
    publish(acme)

    def only_read(connection, *_: object) -> None:
        connection.execute("PRAGMA query_only = on")

    event.listen(engine, "connect", only_read)
    engine.dispose()
    assert "not available" in refused(lambda: publish(acme))
    assert numbers(acme) == [1]
    event.remove(engine, "connect", only_read)
    engine.dispose()
    assert publish(acme).json["version"] == 2


def test_a_file_that_is_gone_is_503_and_no_defect(sqlite_hub, tmp_path):
    acme = sqlite_hub.organisation()
    sqlite_hub.registry.database.close()
    (tmp_path / "hub.sqlite").rename(tmp_path / "away.sqlite")
    (tmp_path / "hub.sqlite").mkdir()
    assert "not available" in refused(lambda: acme.get("/api/packages", status="*"))
    (tmp_path / "hub.sqlite").rmdir()
    (tmp_path / "away.sqlite").rename(tmp_path / "hub.sqlite")
    assert acme.get("/api/packages").json == []


def test_a_password_is_in_no_representation_of_a_database(url):
    database = Database(url)
    assert str(make_url(url).password) not in repr(database.engine) + str(database.engine.url)
    database.close()
