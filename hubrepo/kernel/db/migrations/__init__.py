"""Bringing a database up to date.

The kernel's tables and each feature's have a branch of their own: a feature's migrations lie in its
folder and leave with it. `upgrade` brings every branch that is there to its head.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import func, select

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.db.database import Database

HERE = Path(__file__).parent
MIGRATION_LOCK = 0x68756272  # "hubr"

_FOREIGN = "the database was written by a newer hub, or by one with other features"


def _config(locations: Iterable[Path]) -> Config:
    """Return Alembic's configuration. Raises Misconfigured where a branch has no migrations."""
    locations = list(locations)
    for folder in locations:
        if not any(folder.glob("[0-9]*.py")):
            raise Misconfigured(
                f"there are no migrations in {folder}: the installation is incomplete, install hubrepo again"
            )
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(path) for path in locations))
    return config


def upgrade(
    database: Database, locations: Iterable[Path], revisions: Sequence[str] = ("heads",)
) -> None:
    """Create or migrate every table, in one transaction; up to these revisions. Raises Misconfigured."""
    config = _config(locations)
    database.make_folder()
    with database.engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            # Several hubs may start at once; on SQLite the right to write is lock enough. However
            # long the first one migrates, the others wait for it.
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        try:
            for revision in revisions:
                command.upgrade(config, revision)
        except CommandError:
            raise Misconfigured(_FOREIGN) from None


def heads_of(database: Database) -> tuple[str, ...]:
    """The revisions that the database is at; none, where there is nothing yet.

    A branch that another one depends on is not among them: it is implied.
    """
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_heads()


def is_current(database: Database, locations: Iterable[Path]) -> bool:
    """Whether the database is at the head of every branch."""
    script = ScriptDirectory.from_config(_config(locations))
    try:
        applied = {each.revision for each in script.get_all_current(heads_of(database))}
    except CommandError:
        raise Misconfigured(_FOREIGN) from None
    return applied.issuperset(script.get_heads())
