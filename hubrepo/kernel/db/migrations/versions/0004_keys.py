"""What keys are limited to, what took their place, and how often bad ones came."""

import sqlalchemy as sa
from alembic import op

from hubrepo.kernel.db import Instant

revision = "kernel_0004"
down_revision = "kernel_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("accounts_api_key", sa.Column("only", sa.String(1024), nullable=True))
    op.add_column("accounts_api_key", sa.Column("successor", sa.String(8), nullable=True))
    op.create_table(
        "security_failure_count",
        sa.Column("counter", sa.String(length=255), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("counter", name=op.f("pk_security_failure_count")),
    )
    op.create_index(op.f("ix_security_failure_count_until"), "security_failure_count", ["until"])
