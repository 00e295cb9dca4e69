"""Which store a blob lies in, whether it is leaving, and who wants bytes to stay for a while."""

import sqlalchemy as sa
from alembic import op

from hubrepo.kernel.db import Instant

revision = "kernel_0003"
down_revision = "kernel_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column(
        "blobs_blob", sa.Column("store", sa.String(16), nullable=False, server_default="blobs")
    )
    op.add_column("blobs_blob", sa.Column("leaving_at", Instant(), nullable=True))
    op.create_table(
        "blobs_hold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blobs_hold")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_blobs_hold_until"), "blobs_hold", ["until"])
