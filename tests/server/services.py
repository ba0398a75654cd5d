"""A service without a worker, and clients of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from mien.service.service import Service, open_service
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import StorageSettings
from tests.ready import app_of


@dataclass
class Served:
    service: Service
    app: FastAPI
    client: TestClient
    log: io.StringIO

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[Served]:
    log = io.StringIO()
    given = ServiceSettings(data_dir=folder, **settings)
    engine = Settings(cache_dir=folder / "cache", offline=True)
    with open_service(given, engine, StorageSettings(), log_to=log) as service:
        app = app_of(service)
        with TestClient(app, base_url="http://localhost:8080", raise_server_exceptions=False) as client:
            yield Served(service, app, client, log)
