"""While the database fails, those who ask are told so; nothing half remains; it ends by itself."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import event, make_url, text

from hubrepo.kernel.db import engine as engine_module
from hubrepo.kernel.db.patience import SHORT
from tests.support.archives import package_zip
from tests.support.commands import INI, Commands
from tests.support.filled import make_hub
from tests.support.hub import Client, Hub
from tests.support.postgres import PostgreSQL, connected

pytestmark = pytest.mark.long

# Generous: it ends tests of which something is broken.
WATCHDOG = 60


@pytest.fixture
def hub(request, tmp_path):
    """A hub over PostgreSQL whose writers wait for a second."""
    return make_hub(request, tmp_path, "disk", "postgresql", database_busy_timeout="1")


@pytest.fixture
def url(hub):
    return hub.settings["hubrepo.database"]


@pytest.fixture
def acme(hub):
    return hub.organisation()


@pytest.fixture
def sqlite_hub(request, tmp_path):
    return make_hub(request, tmp_path, "disk", "sqlite", database_busy_timeout="1")


@pytest.fixture(scope="module")
def own_server():
    """A server that may be stopped."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def stopping(own_server, tmp_path):
    """A hub whose server may be stopped."""
    hub = Hub.below(tmp_path, database=own_server.fresh(own_server.migrated))
    yield hub
    hub.registry.database.close()


def check_refusal(answer, status=503) -> str:
    """The answer says what is the matter in the shape of `/api`."""
    assert (answer.status_int, list(answer.json)) == (status, ["detail"])
    assert answer.json["detail"].startswith("the database is ")
    assert ("Retry-After" in answer.headers) is (status == 503)
    return answer.json["detail"]


def publish(client: Client, name: str = "widget", **fields: str):
    return client.upload(f"/api/packages/{name}/versions", package_zip(name), fields, status="*")


def numbers(client: Client, name: str = "widget") -> list[int]:
    return [each["version"] for each in client.get(f"/api/packages/{name}/versions").json]


# --- PostgreSQL comes and goes


def test_a_server_that_is_restarted_costs_refusals_and_nothing_else(own_server, stopping, caplog):
    acme = stopping.organisation()
    over, progress, answers = threading.Event(), threading.Semaphore(0), []

    def work():
        while not over.is_set():
            answers.append(publish(acme))
            answers.append(acme.get("/api/packages", status="*"))
            if answers[-1].status_int == 200:
                progress.release()

    def wait_for_progress():
        for _ in range(5):
            assert progress.acquire(timeout=WATCHDOG)

    with ThreadPoolExecutor(3) as pool:
        all_work = [pool.submit(work) for _ in range(3)]
        try:
            wait_for_progress()
            own_server.restart()
            while progress.acquire(blocking=False):
                pass  # What went well before counts no more.
            wait_for_progress()
        finally:
            over.set()
    for each in all_work:
        each.result()
    for each in answers:
        if each.status_int not in {200, 201}:
            check_refusal(each)
    published = [each.json for each in answers if each.status_int == 201]
    versions = acme.get("/api/packages/widget/versions?limit=1000").json
    kept = {each["version"]: each["content_hash"] for each in versions}
    assert {each["version"]: each["content_hash"] for each in published}.items() <= kept.items()
    assert all(acme.download("widget", number) for number in kept)
    assert make_url(stopping.settings["hubrepo.database"]).password not in caplog.text
    assert "Traceback" not in caplog.text


def test_a_server_that_is_away_is_said_so_by_health_and_each_surface_in_its_own_shape(
    own_server, stopping
):
    acme = stopping.organisation()
    publish(acme)
    acme.publish_page("site")
    own_server.stop()
    health = stopping.app().get("/_ah/health", status=503)
    assert health.json == {"status": "failing", "database": "failing", "blobs": "ok"}
    assert "not available" in check_refusal(acme.get("/api/packages", status="*"))
    assert "not available" in check_refusal(publish(acme))
    page = acme.visit("site/", 503)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Retry-After"] == "1"
    own_server.start()
    assert stopping.app().get("/_ah/health").json["status"] == "ok"
    assert acme.visit("site/").text
    assert publish(acme).json["version"] == 2


