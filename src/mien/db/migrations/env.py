"""Runs migrations on the connection that ``mien.db.migrate`` hands over, inside its transaction."""

from alembic import context

from mien.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
