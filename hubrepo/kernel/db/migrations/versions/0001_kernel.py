"""Organisations, people, keys, blobs, first answers and the audit."""

import sqlalchemy as sa
from alembic import op

from hubrepo.kernel.db import Instant, name_type

revision = "kernel_0001"
down_revision = None
branch_labels = ("kernel",)
depends_on = None

# The log is append-only, whoever asks: an operator with a shell included.
SQLITE_GUARD = """
CREATE TRIGGER audit_event_keeps_{verb} BEFORE {verb} ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END
"""
POSTGRESQL_GUARD = """
CREATE FUNCTION audit_event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'audit events are append-only'; END $$;
CREATE TRIGGER audit_event_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
FOR EACH STATEMENT EXECUTE FUNCTION audit_event_is_append_only()
"""


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "accounts_organisation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.Uuid(), nullable=False),
        sa.Column("name", name_type(255), nullable=False),
        sa.Column("slug", name_type(64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("max_upload_size", sa.BigInteger(), nullable=True),
        sa.Column("max_stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("max_versions", sa.BigInteger(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_organisation")),
        sa.UniqueConstraint("guid", name=op.f("uq_accounts_organisation_guid")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_organisation_name")),
        sa.UniqueConstraint("slug", name=op.f("uq_accounts_organisation_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "accounts_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.Uuid(), nullable=False),
        sa.Column("username", name_type(150), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_user")),
        sa.UniqueConstraint("guid", name=op.f("uq_accounts_user_guid")),
        sa.UniqueConstraint("username", name=op.f("uq_accounts_user_username")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.Uuid(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("guid", name=op.f("uq_audit_event_guid")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_audit_event_organisation_id_id"), "audit_event", ["organisation_id", "id"]
    )
    op.create_index(
        op.f("ix_audit_event_organisation_id_subject_id"),
        "audit_event",
        ["organisation_id", "subject", "id"],
    )
    op.create_table(
        "accounts_api_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("prefix", sa.String(length=8), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=255), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_accounts_api_key_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_accounts_api_key_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_api_key")),
        sa.UniqueConstraint("guid", name=op.f("uq_accounts_api_key_guid")),
        sa.UniqueConstraint("prefix", name=op.f("uq_accounts_api_key_prefix")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_accounts_api_key_organisation_id"), "accounts_api_key", ["organisation_id"]
    )
    op.create_table(
        "accounts_membership",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_accounts_membership_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_accounts_membership_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_membership")),
        sa.UniqueConstraint("user_id", name=op.f("uq_accounts_membership_user_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_accounts_membership_organisation_id"), "accounts_membership", ["organisation_id"]
    )
    op.create_table(
        "blobs_blob",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("doomed_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_blobs_blob_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blobs_blob")),
        sa.UniqueConstraint(
            "organisation_id", "digest", name=op.f("uq_blobs_blob_organisation_id_digest")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_blobs_blob_doomed_at"), "blobs_blob", ["doomed_at"])
    op.create_table(
        "idempotency_first_answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("key", name_type(255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisation.id"],
            name=op.f("fk_idempotency_first_answer_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_first_answer")),
        sa.UniqueConstraint(
            "organisation_id", "key", name=op.f("uq_idempotency_first_answer_organisation_id_key")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_idempotency_first_answer_created_at"), "idempotency_first_answer", ["created_at"]
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(SQLITE_GUARD.format(verb=verb))
    else:
        op.execute(POSTGRESQL_GUARD)
