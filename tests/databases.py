"""Fixtures for tests that run on both kinds of database: ``database_url`` and ``database``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.db import Database, open_database
from tests import postgres, ready

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    if not postgres.is_installed():
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres_server: postgres.Server) -> str:
    """A PostgreSQL database with all tables, those of the job engine too, which others are copies of."""
    name = "template_of_tests"
    ready.make_tables(postgres_server.new_database(name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of its own; the one of PostgreSQL has its tables, the file of SQLite does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/mien.db"
    server: postgres.Server = request.getfixturevalue("postgres_server")
    template: str = request.getfixturevalue("template")
    return server.new_database(f"test_{os.getpid()}_{next(_numbers)}", template)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.close()


def emptied(database: Database) -> None:
    """Take out all rows, for a service that several tests use one after the other."""
    from mien.db.tables import metadata

    with database.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
