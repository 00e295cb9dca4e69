"""Tokens, products, grants and versions."""

import sqlalchemy as sa
from alembic import op

from hubrepo.kernel.db import Instant, name_type

revision = "artifacts_0001"
down_revision = None
branch_labels = ("artifacts",)
depends_on = ("kernel_0001",)


def _owner(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id"],
        ["accounts_organisation.id"],
        name=op.f(f"fk_{table}_organisation_id"),
    )


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "artifacts_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("last_used_at", Instant(), nullable=True),
        _owner("artifacts_token"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_artifacts_token_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_artifacts_token_organisation_id"), "artifacts_token", ["organisation_id"]
    )
    op.create_table(
        "artifacts_product",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", name_type(128), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        _owner("artifacts_product"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts_product")),
        sa.UniqueConstraint(
            "organisation_id", "name", name=op.f("uq_artifacts_product_organisation_id_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "artifacts_grant",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("maintainer", sa.Boolean(), nullable=False),
        sa.Column("download", sa.Boolean(), nullable=False),
        sa.Column("upload", sa.Boolean(), nullable=False),
        sa.Column("delete", sa.Boolean(), nullable=False),
        _owner("artifacts_grant"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["artifacts_product.id"], name=op.f("fk_artifacts_grant_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["artifacts_token.id"], name=op.f("fk_artifacts_grant_token_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts_grant")),
        sa.UniqueConstraint(
            "organisation_id",
            "product_id",
            "token_id",
            name=op.f("uq_artifacts_grant_organisation_id_product_id_token_id"),
        ),
        sqlite_autoincrement=True,
    )
    for column in ("product_id", "token_id"):
        op.create_index(op.f(f"ix_artifacts_grant_{column}"), "artifacts_grant", [column])
    op.create_table(
        "artifacts_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("identifier", name_type(128), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("blob_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        _owner("artifacts_version"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["artifacts_product.id"], name=op.f("fk_artifacts_version_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs_blob.id"], name=op.f("fk_artifacts_version_blob_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts_version")),
        sa.UniqueConstraint(
            "organisation_id",
            "product_id",
            "identifier",
            name=op.f("uq_artifacts_version_organisation_id_product_id_identifier"),
        ),
        sqlite_autoincrement=True,
    )
    for column in ("product_id", "blob_id"):
        op.create_index(op.f(f"ix_artifacts_version_{column}"), "artifacts_version", [column])
