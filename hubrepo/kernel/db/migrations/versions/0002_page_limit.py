"""How many pages an organisation may have live."""

import sqlalchemy as sa
from alembic import op

revision = "kernel_0002"
down_revision = "kernel_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("accounts_organisation", sa.Column("max_pages", sa.BigInteger(), nullable=True))
