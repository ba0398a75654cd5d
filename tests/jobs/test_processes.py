"""Several processes over one folder: every job is run, and none of them twice."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

from mien.errors import JobError
from mien.jobs import editing, states
from mien.jobs.folder import FolderStore
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Step
from tests.jobs.fakes import TextEngine, runner, text_step

JOBS = [f"job{number}" for number in range(6)]


def work(folder: Path) -> None:
    """Run every job that nobody else runs, as ``job-run-all`` does."""

    def tell(step: Step) -> None:
        with (folder / "log").open("a") as log:
            log.write(f"{step.options['label']}\n")
        time.sleep(0.02)

    store = FolderStore(folder / "jobs")
    for id in JOBS:
        try:
            runner(store, TextEngine(tell)).run(id, Cancel())
        except JobError:
            continue


def test_processes_share_jobs(tmp_path: Path) -> None:
    (tmp_path / "target.png").write_text("t")
    store = FolderStore(tmp_path / "jobs")
    for id in JOBS:
        store.create(id)
        step = text_step(tmp_path, id, f"{id}.png")
        store.update(id, lambda job, step=step: editing.add_step(job, step))  # type: ignore[misc]
        store.update(id, states.submit)
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    processes = [context.Process(target=work, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    # Whoever came second skipped a job; all are done, each by one.
    assert sorted((tmp_path / "log").read_text().split()) == JOBS
    assert {job.id for job in store.jobs("completed")} == set(JOBS)
    assert all(len(job.attempts) == 1 for job in store.jobs())
