"""Pages, publications, what is live, and where files lie."""

import sqlalchemy as sa
from alembic import op

from hubrepo.kernel.db import Instant, name_type

revision = "pages_0001"
down_revision = None
branch_labels = ("pages",)
depends_on = ("kernel_0002",)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "pages_page",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("path", name_type(255), nullable=False),
        sa.Column("head", sa.Integer(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_pages_page_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pages_page")),
        sa.UniqueConstraint(
            "organisation_id", "path", name=op.f("uq_pages_page_organisation_id_path")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pages_publication",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("published_at", Instant(), nullable=False),
        sa.Column("published_by", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("blob_id", sa.Integer(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=True),
        sa.Column("retired_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs_blob.id"], name=op.f("fk_pages_publication_blob_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_pages_publication_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["page_id"], ["pages_page.id"], name=op.f("fk_pages_publication_page_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pages_publication")),
        sa.UniqueConstraint(
            "organisation_id",
            "page_id",
            "number",
            name=op.f("uq_pages_publication_organisation_id_page_id_number"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_pages_publication_blob_id"), "pages_publication", ["blob_id"])
    op.create_index(
        op.f("ix_pages_publication_organisation_id_retired_at"),
        "pages_publication",
        ["organisation_id", "retired_at"],
    )
    op.create_table(
        "pages_live",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("path", name_type(255), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("published_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_pages_live_organisation_id"),
        ),
        sa.ForeignKeyConstraint(["page_id"], ["pages_page.id"], name=op.f("fk_pages_live_page_id")),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["pages_publication.id"],
            name=op.f("fk_pages_live_publication_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pages_live")),
        sa.UniqueConstraint(
            "organisation_id", "path", name=op.f("uq_pages_live_organisation_id_path")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_pages_live_publication_id"), "pages_live", ["publication_id"])
    op.create_index(
        op.f("ix_pages_live_organisation_id_published_at_path"),
        "pages_live",
        ["organisation_id", "published_at", "path"],
    )
    op.create_table(
        "pages_file",
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("path", name_type(None), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("stored_size", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("crc", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("stored_digest", sa.String(length=64), nullable=True),
        sa.Column("is_utf8", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_pages_file_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["pages_publication.id"],
            name=op.f("fk_pages_file_publication_id"),
        ),
        sa.PrimaryKeyConstraint(
            "publication_id", "organisation_id", "path", name=op.f("pk_pages_file")
        ),
        sqlite_with_rowid=False,
    )
