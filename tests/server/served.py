"""A whole service behind a real port, with stand-ins for the face engine: for tests of routes."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from mien.comfyui import ComfySettings
from mien.db import open_database
from mien.service.logs import open_log
from mien.service.service import Service
from mien.service.settings import ServiceSettings
from mien.service.tracing import OFF, Tracing
from mien.settings import Settings
from mien.storage import StorageSettings, open_storage
from tests.media.pictures import png
from tests.pipeline.fakes import PROCESSORS, FakeAnalyser
from tests.ready import app_of
from tests.server.running import running


@dataclass(frozen=True)
class Served:
    """A service, and a client of it."""

    service: Service
    client: httpx2.Client

    def upload(self, shade: int = 0) -> str:
        """The id of a small picture with a face."""
        answer = self.client.post("assets", files={"file": ("face.png", face_png(shade))})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def submit(self, **body: Any) -> dict[str, Any]:
        """A job that was taken in."""
        answer = self.client.post("jobs", json=body)
        assert answer.status_code in (201, 202), answer.text
        return dict(answer.json())

    def wait(self, id: str, *wanted: str, seconds: float = 60) -> dict[str, Any]:
        """The job once it is in one of these states, or has ended."""
        deadline = time.monotonic() + seconds
        while True:
            job = dict(self.client.get(f"jobs/{id}").json())
            if job["status"] in (wanted or ("completed", "failed", "canceled")):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.02)


@contextmanager
def served(
    folder: Path,
    *,
    works: bool = True,
    engine: dict[str, Any] | None = None,
    processors: Mapping[str, Any] | None = PROCESSORS,
    port: int = 0,
    comfy: ComfySettings | None = None,
    tracing: Tracing = OFF,
    **given: Any,
) -> Iterator[Served]:
    """A service on SQLite and local files; with ``works`` it also runs its jobs. ``given`` are its settings,
    ``processors`` None the real ones, ``comfy`` names ComfyUI instances.
    """
    settings = ServiceSettings(data_dir=folder, shutdown_seconds=5, **given)
    engine_settings = Settings(cache_dir=folder / "cache", offline=True, threads=1, **(engine or {}))
    storage = open_storage(StorageSettings(local_path=folder / "storage"))
    database = open_database(settings.database())
    log = open_log(settings, io.StringIO())
    make = partial(_engine, processors)
    with Service(settings, engine_settings, database, storage, log, make, comfy, tracing) as service:
        if works:
            service.start("all")
        with running(app_of(service), port) as client:
            yield Served(service, client)


def _engine(processors: Mapping[str, Any] | None, settings: Settings) -> Any:
    from mien.pipeline.engine import Engine

    analyser = FakeAnalyser()
    return Engine(settings, processors=processors, make_analyser=lambda *_: analyser)


def face_png(shade: int = 0, width: int = 32, height: int = 24) -> bytes:
    """A picture with what the stand-in takes for a face: a green rectangle."""
    rows = bytearray()
    for y in range(height):
        rows += b"\0"
        for x in range(width):
            is_face = 8 <= x < 20 and 6 <= y < 18
            rows += bytes((0, 255, 0)) if is_face else bytes((shade % 256, 90, 200))
    return png(width, height, 2, 8, bytes(rows))


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, str(answer.json()["error"]["code"])


def fields_of(answer: httpx2.Response) -> set[str]:
    """The fields that a refusal names."""
    return {item["field"] for item in answer.json()["error"]["details"]}