def test_connections_that_an_operator_ends_are_made_anew_unnoticed(hub, acme, url):
    publish(acme)
    end_all = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with connected(url) as operator:
        for _ in range(2):
            operator.execute(text(end_all))
            assert acme.get("/api/packages").json
            assert publish(acme).status_int == 201


def test_a_hub_whose_database_cannot_be_used_says_why_in_one_sentence_without_its_password(
    tmp_path, postgresql
):
    run = Commands(tmp_path / "hub")
    for database, reason in (
        ("postgresql://hub:s3cret@127.0.0.1:1/hub", "refused"),
        (postgresql.url("postgres", password="s3cret"), "password"),
        (postgresql.url("s0-such-database"), "does not exist"),
    ):
        ini = INI.replace("sqlite:///%(here)s/hub.sqlite", database)
        run.ini.write_text(f"{ini}[server:main]\nuse = egg:hubrepo\nlisten = 127.0.0.1:0\n")
        said = run.refuses("serve")
        assert said.startswith("hubrepo.database cannot be used: ")
        assert reason in said
        assert str(make_url(database).password) not in said


# --- others hold what a writer needs


@contextmanager
def holding(url: str, table: str) -> Iterator[None]:
    """Another session in the middle of a transaction, which has all rows of a table."""
    with connected(url) as other:
        other.execute(text("BEGIN"))
        other.execute(text(f"SELECT * FROM {table} FOR UPDATE"))
        yield
        other.execute(text("ROLLBACK"))


def test_who_waits_for_a_row_that_is_held_is_told_so(acme, url):
    publish(acme)
    with holding(url, "packages_package"):
        assert "busy" in check_refusal(publish(acme))
        assert numbers(acme) == [1]
    assert publish(acme).json["version"] == 2


def test_waits_for_one_row_after_another_are_one_turn(request, tmp_path, monkeypatch):
    hub = make_hub(request, tmp_path, "disk", "postgresql", database_busy_timeout="3")
    acme, url = hub.organisation(), hub.settings["hubrepo.database"]
    publish(acme)
    real, left = engine_module._shorten_waits, []

    def noted(connection, patience):
        left.append(patience.left)
        real(connection, patience)

    def let_go_of_the_package():
        while not first.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            time.sleep(0.01)
        time.sleep(SHORT)
        first.execute(text("ROLLBACK"))

    monkeypatch.setattr(engine_module, "_shorten_waits", noted)
    with connected(url) as first, holding(url, "accounts_organisation"):
        first.execute(text("BEGIN"))
        first.execute(text("SELECT * FROM packages_package FOR UPDATE"))
        release = threading.Thread(target=let_go_of_the_package)
        release.start()
        assert "busy" in check_refusal(publish(acme))
        release.join()
    assert left
    assert max(left) < 3, "the second wait is what the first one left"
    assert publish(acme).json["version"] == 2


@pytest.fixture
def told_by_a_trigger(acme, url):
    """Have the database say something when a version is written; how often it was tried."""

    @contextmanager
    def told(body: str, *, at_commit: bool = False) -> Iterator[list[int]]:
        tries: list[int] = []
        constraint, late = (
            ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED") if at_commit else ("", "")
        )
        with connected(url) as operator:
            statements = f"""CREATE SEQUENCE tries;
                CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
                DECLARE try bigint := nextval('tries'); BEGIN {body}; RETURN NEW; END $$;
                CREATE {constraint} TRIGGER fails AFTER INSERT ON packages_version {late}
                FOR EACH ROW EXECUTE FUNCTION fail()"""
            for statement in statements.split(";\n"):
                operator.execute(text(statement))
            yield tries
            tries.append(operator.scalar(text("SELECT last_value FROM tries")))
            for what in ("TRIGGER fails ON packages_version", "FUNCTION fail", "SEQUENCE tries"):
                operator.execute(text(f"DROP {what}"))

    return told


