"""Every database is brought up to date, once, to what the models say."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.db import Base, Database, is_current, upgrade

pytestmark = pytest.mark.long

AT_ONCE = 3
UPGRADE = """
import sys
from hubrepo.kernel.db import Database, upgrade

url, *migrations = sys.argv[1:]
database = Database(url)
print("ready", flush=True)
sys.stdin.readline()
upgrade(database, migrations)
database.close()
"""


@pytest.fixture
def fresh(url):
    database = Database(url)
    yield database
    database.close()


def test_a_database_that_was_never_migrated_is_not_current_and_migrating_twice_is_fine(
    fresh, url, migrations
):
    if url.startswith("postgresql"):
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
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_names_are_sorted_by_code_point_everywhere(fresh, migrations):
    upgrade(fresh, migrations)
    names = ["Z", "a", "b", "_", "é", "0", "a-b", "ab"]
    with fresh.engine.begin() as connection:
        for number, name in enumerate(names):
            connection.exec_driver_sql(
                "INSERT INTO accounts_user (guid, username, active, created_at)"
                f" VALUES ('{number:032}', '{name}', true, '2026-01-01')"
            )
        rows = connection.exec_driver_sql("SELECT username FROM accounts_user ORDER BY username")
        assert [row[0] for row in rows] == sorted(names)


def test_digests_are_sorted_as_stores_list_their_keys_everywhere(fresh, migrations):
    """In the language of the tests' PostgreSQL `aa` comes last."""
    upgrade(fresh, migrations)
    digests = [each * 32 for each in ("aa", "f0", "ab", "0a", "9f", "a0")]
    with fresh.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO accounts_organisation (id, guid, name, slug, created_at, stored_bytes)"
            f" VALUES (1, '{1:032}', 'acme', 'acme', '2026-01-01', 0)"
        )
        for digest in digests:
            connection.exec_driver_sql(
                "INSERT INTO blobs_blob (organisation_id, digest, size, created_at)"
                f" VALUES (1, '{digest}', 1, '2026-01-01')"
            )
        rows = connection.exec_driver_sql("SELECT digest FROM blobs_blob ORDER BY digest")
        assert [row[0] for row in rows] == sorted(digests)


def test_hubs_that_start_at_one_moment_migrate_once(url, fresh, migrations):
    line = [sys.executable, "-c", UPGRADE, url, *map(str, migrations)]
    pipe = subprocess.PIPE
    hubs = [
        subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(AT_ONCE)
    ]
    for hub in hubs:
        assert hub.stdout.readline() == "ready\n"
    for hub in hubs:
        hub.stdin.write("now\n")
        hub.stdin.flush()
    told = [hub.communicate(timeout=60)[1] for hub in hubs]
    assert [(hub.returncode, text) for hub, text in zip(hubs, told, strict=True)] == [
        (0, "")
    ] * AT_ONCE
    assert is_current(fresh, migrations)
