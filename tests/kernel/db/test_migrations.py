"""Every database is brought up to date, once, to what the models say."""

import sys
from concurrent.futures import ThreadPoolExecutor
from subprocess import PIPE, Popen

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from hubrepo.kernel.accounts import Organisation, User
from hubrepo.kernel.base import Misconfigured, new_guid, now
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.db import Base, Database, is_current, upgrade
from hubrepo.kernel.db.migrations import MIGRATION_LOCK
from tests.support.publishers import until

UPGRADE = """
import sys
from pathlib import Path
from hubrepo.kernel.db import Database, upgrade

url, *migrations = sys.argv[1:]
database = Database(url)
print("ready", flush=True)
sys.stdin.readline()
upgrade(database, map(Path, migrations))
database.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path):
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/hub.sqlite"
        return
    server = request.getfixturevalue("postgresql")
    url = server.fresh()
    yield url
    server.drop(url)


@pytest.fixture
def fresh(empty):
    database = Database(empty)
    yield database
    database.close()


def test_a_database_that_was_never_migrated_is_not_current_and_migrating_twice_is_fine(
    fresh, empty, migrations
):
    if empty.startswith("postgresql"):
        assert not is_current(fresh, migrations)
    for _ in range(2):
        upgrade(fresh, migrations)
        assert is_current(fresh, migrations)
    with fresh.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('of_the_future')")
    with pytest.raises(Misconfigured, match="newer hub"):
        is_current(fresh, migrations)


def test_a_folder_that_is_not_there_has_no_database(tmp_path, migrations):
    fresh = Database(f"sqlite:///{tmp_path}/nowhere/hub.sqlite")
    with pytest.raises(DBAPIError):
        is_current(fresh, migrations)
    upgrade(fresh, migrations)
    assert is_current(fresh, migrations)
    fresh.close()


def test_they_make_the_tables_that_the_models_describe(fresh, migrations):
    upgrade(fresh, migrations)
    with fresh.engine.connect() as connection:
        exactly = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=exactly)
        assert compare_metadata(context, Base.metadata) == []


def test_names_and_digests_are_sorted_by_code_point_as_stores_list_their_keys(database):
    """In the language of the tests' PostgreSQL `aa` comes last."""
    names = ["Z", "a", "b", "_", "é", "0", "a-b", "ab"]
    digests = [each * 32 for each in ("aa", "f0", "ab", "0a", "9f", "a0")]
    with database.write() as db:
        owner = Organisation(guid=new_guid(), name="acme", slug="acme", created_at=now())
        db.add(owner)
        db.flush()
        for name in names:
            db.add(User(guid=new_guid(), username=name, created_at=now()))
        for digest in digests:
            db.add(Blob(organisation_id=owner.id, digest=digest, size=1, created_at=now()))
    with database.read() as db:
        assert db.scalars(select(User.username).order_by(User.username)).all() == sorted(names)
        assert db.scalars(select(Blob.digest).order_by(Blob.digest)).all() == sorted(digests)


@pytest.mark.long
def test_hubs_that_start_at_one_moment_migrate_once(empty, fresh, migrations):
    line = [sys.executable, "-c", UPGRADE, empty, *map(str, migrations)]
    with Popen(line, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("now\n")
        other.stdin.flush()
        upgrade(fresh, migrations)
        assert other.communicate()[1] == ""
    assert other.returncode == 0
    assert is_current(fresh, migrations)


@pytest.mark.long
def test_a_hub_waits_for_another_one_that_migrates(postgresql, migrations):
    url = postgresql.fresh()
    mine, other = Database(url), Database(url)
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with ThreadPoolExecutor(1) as pool:
        with mine.engine.begin() as holder:
            holder.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            done = pool.submit(upgrade, other, migrations)
            until(lambda: holder.scalar(waiting) or done.done())
            assert not done.done()
        done.result()
    assert is_current(mine, migrations)
    mine.close()
    other.close()
    postgresql.drop(url)
