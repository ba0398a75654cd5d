"""Consumers in threads and processes, and clients of the gateway that gives them tasks."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from mien.comfyui import ComfySettings
from mien.consumer.composing import open_consumer
from mien.consumer.consumer import Consumer
from mien.settings import Settings
from tests.consumer.process import StandIn, main, settings_for
from tests.forked import Forked
from tests.server.served import Served, face_png

PAINT = {"prompt": "a cat", "resolution": "512x768", "seed": 7}


class Requests:
    """A client of the gateway, for both sides."""

    def __init__(self, place: Served) -> None:
        self.place = place
        self._uploaded: dict[int, str] = {}
        self.url = str(place.client.base_url).replace("/api/v1/", "")
        self.http = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)

    def swap(self, shade: int = 0, **more: Any) -> str:
        """The id of a new face swap of two uploaded pictures."""
        data = {"source_url": self.upload(1), "target_url": self.upload(shade), **more}
        return self.create("face_swap", data)

    def upload(self, shade: int) -> str:
        """The id of a picture, which is uploaded once."""
        if shade not in self._uploaded:
            self._uploaded[shade] = self.place.upload(shade)
        return self._uploaded[shade]

    def create(self, workflow: str, data: Mapping[str, Any]) -> str:
        answer = self.http.post("/api/tasks/create", json={"workflow": workflow, "task_data": data})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["taskId"])

    def task(self, id: str) -> dict[str, Any]:
        return dict(self.http.get(f"/api/tasks/{id}").json())

    def wait(self, id: str, *wanted: str, seconds: float = 60) -> dict[str, Any]:
        """The task once it is in one of these states."""
        found: dict[str, Any] = {}

        def is_there() -> bool:
            found.update(self.task(id))
            return found["status"] in (wanted or ("COMPLETED", "FAILED", "CANCELLED"))

        until(is_there, seconds)
        return found

    def cancel(self, id: str) -> None:
        self.http.post("/api/comfyui-interrupt", json={"task_id": id})

    def ends(self) -> dict[str, list[str]]:
        """The final states that each job was put into, in their order."""
        from mien.db.tables import job_events

        with self.place.service.database.read() as connection:
            rows = connection.execute(
                job_events.select().where(job_events.c.type == "status").order_by(job_events.c.id)
            ).mappings()
            found: dict[str, list[str]] = {}
            for row in rows:
                data = row["data"] if isinstance(row["data"], dict) else json.loads(row["data"])
                if data["status"] in ("completed", "failed", "canceled"):
                    found.setdefault(row["job"], []).append(data["status"])
            return found


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


@dataclass
class Working:
    """A consumer in a thread."""

    consumer: Consumer
    engine: Any
    thread: threading.Thread
    log: io.StringIO
    failures: list[Exception] = field(default_factory=list)

    def stop(self) -> None:
        self.consumer.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()

    @property
    def outcomes(self) -> dict[str, int]:
        return {str(name): count for name, count in self.consumer.outcomes.items()}


@contextmanager
def working(
    url: str,
    folder: Path,
    engine: Any = None,
    *,
    once: bool = False,
    comfy: ComfySettings | None = None,
    storage: Any = None,
    **given: Any,
) -> Iterator[Working]:
    """A consumer that works until the end of the block; with ``once`` until there is no task any more."""
    engine, log = engine or StandIn(), io.StringIO()
    settings = settings_for(url, folder, **given)
    made = Settings.from_environment({}).model_copy(update={"cache_dir": folder.parent / "cache"})
    with open_consumer(settings, made, comfy, storage, log, lambda _: engine) as consumer:

        def run() -> None:
            try:
                consumer.run(once)
            except Exception as error:  # shown to the test
                found.failures.append(error)

        found = Working(consumer, engine, threading.Thread(target=run), log)
        found.thread.start()
        try:
            yield found
        finally:
            found.stop()


def consumer_process(url: str, folder: Path, **given: Any) -> Forked:
    """A consumer in a process of its own."""
    return Forked(main, url=url, folder=str(folder), **given)


def picture(shade: int = 0) -> bytes:
    """A small picture."""
    return face_png(shade)
