"""Commands that run jobs: ``job-run``, ``job-run-all``, ``job-retry``, ``job-retry-all`` and ``headless-run``."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.cli.commands.jobs import as_data, jobs_section
from mien.cli.interrupt import stopping
from mien.cli.job_command import About, Call, Section, job_id
from mien.cli.job_options import (
    FILES,
    LOG,
    TEMP,
    HaltOptions,
    WorkerOptions,
)
from mien.cli.program import Program
from mien.cli.run_options import PROGRAM_GROUPS
from mien.cli.running import open_engine
from mien.cli.step_args import make_step, step_keys, step_sections
from mien.errors import Canceled, JobBusy, JobMissing, MienError
from mien.options import declared

if TYPE_CHECKING:
    from mien.jobs.job import Job
    from mien.jobs.runner import Runner
    from mien.jobs.store import JobStore
    from mien.pipeline.progress import Cancel


def run_sections(program: Program) -> list[Section]:
    """Where and how work is done."""
    found = [Section(group.title, declared(group)) for group in PROGRAM_GROUPS if group.title != "Messages"]
    return [*found, Section("Files", TEMP), Section("Messages", LOG)]


def _one(program: Program) -> list[Section]:
    return [jobs_section(), *run_sections(program)]


def _many(program: Program) -> list[Section]:
    several = Section("Jobs", declared(HaltOptions) + declared(WorkerOptions))
    return [jobs_section(), several, *run_sections(program)]


def _headless(program: Program) -> list[Section]:
    return [*step_sections(program, *FILES), jobs_section(), *run_sections(program)]


@dataclass(frozen=True)
class Running:
    """What a command that runs jobs works with, for as long as its engine is open."""

    call: Call
    store: JobStore
    runner: Runner
    cancel: Cancel

    def run(self, id: str) -> Job:
        """Run one job to its end. Raises Canceled when the user stopped it, and JobError."""
        job = self.runner.run(id, self.cancel)
        if job.status == "canceled":
            raise Canceled(f"The job {id} was stopped; mien job-retry {id} goes on from there.")
        return job


@contextmanager
def running(call: Call, *, keep_going: bool = False, steps_told: bool = True) -> Iterator[Running]:
    """An engine and a runner whose progress is shown; Ctrl-C stops after the current frame."""
    from mien.jobs.runner import Runner
    from mien.pipeline.progress import Cancel

    store, cancel = call.store(), Cancel()
    with open_engine(call.program, call.terminal, call.values) as (engine, bars):

        def on_step(job: Job, index: int) -> None:
            if steps_told:
                bars.note(f"processing step {index + 1} of {len(job.steps)} of job {job.id}")

        def on_error(error: BaseException) -> None:
            if call.terminal.debug:
                traceback.print_exception(error)

        runner = Runner(
            store,
            engine,
            step_keys(call.program),
            on_step,
            bars.work,
            bars.note,
            on_error,
            keep_going,
            engine.seal_joined,
        )
        bars.watch(cancel)
        with stopping(cancel, bars.note):
            yield Running(call, store, runner, cancel)


def run_one(call: Call) -> None:
    """``job-run``."""
    from mien.jobs import states

    id = job_id(call, "JOB")
    states.may_run(call.store().get(id))  # refuse before models are looked at
    call.terminal.note(f"running queued job {id}")
    with running(call) as it:
        job = it.run(id)
    _answer(call, job)


def retry_one(call: Call) -> None:
    """``job-retry``: goes on at the first unfinished step."""
    from mien.jobs import states

    id = job_id(call, "JOB")
    states.retry(call.store().get(id))  # refuse before models are looked at
    call.terminal.note(f"retrying failed job {id}")
    with running(call) as it:
        it.store.update(id, states.retry)
        job = it.run(id)
    _answer(call, job)


def _answer(call: Call, job: Job) -> None:
    """Give the result of a run; exit code 1 unless the job is completed."""
    call.terminal.result(
        as_data(job), lambda: f"processing of job {job.id} succeeded" if job.status == "completed" else None
    )
    if job.status != "completed":
        message, code = (job.failure.message, job.failure.code) if job.failure else ("", "internal")
        raise call.fail(f"processing of job {job.id} failed: {message}", code)


def run_all(call: Call) -> None:
    """``job-run-all``: every job that is queued now."""
    call.terminal.note("running all queued jobs")
    ids = [job.id for job in call.store().jobs("queued")]
    _run_several(call, ids, "queued", lambda it, id: it.run(id))


def retry_all(call: Call) -> None:
    """``job-retry-all``: every job that has failed or was stopped."""
    from mien.jobs import states

    def act(it: Running, id: str) -> Job:
        it.store.update(id, states.retry)
        return it.run(id)

    call.terminal.note("retrying all failed jobs")
    ids = [job.id for job in call.store().jobs("failed", "canceled")]
    _run_several(call, ids, "failed", act)


def _run_several(call: Call, ids: Sequence[str], status: str, act: Callable[[Running, str], Job]) -> None:
    """Run jobs, ``--workers`` at a time; one that another process runs already is left to it."""
    if not ids:
        raise call.fail(f"There is no {status} job.", "job_missing")
    with running(call) as it:
        jobs = _Several(it, act, bool(call.values.get("halt_on_error"))).run(
            ids, int(call.values.get("workers", 1))
        )
    it.cancel.raise_if_set()
    bad = [job for job in jobs if job["status"] != "completed"]
    call.terminal.result(jobs, lambda: None if bad else "processing of all jobs succeeded")
    if bad:
        raise call.fail(f"processing of {len(bad)} of {len(ids)} jobs failed.", "job_failed")


class _Several:
    """Several jobs, some at the same time, with one engine."""

    def __init__(self, it: Running, act: Callable[[Running, str], Job], halt: bool) -> None:
        self._it = it
        self._act = act
        self._halt = halt
        self._halted = False

    def run(self, ids: Sequence[str], workers: int) -> list[dict[str, Any]]:
        """Run them; returns what became of each that was begun here."""
        if workers == 1:
            found = [self._one(id) for id in ids]
        else:
            with ThreadPoolExecutor(workers, thread_name_prefix="job") as pool:
                found = list(pool.map(self._one, ids))
        return [job for job in found if job is not None]

    def _one(self, id: str) -> dict[str, Any] | None:
        if self._halted or self._it.cancel.is_set:
            return None
        try:
            job = as_data(self._act(self._it, id))
        except (JobBusy, Canceled):
            return None
        except MienError as error:
            if self._was_run_elsewhere(id):
                return None
            job = {"id": id, "status": "failed", "failure": {"code": error.code, "message": str(error)}}
        if job["status"] != "completed":
            reason = (job["failure"] or {}).get("message", "")
            self._it.call.terminal.note(f"processing of job {id} failed: {reason}")
            self._halted = self._halt
        return job

    def _was_run_elsewhere(self, id: str) -> bool:
        try:
            return self._it.store.get(id).status == "completed"
        except JobMissing:
            return True
        except MienError:
            return False


def headless_run(call: Call) -> None:
    """``headless-run``: a job of one step, made, submitted and run."""
    from mien.jobs import editing, states
    from mien.jobs.store import create_named

    step = make_step(call.program, call.values)
    store = call.store()
    job = create_named(store, "headless")
    store.update(job.id, lambda job: editing.add_step(job, step))
    store.update(job.id, states.submit)
    with running(call, steps_told=False) as it:
        job = it.run(job.id)
    done = job.steps[0].finished
    call.terminal.result(as_data(job), lambda: f"{job.steps[0].output_path}" if done else None)
    if job.status != "completed":
        message, code = (job.failure.message, job.failure.code) if job.failure else ("", "internal")
        raise call.fail(message, code)


COMMANDS = (
    About(
        "headless-run",
        "Run one step from flags alone.",
        headless_run,
        _headless,
        "-s SOURCE... -t TARGET -o OUTPUT",
        details="The step is kept as a job, so a run that was stopped goes on with job-retry.",
        config=True,
    ),
    About("job-run", "Run a queued job.", run_one, _one, "JOB", config=True),
    About("job-run-all", "Run all queued jobs.", run_all, _many, config=True),
    About(
        "job-retry",
        "Run a failed job again, from its first unfinished step.",
        retry_one,
        _one,
        "JOB",
        config=True,
    ),
    About("job-retry-all", "Run all failed jobs again.", retry_all, _many, config=True),
)
"""The commands of this module."""
