"""Run by Alembic: migrate over the connection that :class:`tuwen.catalog.database.Database` hands over."""

from alembic import context

from tuwen.catalog.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
)
with context.begin_transaction():
    context.run_migrations()
