"""A service without HTTP and without models, in one folder, whose steps write text; also in processes of their own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from mien.db import Database, open_database
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.dbos_engine import DbosEngine
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import JobRow, NewJob
from mien.service.assets import Assets
from mien.service.composing import open_jobs
from mien.service.events import Events
from mien.service.settings import ServiceSettings
from mien.service.stepping import Steps
from mien.service.steps import StepDone, StepTask
from mien.service.worker import Hooks, Jobs
from mien.storage import StorageSettings, open_storage
from tests.forked import Forked
from tests.media.pictures import png
from tests.pipeline.fakes import fake_engine

Behave = Callable[[StepTask], None]
MARKS = "marks"
"""A folder with one empty file for each step body that was run to its end."""


@dataclass(frozen=True)
class TextSteps:
    """The result of a step is what its option ``label`` says, under the content of its target where that is text."""

    behave: Behave = lambda task: None
    marks: Path | None = None
    done: list[str] = field(default_factory=list)

    def run(self, task: StepTask) -> StepDone:
        self.behave(task)
        task.cancel.raise_if_set()
        label = str(task.step.args.get("label", "-"))
        target = Path(task.step.target_path or "")
        before = target.read_text() if target.suffix == "" else ""
        task.output.write_text(before + label)
        self.done.append(label)
        if self.marks is not None:
            (self.marks / f"{task.row.id}.{task.index}.{os.getpid()}.{time.monotonic_ns()}").touch()
        return StepDone((task.output,), frames=1, faces=2, seconds=0.01, notices=("said",))


@dataclass
class Workplace:
    """Everything that is needed to store jobs and to run them in this process."""

    settings: ServiceSettings
    database: Database
    assets: Assets
    events: Events
    store: DatabaseStore
    engine: DbosEngine
    jobs: Jobs
    steps: TextSteps
    errors: list[tuple[str, BaseException]]
    ended: list[JobRow]

    def picture(self, owner: str = "") -> str:
        """The reference to a small picture."""
        path = self.settings.data_folder() / f"{owner}target.png"
        path.write_bytes(png(8, 6, 2, 8, (b"\0" + bytes(24)) * 6))
        return f"asset:{self.assets.store_file(path, owner, 'target.png').id}"

    def submit(
        self, *steps: Mapping[str, Any], id: str = "job_1", now_too: bool = True, **more: Any
    ) -> JobRow:
        """Store a job and hand it over."""
        row = self.store.insert([new_job(id, *steps, **more)])[0]
        if now_too:
            self.jobs.nudge([row])
        return row

    def wait(self, id: str = "job_1", *wanted: str, seconds: float = 40) -> JobRow:
        """The job once it is in one of these states, or has ended."""
        deadline = time.monotonic() + seconds
        while True:
            row = self.store.row(id)
            if row.status in wanted or (not wanted and row.has_ended):
                return row
            assert time.monotonic() < deadline, (row.status, row.job.failure, self.errors)
            time.sleep(0.02)

    def text(self, record: Mapping[str, Any], owner: str = "") -> str:
        """The content of a result."""
        with self.assets.open(record["asset"], owner) as opened:
            return b"".join(opened).decode()


def new_job(id: str, *steps: Mapping[str, Any], **more: Any) -> NewJob:
    found = [JobStep({"output_path": "result:out", "processors": ["painter"], **step}) for step in steps]
    return NewJob(states.submit(Job(id, now(), steps=tuple(found))), **more)


@contextmanager
def workplace(
    url: str,
    folder: Path,
    behave: Behave = lambda task: None,
    *,
    marks: Path | None = None,
    storage: Path | None = None,
    segment_seconds: float | None = None,
    **settings: Any,
) -> Iterator[Workplace]:
    """Everything but a worker; ``jobs.start()`` makes it one.

    ``storage`` is a folder that several of them share. With ``segment_seconds`` steps are run by a face engine of
    stand-ins, which cuts videos into segments of that length.
    """
    given = ServiceSettings(
        data_dir=folder,
        database_url=SecretStr(url),
        **{"heartbeat_seconds": 0.3, "dead_after_seconds": 2, "shutdown_seconds": 5, **settings},
    )
    folder.mkdir(parents=True, exist_ok=True)
    objects = open_storage(StorageSettings(local_path=storage or folder / "storage"))
    database = open_database(url)
    assets, events, engine = Assets(database, objects, given), Events(database), DbosEngine(database)
    steps = TextSteps(behave, marks)
    errors: list[tuple[str, BaseException]] = []
    ended: list[JobRow] = []
    hooks = Hooks(on_ended=ended.append, on_error=lambda what, error: errors.append((what, error)))
    with ExitStack() as stack:
        stack.callback(database.close)
        if segment_seconds is None:
            kinds = {"faces": Steps(assets, {"local": steps})}
            jobs = Jobs(given, database, events, assets, engine, kinds, hooks=hooks)
        else:
            faces = stack.enter_context(fake_engine(folder, segment_seconds=segment_seconds, threads=1))
            jobs = open_jobs(
                given,
                faces.settings,
                database,
                objects,
                assets,
                events,
                lambda: faces,
                hooks=hooks,
                info=dict,
            )
        stack.callback(jobs.close)
        yield Workplace(given, database, assets, events, jobs.store, engine, jobs, steps, errors, ended)


def worker_process(url: str, folder: Path, **given: Any) -> Forked:
    """A worker in a process of its own, which says when it is ready."""
    return Forked(main, url=url, folder=str(folder), **given)


@contextmanager
def workers(count: int, make: Callable[[int], Forked]) -> Iterator[list[Forked]]:
    """So many worker processes; the list may be changed, and all that are in it at the end are killed."""
    found = [make(number) for number in range(count)]
    try:
        for worker in found:
            worker.wait_until_ready()
        yield found
    finally:
        for worker in found:
            worker.kill()


def main(
    url: str, folder: str, storage: str, ready: Callable[[], None], seconds: float = 0.0, **settings: Any
) -> None:
    """A worker process whose steps take so long; it works until it is told to stop."""
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    marks = Path(storage).parent / MARKS
    marks.mkdir(exist_ok=True)

    def behave(task: StepTask) -> None:
        if task.step.args.get("label") == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        task.cancel.wait(seconds)

    with workplace(url, Path(folder), behave, marks=marks, storage=Path(storage), **settings) as place:
        place.jobs.start("worker")
        ready()
        while not done.wait(0.2):  # the signal may come to another thread, and then this one has to look
            pass
        place.jobs.stop()
