"""How DBOS is set up: its database, its settings, and its silence.

On SQLite it has a file of its own beside that of the service, so that its polling and the service's writing do not
wait for each other; on PostgreSQL a schema of its own. Nothing is lost with either: what a job is stands in the
service's tables, and jobs that DBOS does not know are handed to it again.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mien.db.database import BUSY_SECONDS, prepare_postgres, prepare_sqlite

if TYPE_CHECKING:
    from dbos import DBOSConfig
    from sqlalchemy import Engine

    from mien.db import Database

NAME: Final = "mien"
SCHEMA: Final = "mien_engine"
PROTOCOL: Final = "1"
"""Stands in the place of DBOS's hash of the source code, by which every update of mien would strand waiting jobs.
Raised when tasks of an earlier version cannot be understood any more."""
CONNECTIONS: Final = 10


def engine_for(database: Database) -> Engine:
    """Connections to DBOS's tables, beside those of ``database``."""
    import sqlalchemy as sa

    if not database.is_sqlite:
        address = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg://", database.url)
        engine = sa.create_engine(
            address,
            pool_size=CONNECTIONS,
            max_overflow=CONNECTIONS,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "mien-engine"},
        )
        sa.event.listen(engine, "connect", prepare_postgres)
        return engine
    engine = sa.create_engine(
        f"sqlite:///{engine_file(database)}",
        pool_size=CONNECTIONS,
        max_overflow=CONNECTIONS,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _prepare)
    return engine


def engine_file(database: Database) -> Path:
    """The file that DBOS has beside the SQLite file of the service."""
    file = Path(str(database.engine.url.database)).absolute()
    return file.with_name(f"{file.stem}-engine{file.suffix}")


def _prepare(connection: Any, record: object) -> None:
    prepare_sqlite(connection)
    # As DBOS does with connections that it opens itself: transactions begin with the first write.
    connection.isolation_level = "IMMEDIATE"


def settings_for(engine: Engine, worker: str) -> DBOSConfig:
    """DBOS's settings for one worker process."""
    from dbos import DBOSPortableJSONSerializer

    return {
        "name": NAME,
        "application_version": PROTOCOL,
        "executor_id": worker,
        "system_database_engine": engine,
        "dbos_system_schema": SCHEMA,
        "serializer": DBOSPortableJSONSerializer(),
        "use_listen_notify": False,
        "run_migrations": False,
        "log_level": "WARNING",
        "enable_otlp": False,
        "scheduler_polling_interval_sec": 3600.0,
        "notification_listener_polling_interval_sec": 1.0,
    }


def hush() -> None:
    """Let DBOS's warnings go where the program's own lines go, and nothing below a warning anywhere."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # or DBOS adds one that writes to the terminal
    logger.propagate = True
