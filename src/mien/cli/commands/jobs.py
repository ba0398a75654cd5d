"""Commands that put jobs together: list, create, submit, delete, and add, remix, insert or remove steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.job_command import About, Call, Section, id_and_index, job_id
from mien.cli.job_options import FILES, LOG, HaltOptions, JobsOptions
from mien.cli.program import Program
from mien.cli.step_args import make_step, step_sections
from mien.errors import MienError, OptionError
from mien.options import declared

if TYPE_CHECKING:
    from mien.jobs.job import Job, JobStep, Status
    from mien.jobs.store import JobStore

HEADINGS = ("job id", "steps", "date created", "date updated", "job status")
MEANT = "STEP is counted from 0; a negative number means the last step."


def jobs_section(*, halt: bool = False) -> Section:
    """Where jobs are, and when to stop."""
    items = declared(JobsOptions) + (declared(HaltOptions) if halt else ())
    return Section(JobsOptions.title, items)


def _short(program: Program) -> list[Section]:
    return [jobs_section(), Section("Messages", LOG)]


def _short_with_halt(program: Program) -> list[Section]:
    return [jobs_section(halt=True), Section("Messages", LOG)]


def _step(program: Program) -> list[Section]:
    return [jobs_section(), *step_sections(program, *FILES), Section("Messages", LOG)]


def _step_without_target(program: Program) -> list[Section]:
    files = [key for key in FILES if key != "target_path"]
    return [jobs_section(), *step_sections(program, *files), Section("Messages", LOG)]


def list_jobs(call: Call) -> None:
    """``job-list``: a table of the jobs of one state; exit code 1 when there is none."""
    from mien.jobs.job import STATUSES

    word = call.words[0] if len(call.words) == 1 else None
    if word not in STATUSES:
        raise OptionError(f"mien job-list needs a state: choose from {', '.join(STATUSES)}.")
    jobs = call.store().jobs(*_LISTED.get(word, (word,)))
    rows = [_row(job) for job in jobs]
    call.terminal.quiet = False  # a table is no message: it is shown at every log level
    call.terminal.result([as_data(job) for job in jobs], lambda: _table(rows) if rows else None)
    if not jobs:
        raise typer.Exit(1)


_LISTED: dict[str, tuple[Any, ...]] = {"queued": ("queued", "running"), "failed": ("failed", "canceled")}
"""FaceFusion has no state for these; who looks for them finds them where it keeps them."""


def _row(job: Job) -> tuple[str, ...]:
    updated = "None" if job.updated is None else time_ago(job.updated)
    return job.id, str(len(job.steps)), time_ago(job.created), updated, job.status


def _table(rows: Sequence[Sequence[str]]) -> str:
    """FaceFusion's table: left-aligned columns as wide as their longest cell."""
    widths = [max(len(row[column]) for row in (HEADINGS, *rows)) for column in range(len(HEADINGS))]
    rule = "+-" + "-+-".join("-" * width for width in widths) + "-+"

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"

    return "\n".join([rule, line(HEADINGS), rule, *(line(row) for row in rows), rule])


def time_ago(moment: str) -> str:
    """How long ago an ISO time was, in words: just now, 5 minutes ago, 2 hours and 3 minutes ago."""
    from datetime import datetime

    try:
        seconds = (datetime.now().astimezone() - datetime.fromisoformat(moment).astimezone()).total_seconds()
    except ValueError:
        return moment
    minutes = int(seconds) // 60
    if seconds > 24 * 3600:
        return f"{minutes // 1440} days, {minutes // 60 % 24} hours and {minutes % 60} minutes ago"
    if seconds > 3600:
        return f"{minutes // 60} hours and {minutes % 60} minutes ago"
    return f"{minutes} minutes ago" if seconds > 60 else "just now"


def create(call: Call) -> None:
    """``job-create``."""
    job = call.store().create(job_id(call, "JOB"))
    call.terminal.result(as_data(job), lambda: f"job {job.id} created")


def submit(call: Call) -> None:
    """``job-submit``."""
    from mien.jobs import states

    job = call.store().update(job_id(call, "JOB"), states.submit)
    call.terminal.result(as_data(job), lambda: f"job {job.id} submitted")


def submit_all(call: Call) -> None:
    """``job-submit-all``: all drafted jobs."""
    from mien.jobs import states

    store = call.store()
    jobs = store.jobs("drafted")
    _for_all(call, jobs, lambda job: store.update(job.id, states.submit), "submitted", "drafted")


def delete(call: Call) -> None:
    """``job-delete``: with the results that were never delivered."""
    id = job_id(call, "JOB")
    _delete(call.store(), id)
    call.terminal.result({"id": id, "deleted": True}, lambda: f"job {id} deleted")


def delete_all(call: Call) -> None:
    """``job-delete-all``: in every state."""
    store = call.store()
    jobs = [job for statuses in _DELETED for job in store.jobs(*statuses)]
    _for_all(call, jobs, lambda job: _delete(store, job.id), "deleted", "")


