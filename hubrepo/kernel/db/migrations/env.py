"""Run by Alembic: migrates over the connection that `upgrade` opened."""

from alembic import context

from hubrepo.kernel.db.types import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
