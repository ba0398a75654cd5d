"""One database, SQLite or PostgreSQL, behind the same few calls."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import DatabaseUnavailable, OptionError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine
    from sqlalchemy.exc import DBAPIError

BUSY_SECONDS = 30
"""How long SQLite waits for another process that writes."""

IDLE_SECONDS = 15
"""How long PostgreSQL waits for the next word of a transaction."""

TEST_AFTER = 2.0
"""After so many seconds without use a connection is tested before it is used again."""

_POSTGRES_CLOCK = "extract(epoch from clock_timestamp())::double precision"


@dataclass(frozen=True)
class Database:
    """A database with all tables of this version. Shared by any number of threads."""

    url: str
    engine: Engine

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes: all of the block happens, or nothing.

        Raises DatabaseUnavailable when the server cannot be reached or the file cannot be written.
        """
        from sqlalchemy.exc import DBAPIError

        try:
            with self.engine.begin() as connection:
                if self.is_sqlite:
                    # Taken at once: a transaction that reads first could not become a writer beside another one.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
        except DBAPIError as error:
            raise _explained(error, self.url) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """For what only reads; with PostgreSQL each statement sees what is there at its moment.

        Raises DatabaseUnavailable.
        """
        from sqlalchemy.exc import DBAPIError

        try:
            with self._reading.connect() as connection:
                if self.is_sqlite:
                    connection.exec_driver_sql("BEGIN")
                yield connection
        except DBAPIError as error:
            raise _explained(error, self.url) from error

    @cached_property
    def _reading(self) -> Engine:
        """PostgreSQL needs no transaction for reading, which saves two of three ways to the server."""
        return self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def clock(self) -> ColumnElement[float]:
        """This moment as the database sees it, in seconds since 1970: one clock for all machines."""
        import sqlalchemy as sa

        text = "(julianday('now') - 2440587.5) * 86400.0" if self.is_sqlite else _POSTGRES_CLOCK
        return sa.literal_column(text, sa.Double())

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def open_database(url: str, *, pool_size: int = 20) -> Database:
    """Open a database by its URL, making or updating its tables when that is needed.

    ``sqlite:///path/to/file.db`` or ``postgresql://user:password@host/name``. Raises OptionError for another kind of
    URL, DatabaseUnavailable when it cannot be reached.
    """
    from mien.db.migrate import migrate

    database = Database(url, _engine(url, pool_size))
    migrate(database)
    return database


def is_database_url(place: str) -> bool:
    """Whether ``place`` names a database rather than a folder."""
    return bool(re.match(r"(sqlite|postgres(ql)?)(\+\w+)?://", place))


def without_password(url: str) -> str:
    """The URL as it may be shown and logged."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def _engine(url: str, pool_size: int) -> Engine:
    import sqlalchemy as sa

    if not is_database_url(url):
        raise OptionError(
            f"{without_password(url)!r} is not a database that mien knows; give sqlite:///FILE or postgresql://…"
        )
    if url.startswith("sqlite"):
        return _sqlite(url)
    address = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg://", url)
    engine = sa.create_engine(
        address,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={"connect_timeout": 10, "application_name": "mien"},
    )
    sa.event.listen(engine, "connect", prepare_postgres)
    sa.event.listen(engine, "checkin", _note_use)
    sa.event.listen(engine, "checkout", _test_idle)
    return engine


def _note_use(connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _test_idle(connection: Any, record: Any, proxy: Any) -> None:
    """Ask a connection that was not used for a while for a sign of life; the pool replaces a dead one.

    Not each time, as the pool itself would: it doubles the way to the server for short transactions.
    """
    from psycopg import Error
    from sqlalchemy.exc import DisconnectionError

    if time.monotonic() - record.info.get("used", time.monotonic()) < TEST_AFTER:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except Error as error:
        raise DisconnectionError("The connection was lost.") from error


def _sqlite(url: str) -> Engine:
    import sqlalchemy as sa

    file = sa.make_url(url).database
    if not file or file == ":memory:":
        raise OptionError(
            "The service keeps its jobs in a file; give sqlite:///FILE instead of a database in memory."
        )
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"The folder of the database {file} cannot be made: {error.strerror}."
        ) from None
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
    sa.event.listen(engine, "connect", prepare_sqlite)
    return engine


def prepare_sqlite(connection: Any, record: object = None) -> None:
    """Set up a new SQLite connection; also used for the connections of the job engine.

    Transactions are begun by hand, so that those that write take the lock first (see ``Database.begin``).
    Write-ahead logging lets readers and one writer work side by side, and NORMAL is safe against a killed process.
    ``unixepoch`` with fractions exists since SQLite 3.42; the job engine counts on it with newer versions of Python.
    """
    connection.isolation_level = None
    connection.create_function("unixepoch", -1, lambda *words: time.time())
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS}000")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: Any) -> None:
    """Switch to write-ahead logging; SQLite itself would not wait for another one that writes at that moment."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def prepare_postgres(connection: Any, record: object = None) -> None:
    """Set up a new PostgreSQL connection; also used for the connections of the job engine.

    The locks of a process that stands still in the middle of a transaction must not hold up all others for ever.
    """
    connection.autocommit = True
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    connection.autocommit = False


def _explained(error: DBAPIError, url: str) -> Exception:
    """The error of a database that is away or busy in one sentence; a mistake of the program stays what it is."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no connection"
        return DatabaseUnavailable(f"The database {without_password(url)} cannot be used: {reason}.")
    return error