_DELETED: tuple[tuple[Status, ...], ...] = (
    ("drafted",),
    ("queued", "running"),
    ("failed", "canceled"),
    ("completed",),
)


def _delete(store: JobStore, id: str) -> None:
    from mien.jobs import outputs

    job = store.delete(id)
    if job is not None:
        outputs.discard(outputs.waiting(job))


def _for_all(call: Call, jobs: Iterable[Job], act: Callable[[Job], object], done: str, status: str) -> None:
    """Do one thing to several jobs; exit code 1 when there are none, or when it fails for one."""
    wrong: list[dict[str, str]] = []
    good: list[str] = []
    for job in jobs:
        try:
            act(job)
            good.append(job.id)
        except MienError as error:
            wrong.append({"id": job.id, "code": error.code, "message": str(error)})
            call.terminal.note(str(error))
            if call.values.get("halt_on_error"):
                break
    call.terminal.result({done: good, "errors": wrong}, lambda: f"{len(good)} jobs {done}" if good else None)
    if wrong:
        raise call.fail(f"{len(wrong)} jobs were not {done}.")
    if not good:
        raise call.fail(f"There is no {status} job." if status else "There is no job.", "job_missing")


def add_step(call: Call) -> None:
    """``job-add-step``."""
    from mien.jobs import editing

    step = make_step(call.program, call.values)
    job = call.store().update(job_id(call, "JOB"), lambda job: editing.add_step(job, step))
    call.terminal.result(as_data(job), lambda: f"step added to job {job.id}")


def remix_step(call: Call) -> None:
    """``job-remix-step``: a step that works on another one's result."""
    from mien.jobs import editing

    _edit(call, editing.remix_step, "step {index} remixed from job {id}")


def insert_step(call: Call) -> None:
    """``job-insert-step``."""
    from mien.jobs import editing

    _edit(call, editing.insert_step, "step {index} inserted to job {id}")


def remove_step(call: Call) -> None:
    """``job-remove-step``."""
    from mien.jobs import editing, outputs

    id, index = id_and_index(call)
    store = call.store()
    before = set(outputs.waiting(store.get(id)))
    job = store.update(id, lambda job: editing.remove_step(job, index))
    outputs.discard(tuple(before - set(outputs.waiting(job))))
    call.terminal.result(as_data(job), lambda: f"step {index} removed from job {id}")


def _edit(call: Call, change: Callable[[Job, int, JobStep], Job], said: str) -> None:
    id, index = id_and_index(call)
    step = make_step(call.program, call.values)
    job = call.store().update(id, lambda job: change(job, index, step))
    call.terminal.result(as_data(job), lambda: said.format(index=index, id=id))


def as_data(job: Job) -> dict[str, Any]:
    """A job as JSON has it, without the options of its steps."""
    return {
        "id": job.id,
        "status": job.status,
        "created": job.created,
        "updated": job.updated,
        "failure": job.failure and asdict(job.failure),
        "attempts": [asdict(attempt) for attempt in job.attempts],
        "steps": [_step_data(step) for step in job.steps],
    }


def _step_data(step: JobStep) -> dict[str, Any]:
    return {
        "status": step.status,
        "processors": step.processors,
        "source_paths": step.source_paths,
        "target_path": step.target_path,
        "output_path": step.output_path,
        "delivered": step.delivered,
        "result": step.finished and {**asdict(step.finished), "path": _place(step)},
        "failure": step.failure and asdict(step.failure),
    }


def _place(step: JobStep) -> str | None:
    """Where the result is: at the output path once it was delivered."""
    return step.output_path if step.delivered or step.finished is None else step.finished.path


COMMANDS = (
    About("job-list", "List the jobs of one state.", list_jobs, _short, "STATE"),
    About("job-create", "Make an empty job.", create, _short, "JOB"),
    About("job-submit", "Put a drafted job into the queue.", submit, _short, "JOB"),
    About("job-submit-all", "Put all drafted jobs into the queue.", submit_all, _short_with_halt),
    About("job-delete", "Delete a job.", delete, _short, "JOB"),
    About("job-delete-all", "Delete all jobs.", delete_all, _short_with_halt),
    About("job-add-step", "Add a step to a job.", add_step, _step, "JOB", config=True),
    About(
        "job-remix-step",
        "Add a step that works on the result of another step.",
        remix_step,
        _step_without_target,
        "JOB STEP",
        details=MEANT,
        config=True,
    ),
    About(
        "job-insert-step",
        "Insert a step before another one.",
        insert_step,
        _step,
        "JOB STEP",
        details=MEANT,
        config=True,
    ),
    About("job-remove-step", "Remove a step.", remove_step, _short, "JOB STEP", details=MEANT),
)
"""The commands of this module."""
