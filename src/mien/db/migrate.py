"""Brings a database to the tables of this version; several processes may try at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mien.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

    from mien.db.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations"
LOCK: Final = 7_305_448_129
"""Number of the advisory lock under which PostgreSQL is changed."""


def migrate(database: Database) -> None:
    """Make or update the tables. Raises DatabaseUnavailable, also when the database is of a later version of mien."""
    with database.read() as connection:
        # Without Alembic, which most starts would load for nothing: ten megabytes that stay.
        if _version(connection) == newest():
            return
    from alembic import command
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_config(None)).walk_revisions()}
    with _alone(database) as connection:
        current = _version(connection)
        if current is not None and current not in known:
            raise DatabaseUnavailable(
                f"The database was last used by a later version of mien (its tables are at {current}); update mien."
            )
        command.upgrade(_config(connection), "head")


def newest() -> str:
    """The revision that the tables of this version of mien are at; file names of migrations begin with theirs."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def _version(connection: Connection) -> str | None:
    """The revision of the tables as Alembic keeps it; None where there are none yet."""
    import sqlalchemy as sa

    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return version


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
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
