"""What many tests need and what is the same for all of them, made once in a process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mien.db import Database
    from mien.service.service import Service

Migrate = Callable[["Database"], None]


@contextmanager
def shortcuts(folder: Path) -> Iterator[None]:
    """Within it, new SQLite files are copies of one, HTTP clients read the certificates of the machine once, and files
    are not waited for until they would outlast a loss of power.

    Either of the first two takes a client or a service longer than all the rest of its start. ``folder`` is for the
    template.
    """
    import httpcore2

    from mien.db.migrate import migrate

    contexts = cache(httpcore2.default_ssl_context)
    ready = copying(migrate, folder / "template.db")
    with (
        patch("mien.db.migrate.migrate", ready),
        patch("httpcore2.default_ssl_context", contexts),
        patch("os.fsync", lambda descriptor: None),
    ):
        yield


def make_tables(url: str) -> None:
    """Make the tables of the service and those of the job engine."""
    from mien.db import open_database
    from mien.jobs.dbos_engine import DbosEngine

    database = open_database(url)
    engine = DbosEngine(database)
    engine.outcomes(["none"])
    engine.close()
    database.close()


def copying(migrate: Migrate, template: Path) -> Migrate:
    """Like ``migrate``, but new SQLite files become copies of those that ``migrate`` has made at ``template``."""

    @cache
    def make() -> None:
        with patch("mien.db.migrate.migrate", migrate):
            make_tables(f"sqlite:///{template}")

    def ready(database: Database) -> None:
        file = Path(str(database.engine.url.database))
        if not database.is_sqlite or file.exists():
            migrate(database)
            return
        make()
        # The job engine's file first, since whoever finds the other one looks for it.
        _copy(_of_engine(template), _of_engine(file))
        _copy(template, file)

    return ready


def _of_engine(file: Path) -> Path:
    return file.with_name(f"{file.stem}-engine{file.suffix}")


def _copy(source: Path, target: Path) -> None:
    """At one go, and nothing where another thread was faster."""
    whole = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    shutil.copyfile(source, whole)
    try:
        os.link(whole, target)
    except FileExistsError:
        pass
    finally:
        whole.unlink()


def app_of(service: Service) -> FastAPI:
    """The app of a service, over the built studio as it was read and packed for the first app."""
    from mien.server.app import create_app

    with patch("mien.server.studio.read_studio", _reading()):
        return create_app(service)


@cache
def _reading() -> Callable[[Path], object]:
    from mien.server.studio import read_studio

    return cache(read_studio)
