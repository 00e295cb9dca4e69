"""Packages, versions and aliases."""

import sqlalchemy as sa
from alembic import op

from hubrepo.kernel.db import Instant, name_type

revision = "packages_0001"
down_revision = None
branch_labels = ("packages",)
depends_on = ("kernel_0001",)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "packages_package",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", name_type(128), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("head", sa.Integer(), nullable=False),
        sa.Column("archived_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_packages_package_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages_package")),
        sa.UniqueConstraint(
            "organisation_id", "name", name=op.f("uq_packages_package_organisation_id_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "packages_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("published_at", Instant(), nullable=False),
        sa.Column("published_by", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("blob_id", sa.Integer(), nullable=True),
        sa.Column("tombstoned_at", Instant(), nullable=True),
        sa.Column("tombstone_reason", sa.Text(), nullable=False),
        sa.Column("forked_package", name_type(128), nullable=True),
        sa.Column("forked_version", sa.Integer(), nullable=True),
        sa.Column("fork_verified", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs_blob.id"], name=op.f("fk_packages_version_blob_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_packages_version_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["package_id"], ["packages_package.id"], name=op.f("fk_packages_version_package_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages_version")),
        sa.UniqueConstraint(
            "organisation_id",
            "package_id",
            "number",
            name=op.f("uq_packages_version_organisation_id_package_id_number"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_packages_version_blob_id"), "packages_version", ["blob_id"])
    op.create_table(
        "packages_alias",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("name", name_type(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "package_id", "number"],
            [
                "packages_version.organisation_id",
                "packages_version.package_id",
                "packages_version.number",
            ],
            name=op.f("fk_packages_alias_organisation_id_package_id_number"),
        ),
        sa.ForeignKeyConstraint(
            ["package_id"], ["packages_package.id"], name=op.f("fk_packages_alias_package_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages_alias")),
        sa.UniqueConstraint(
            "organisation_id",
            "package_id",
            "name",
            name=op.f("uq_packages_alias_organisation_id_package_id_name"),
        ),
        sqlite_autoincrement=True,
    )
