"""What sessions promise, on every database; and that SQLite is made as strict as a server."""

import threading

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from hubrepo.kernel.accounts import Membership, User
from hubrepo.kernel.audit import Event
from hubrepo.kernel.base import Misconfigured, now
from hubrepo.kernel.db import Database, insert_if_absent
from tests.support.postgres import connected
from tests.support.races import at_once

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


def add_user(db, name):
    return insert_if_absent(db, User, username=name, created_at=now(), active=True)


@on_sqlite
def test_every_connection_to_sqlite_is_strict(database):
    strict = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "busy_timeout": 4000}
    with database.read() as db:
        assert {pragma: db.scalar(text(f"PRAGMA {pragma}")) for pragma in strict} == strict


@on_postgresql
def test_every_connection_to_postgresql_has_an_end_to_its_waits(database):
    own = {"lock_timeout": "4s", "application_name": "hubrepo", "synchronous_commit": "on"}
    with database.read() as db:
        assert {name: db.scalar(text(f"SHOW {name}")) for name in own} == own
        # The server tells of its own end; ours is what the driver was given.
        given = db.connection().connection.driver_connection.info.get_parameters()
        assert given["keepalives_idle"] == "2"


@on_postgresql
def test_what_the_url_says_for_itself_counts(url):
    own = f"{url}?application_name=mine&connect_timeout=7&options=-c%20statement_timeout%3D9s"
    database = Database(own, 2, 3)
    with database.read() as db:
        names = ("application_name", "lock_timeout", "statement_timeout")
        assert [db.scalar(text(f"SHOW {name}")) for name in names] == ["mine", "2s", "9s"]
    database.close()


def test_foreign_keys_are_enforced(database):
    orphan = {"organisation_id": 99, "user_id": 99, "role": "owner", "created_at": now()}
    with pytest.raises(IntegrityError), database.write() as db:
        db.execute(insert(Membership).values(**orphan))


def test_readers_do_not_wait_for_a_writer(database):
    with database.write() as writer:
        add_user(writer, "alice")
        with database.read() as reader:
            assert reader.scalar(select(User.username)) is None


def test_writers_take_turns_and_lose_no_update(database):
    with database.write() as db:
        add_user(db, "0")

    def count() -> None:
        for _ in range(10):
            with database.write() as db:
                user = db.scalar(select(User).with_for_update())
                user.username = str(int(user.username) + 1)

    at_once(*[count] * 4)
    with database.read() as db:
        assert db.scalar(select(User.username)) == "40"


def test_a_writer_who_waited_its_whole_turn_is_told_so(database, single):
    with database.write() as db:
        add_user(db, "alice")
        with pytest.raises(OperationalError), single.write() as other:
            add_user(other, "alice")
    with single.write() as db:
        assert not add_user(db, "alice")


def test_who_waits_for_a_connection_is_told_so(single, monkeypatch):
    monkeypatch.setattr(single.engine.pool, "_timeout", 0.01)
    with single.read() as db:
        db.connection()
        with pytest.raises(Exception, match="QueuePool limit"), single.read() as other:
            other.connection()
    single.ping()


def test_a_commit_that_fails_does_not_poison_the_next_user(database, single):
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE late (x INTEGER REFERENCES accounts_user(id) DEFERRABLE INITIALLY DEFERRED)"
        )
    for _ in range(2):
        with pytest.raises(IntegrityError), single.write() as db:
            db.execute(text("INSERT INTO late VALUES (99)"))
        with single.write() as db:
            assert db.scalar(text("SELECT count(*) FROM late")) == 0


def test_a_commit_that_never_reaches_the_database_does_not_poison_the_next_user(single):
    def fail(_connection):
        raise OperationalError("COMMIT", {}, Exception("injected"))

    for name in ("alice", "bob"):
        event.listen(single.engine, "commit", fail)
        # As the transaction of a request does it: there is no rollback after a commit.
        left = single.writing()
        add_user(left, name)
        with pytest.raises(OperationalError, match="injected"):
            left.get_transaction().commit()
        left.close()
        event.remove(single.engine, "commit", fail)
        with single.write() as db:
            assert db.scalars(select(User.username)).all() == []


def test_a_transaction_that_failed_and_was_left_does_not_poison_the_next_user(single):
    for _ in range(2):
        left = single.writing()
        add_user(left, "alice")
        with pytest.raises(DBAPIError):
            left.execute(text("SELECT nothing FROM nowhere"))
        left.close()
        with single.read() as db:
            assert db.scalars(select(User.username)).all() == []


@on_postgresql
def test_who_has_read_does_not_hear_that_the_connection_was_lost_since(single, postgresql):
    with single.read() as db:
        process = db.scalar(text("SELECT pg_backend_pid()"))
        with connected(postgresql.url("postgres")) as operator:
            operator.execute(text(f"SELECT pg_terminate_backend({process}, 5000)"))
    with single.read() as db:
        assert db.scalar(text("SELECT pg_backend_pid()")) != process


def test_of_two_who_insert_the_same_the_second_waits_for_the_first(database):
    inserted, begun = [], threading.Event()

    def insert_too():
        begun.set()
        with database.write() as db:
            inserted.append(add_user(db, "alice"))

    second = threading.Thread(target=insert_too)
    with database.write() as db:
        inserted.append(add_user(db, "alice"))
        second.start()
        begun.wait()
        assert not add_user(db, "alice")
    second.join()
    assert inserted == [True, False]


def test_the_audit_cannot_be_rewritten(database, url):
    with database.write() as db:
        happened = {"actor": "a", "action": "b", "outcome": "done", "subject": "c", "details": {}}
        db.add(Event(at=now(), **happened))
    statements = ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event"]
    if url.startswith("postgresql"):
        statements.append("TRUNCATE audit_event")
    for statement in statements:
        with pytest.raises(DBAPIError, match="append-only"), database.write() as db:
            db.execute(text(statement))
    with database.read() as db:
        assert db.scalars(select(Event.actor)).all() == ["a"]


def test_a_url_that_names_no_database_is_said_so_without_its_password():
    postgresql = "postgresql://hub:s3cret@host"
    for wrong in ("nonsense", "", "oracle9://hub:s3cret@x", f"{postgresql}:port/hub"):
        with pytest.raises(Misconfigured, match=r"hubrepo\.database") as raised:
            Database(wrong)
        assert "s3cret" not in str(raised.value)
        assert raised.value.__cause__ is None
    database = Database(f"{postgresql}/hub")
    assert "s3cret" not in repr(database.engine) + str(database.engine.url)