@pytest.mark.parametrize("at_commit", [False, True], ids=["when it is told", "at the commit"])
def test_what_the_server_says_is_answered_and_only_a_lost_race_is_run_again(
    acme, told_by_a_trigger, at_commit
):
    publish(acme)
    last = 1
    for states, status, tries in (
        (("53100",), 507, 1),
        (("53300", "55P03", "58030"), 503, 1),
        (("40001", "40P01", "23505"), 503, 3),
    ):
        for state in states:
            raising = f"RAISE EXCEPTION USING ERRCODE = '{state}'"
            with told_by_a_trigger(raising, at_commit=at_commit) as tried:
                check_refusal(publish(acme), status)
                assert numbers(acme)[0] == last
            assert tried == [tries], state
            last += 1
            assert publish(acme).json["version"] == last


def test_a_race_that_is_lost_once_is_won_unnoticed_and_a_defect_stays_one(acme, told_by_a_trigger):
    once = "IF try = 1 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF"
    with told_by_a_trigger(once) as tried:
        assert publish(acme).json["version"] == 1
    assert tried == [2]
    with told_by_a_trigger("PERFORM 1 / 0"):
        assert publish(acme).status_int == 500
    assert publish(acme).json["version"] == 2


@pytest.mark.parametrize("at_commit", [False, True])
def test_a_connection_that_is_lost_is_not_tried_again_for_it_may_have_committed(
    acme, told_by_a_trigger, at_commit
):
    losing = "PERFORM pg_terminate_backend(pg_backend_pid())"
    with told_by_a_trigger(losing, at_commit=at_commit) as tried:
        assert "not available" in check_refusal(publish(acme))
    assert tried == [1]
    assert publish(acme).json["version"] == 1


# --- SQLite


def test_a_file_that_another_holds_is_read_and_written_as_soon_as_it_is_free(sqlite_hub, tmp_path):
    acme = sqlite_hub.organisation()
    publish(acme)
    acme.publish_page("site")
    with closing(sqlite3.connect(tmp_path / "hub.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "busy" in check_refusal(publish(acme))
        assert numbers(acme) == [1]
        assert acme.visit("site/").text
        other.execute("ROLLBACK")
    assert publish(acme).json["version"] == 2


@contextmanager
def connections_with(hub: Hub, pragma: str) -> Iterator[None]:
    """Set that on all connections of the hub to SQLite, which are made anew."""
    engine = hub.registry.database.engine

    def set_it(connection, *_: object) -> None:
        connection.execute(f"PRAGMA {pragma}")

    engine.dispose()
    event.listen(engine, "connect", set_it)
    yield
    event.remove(engine, "connect", set_it)
    engine.dispose()


def test_a_database_without_room_is_507_and_takes_rows_again_once_there_is_some(
    sqlite_hub, tmp_path
):
    acme = sqlite_hub.organisation()
    publish(acme)
    # Which is less than there are: no more than there are now.
    with connections_with(sqlite_hub, "max_page_count = 1"):
        answers = (publish(acme, description="x" * 60_000) for _ in range(40))
        refused = next(each for each in answers if each.status_int != 201)
        assert "full" in check_refusal(refused, 507)
        kept = numbers(acme)
        assert kept == list(range(len(kept), 0, -1))
    with connections_with(sqlite_hub, f"max_page_count = {2**30}"):
        assert publish(acme).json["version"] == len(kept) + 1
    with closing(sqlite3.connect(tmp_path / "hub.sqlite")) as rows:
        assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert list((tmp_path / "blobs" / ".stage").iterdir()) == []


def test_a_database_that_cannot_be_written_to_is_read(sqlite_hub):
    acme = sqlite_hub.organisation()
    publish(acme)
    with connections_with(sqlite_hub, "query_only = on"):
        assert "not available" in check_refusal(publish(acme))
        assert numbers(acme) == [1]
    assert publish(acme).json["version"] == 2


def test_a_file_that_is_gone_is_503_and_no_defect(sqlite_hub, tmp_path):
    acme = sqlite_hub.organisation()
    sqlite_hub.registry.database.close()
    (tmp_path / "hub.sqlite").rename(tmp_path / "away.sqlite")
    (tmp_path / "hub.sqlite").mkdir()
    assert "not available" in check_refusal(acme.get("/api/packages", status="*"))
    (tmp_path / "hub.sqlite").rmdir()
    (tmp_path / "away.sqlite").rename(tmp_path / "hub.sqlite")
    assert acme.get("/api/packages").json == []
