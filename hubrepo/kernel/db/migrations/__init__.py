"""Bringing a database up to date.

The kernel's tables and each feature's have a branch of their own: a feature's migrations lie in its
folder and leave with it. `upgrade` brings every branch that is there to its head.
"""

from collections.abc import Iterable
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
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(path) for path in locations))
    return config


def upgrade(database: Database, locations: Iterable[Path]) -> None:
    """Create or migrate every table, in one transaction."""
    database.make_folder()
    config = _config(locations)
    with database.engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            # Several hubs may start at once; on SQLite the right to write is lock enough.
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "heads")
        except CommandError:
            raise Misconfigured(_FOREIGN) from None


def is_current(database: Database, locations: Iterable[Path]) -> bool:
    """Whether the database is at the head of every branch."""
    script = ScriptDirectory.from_config(_config(locations))
    with database.engine.connect() as connection:
        marked = MigrationContext.configure(connection).get_current_heads()
    try:
        # A branch that another one depends on is not marked: it is implied.
        applied = {each.revision for each in script.get_all_current(marked)}
    except CommandError:
        raise Misconfigured(_FOREIGN) from None
    return applied.issuperset(script.get_heads())
