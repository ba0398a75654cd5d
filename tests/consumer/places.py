"""Consumers with stand-ins for the work, and a gateway for them.

Also a consumer process: ``python -m tests.consumer.places JSON`` works until it is told to stop.
"""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from mien.comfyui import ComfySettings
from mien.consumer.composing import open_consumer
from mien.consumer.consumer import Consumer
from mien.consumer.settings import ConsumerSettings
from mien.pipeline.adopting import Adopted
from mien.pipeline.progress import Cancel, Progress, Report
from mien.pipeline.step import PathInput, Result, Step
from mien.settings import Settings
from tests.server.served import Served, face_png

PAINT = {"prompt": "a cat", "resolution": "512x768", "seed": 7}


@dataclass
class StandIn:
    """In the place of the face engine: the result is the target; ``behave`` is called before, with the request."""

    behave: Callable[[Step, Cancel], None] = lambda step, cancel: None
    marks: Path | None = None
    """A folder that gets a file for each result."""
    steps: list[Step] = field(default_factory=list)

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *error: object) -> None: ...

    def run(self, step: Step, *, on_progress: Report | None = None, cancel: Cancel | None = None) -> Result:
        self.steps.append(step)
        if on_progress is not None:
            on_progress(Progress("process", 0, 1))
        self.behave(step, cancel or Cancel())
        shutil.copyfile(step.target, step.output)
        if self.marks is not None:
            (self.marks / f"{time.monotonic_ns()}").touch()
        return Result(step.output, "image", 1, 0.01, 1)

    def judge(self, files: Iterable[PathInput], options: Mapping[str, Any] | None = None) -> str:
        return "passed"

    def adopt_result(self, made: PathInput, output: PathInput, **about: Any) -> Adopted:
        shutil.copyfile(made, output)
        return Adopted("passed", False, ())


class Requests:
    """A client of the gateway, for both sides."""

    def __init__(self, place: Served) -> None:
        self.place = place
        self.url = str(place.client.base_url).replace("/api/v1/", "")
        self.http = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)

    def swap(self, shade: int = 0, **more: Any) -> str:
        """The id of a new face swap of two uploaded pictures."""
        data = {"source_url": self.place.upload(1), "target_url": self.place.upload(shade), **more}
        return self.create("face_swap", data)

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


def settings_for(url: str, folder: Path, **given: Any) -> ConsumerSettings:
    """Quick settings; ``folder`` is the work folder."""
    quick = {"poll_seconds": 0.05, "poll_max_seconds": 0.2, "lease_seconds": 30, "shutdown_seconds": 20}
    return ConsumerSettings.model_validate({"url": url, "work_dir": folder, **quick, **given})


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


class Process:
    """A consumer in a process of its own."""

    def __init__(self, url: str, folder: Path, **given: Any) -> None:
        words = {"url": url, "folder": str(folder), **given}
        command = [sys.executable, "-m", "tests.consumer.places", json.dumps(words)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Let it finish what it does."""
        self.process.terminate()
        return self.process.wait(60)


def main(url: str, folder: str, marks: str, hold: str = "", die_at: str = "", **given: Any) -> None:
    """A consumer whose work is quick. ``hold``: work waits as long as that file exists; ``die_at``: see ``_deadly``."""
    place = Path(marks)

    def behave(step: Step, cancel: Cancel) -> None:
        (place / "begun").touch()
        while hold and Path(hold).exists():
            cancel.wait(0.05)

    settings = settings_for(url, Path(folder), **given)
    made = Settings.from_environment({})
    _deadly(die_at, place)
    with open_consumer(settings, made, engine=lambda _: StandIn(behave, place)) as consumer:  # type: ignore[arg-type,return-value]
        signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
        consumer.run()


def _deadly(moment: str, place: Path) -> None:
    """Kill this process, once, just before (``name``) or after (``name+``) a call of a consumer's part."""
    import os

    from mien.consumer.gateway import Gateway
    from mien.consumer.journal import Entry

    if not moment or (place / "died").exists():
        return
    name = moment.rstrip("+")
    owner: Any = Entry if name == "write" else Gateway
    before = getattr(owner, name)

    def call(*args: Any, **more: Any) -> Any:
        if not moment.endswith("+"):
            _die(place)
        found = before(*args, **more)
        _die(place)
        return found

    def _die(place: Path) -> None:
        (place / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, call)


def picture(shade: int = 0) -> bytes:
    """A small picture."""
    return face_png(shade)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
