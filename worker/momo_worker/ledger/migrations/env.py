"""Alembic's entry: takes the connection that `ledger.migrate` hands it and runs what is missing; reads no settings of its own."""

from alembic import context

from momo_worker.ledger.schedule_schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
