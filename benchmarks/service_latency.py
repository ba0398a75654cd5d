"""How soon a job begins after it was stored, and how many a worker does in a second.

    python benchmarks/service_latency.py [URL]

The steps of the jobs do nothing; what is measured is the way of a job through the database, the job engine and the
storage. Without a URL, on a SQLite file in a temporary folder; the worker runs in this process.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from mien.db import open_database
from mien.jobs import states
from mien.jobs.dbos_engine import DbosEngine
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import NewJob
from mien.service.assets import Assets
from mien.service.events import Events
from mien.service.settings import ServiceSettings
from mien.service.stepping import Steps
from mien.service.steps import StepDone, StepTask
from mien.service.worker import Jobs
from mien.storage import StorageSettings, open_storage

PROBES = 60
BURST = 300


class Noting:
    """A step that only says when it began."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}

    def run(self, task: StepTask) -> StepDone:
        """Write a small result."""
        self.begun[task.row.id] = time.perf_counter()
        task.output.write_text(task.row.id)
        return StepDone((task.output,))


@contextmanager
def working(url: str, folder: Path, steps: Noting) -> Iterator[Jobs]:
    """A worker in this process."""
    settings = ServiceSettings(data_dir=folder, database_url=SecretStr(url), workers=4)
    storage = open_storage(StorageSettings(local_path=folder / "storage"))
    database = open_database(url)
    assets = Assets(database, storage, settings)
    kinds = {"faces": Steps(assets, {"local": steps})}
    jobs = Jobs(settings, database, Events(database), assets, DbosEngine(database), kinds)
    jobs.start("all")
    try:
        yield jobs
    finally:
        jobs.close()
        database.close()


def new_job(name: str) -> NewJob:
    """A job of one step, whose target nobody reads."""
    step = JobStep({"target_path": "none", "output_path": "result:out", "processors": ["noting"]})
    return NewJob(states.submit(Job(f"{name}-{os.getpid()}", now(), steps=(step,))))


def probe(jobs: Jobs, steps: Noting) -> None:
    """Jobs one at a time, while nothing else is to be done."""
    waits, whole = [], []
    for number in range(PROBES):
        time.sleep(0.1)
        new = new_job(f"probe-{number}")
        started = time.perf_counter()
        jobs.nudge(jobs.store.insert([new]))
        while not jobs.store.row(new.job.id).has_ended:
            time.sleep(0.002)
        whole.append(time.perf_counter() - started)
        waits.append(steps.begun[new.job.id] - started)
    print(f"stored to begun    p50 {_ms(waits, 50)} ms, p95 {_ms(waits, 95)} ms")
    print(f"stored to ended    p50 {_ms(whole, 50)} ms, p95 {_ms(whole, 95)} ms")


def burst(jobs: Jobs) -> None:
    """Many jobs at once."""
    started = time.perf_counter()
    rows = jobs.store.insert([new_job(f"burst-{number}") for number in range(BURST)])
    jobs.nudge(rows)
    handed = time.perf_counter() - started
    while jobs.store.counts().get("completed", 0) < BURST + PROBES:
        time.sleep(0.02)
    done = BURST / (time.perf_counter() - started)
    print(f"{BURST} jobs at once   {BURST / handed:.0f} handed over, {done:.0f} done a second")


def idle(seconds: float = 5.0) -> None:
    """What waiting costs."""
    before = time.process_time()
    time.sleep(seconds)
    print(f"idle               {100 * (time.process_time() - before) / seconds:.1f} % of a core")


def _ms(values: list[float], percent: int) -> str:
    return f"{1000 * statistics.quantiles(values, n=100)[percent - 1]:.1f}"


def main() -> None:
    """Print the figures."""
    steps = Noting()
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/mien.db"
        with working(url, Path(folder), steps) as jobs:
            print(f"load before        {os.getloadavg()[0]:.1f}")
            idle()
            probe(jobs, steps)
            burst(jobs)


if __name__ == "__main__":
    main()
