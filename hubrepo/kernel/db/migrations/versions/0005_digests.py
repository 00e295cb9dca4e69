"""Digests are sorted as keys of stores are: by code point, whatever the language of the database."""

from alembic import op

from hubrepo.kernel.db import name_type

revision = "kernel_0005"
down_revision = "kernel_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give the column its collation. SQLite sorts so anyhow."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("blobs_blob", "digest", type_=name_type(64))
