"""SQLite, made as strict as a server."""

import threading

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from hubrepo.kernel.accounts import User
from hubrepo.kernel.base import Misconfigured, now
from hubrepo.kernel.db import Database, insert_if_absent, is_current, upgrade
from tests.support.hub import Hub


@pytest.fixture
def database(tmp_path):
    hub = Hub.below(tmp_path)
    yield hub.registry.database
    hub.registry.database.close()


def add_user(db, name):
    return insert_if_absent(db, User, username=name, created_at=now(), active=True)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2), ("busy_timeout", 5000)],
)
def test_every_connection_is_strict(database, pragma, value):
    with database.read() as db:
        assert db.scalar(text(f"PRAGMA {pragma}")) == value


def test_foreign_keys_are_enforced(database):
    with pytest.raises(IntegrityError), database.write() as db:
        db.execute(
            text("INSERT INTO accounts_membership VALUES (1, 99, 99, 'owner', '2026-01-01')")
        )


def test_readers_do_not_wait_for_a_writer(database):
    with database.write() as writer:
        add_user(writer, "alice")
        with database.read() as reader:
            assert reader.scalar(select(User.username)) is None


def test_writers_take_turns_and_lose_no_update(database):
    with database.write() as db:
        add_user(db, "0")

    def count() -> None:
        for _ in range(25):
            with database.write() as db:
                user = db.scalar(select(User))
                user.username = str(int(user.username) + 1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as db:
        assert db.scalar(select(User.username)) == "200"


def test_a_commit_that_fails_does_not_poison_the_next_user(database):
    with database.engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE late (x REFERENCES accounts_user(id) DEFERRABLE INITIALLY DEFERRED)"
        )
        connection.commit()
    for _ in range(20):
        with pytest.raises(IntegrityError), database.write() as db:
            db.execute(text("INSERT INTO late VALUES (99)"))
        with database.write() as db:
            assert db.scalar(text("SELECT count(*) FROM late")) == 0


def test_inserting_what_is_there_changes_nothing(database):
    with database.write() as db:
        assert add_user(db, "alice")
        assert not add_user(db, "alice")


def test_the_audit_cannot_be_rewritten(database):
    with database.write() as db:
        db.execute(
            text(
                "INSERT INTO audit_event (guid, at, actor, action, outcome, subject, details)"
                " VALUES ('1', '2026-01-01', 'a', 'b', 'done', 'c', '{}')"
            )
        )
    for statement in ("UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event"):
        with pytest.raises(IntegrityError, match="append-only"), database.write() as db:
            db.execute(text(statement))


def test_a_database_that_was_never_migrated_is_not_current_and_migrating_twice_is_fine(
    tmp_path, database
):
    hub = Hub.below(tmp_path)
    fresh = Database(f"sqlite:///{tmp_path}/other/hub.sqlite")
    with pytest.raises(OperationalError):
        is_current(fresh, hub.registry.migrations)
    for _ in range(2):
        upgrade(fresh, hub.registry.migrations)
        assert is_current(fresh, hub.registry.migrations)
    with fresh.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('of_the_future')")
    with pytest.raises(Misconfigured, match="newer hub"):
        is_current(fresh, hub.registry.migrations)


@pytest.mark.parametrize("url", ["nonsense", "oracle9://x", ""])
def test_a_url_that_names_no_database_is_said_so(url):
    with pytest.raises(Misconfigured, match=r"hubrepo\.database"):
        Database(url)
