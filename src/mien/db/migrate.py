"""Brings a database to the tables of this version; several processes may try at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

    from mien.db.database import Database

LOCK = 7_305_448_129
"""Number of the advisory lock under which PostgreSQL is changed."""


def migrate(database: Database) -> None:
    """Make or update the tables. Raises DatabaseUnavailable, also when the database is of a later version of mien."""
    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config(None))
    head = scripts.get_current_head()
    with database.read() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == head:
        return
    with _alone(database) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise DatabaseUnavailable(
                f"The database was last used by a later version of mien (its tables are at {current}); update mien."
            )
        command.upgrade(_config(connection), "head")


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A transaction in which nobody else changes tables."""
    with database.begin() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        yield connection


def _config(connection: Connection | None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
