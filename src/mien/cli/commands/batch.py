"""``batch-run``: one job with a step for each target, or for each pair of a source and a target."""

from __future__ import annotations

import glob
import os.path
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mien.cli.commands.job_runs import run_sections, running
from mien.cli.commands.jobs import as_data, jobs_section
from mien.cli.job_command import About, Call, Section
from mien.cli.job_options import HaltOptions, PatternOptions
from mien.cli.program import Program
from mien.cli.step_args import make_step, step_sections
from mien.errors import InputError, InputMissing
from mien.options import declared

if TYPE_CHECKING:
    from mien.jobs.job import Job

PLACEHOLDERS = ("index", "source_name", "target_name", "target_extension")


def _sections(program: Program) -> list[Section]:
    return [
        Section(PatternOptions.title, declared(PatternOptions)),
        *step_sections(program),
        jobs_section(),
        Section("Jobs", declared(HaltOptions)),
        *run_sections(program),
    ]


def batch_run(call: Call) -> None:
    """``batch-run``: refuses before a job is made; goes on behind a failed step unless told otherwise."""
    from dataclasses import replace

    from mien.jobs import states
    from mien.jobs.store import create_named

    files = list(files_of(call.values))
    steps = tuple(make_step(call.program, call.values, some) for some in files)
    store = call.store()
    job = create_named(store, "batch")
    store.update(job.id, lambda job: states.submit(replace(job, steps=steps)))
    with running(call, keep_going=not call.values.get("halt_on_error")) as it:
        job = it.run(job.id)
    call.terminal.result(as_data(job), lambda: _summary(call, job))
    if job.status != "completed":
        bad = sum(step.status == "failed" for step in job.steps)
        message = (
            f"{bad} of {len(job.steps)} steps of job {job.id} failed; mien job-retry {job.id} repeats them."
        )
        raise call.fail(message if bad else job.failure.message if job.failure else "", "job_failed")


def files_of(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Sources, target and output of each step; raises InputMissing, InputError."""
    pattern = values.get("output_pattern")
    if values.get("target_pattern") is None or pattern is None:
        raise InputError("mien batch-run needs a target pattern (-t) and an output pattern (-o).")
    sources, targets = matches(values.get("source_pattern")), matches(values["target_pattern"])
    if not targets:
        raise InputMissing(f"No file matches the target pattern {values['target_pattern']}.")
    if values.get("source_pattern") and not sources:
        raise InputMissing(f"No file matches the source pattern {values['source_pattern']}.")
    combined: list[str | None] = [*sources] or [None]
    pairs = [(source, target) for source in combined for target in targets]
    for index, (source, target) in enumerate(pairs):
        files: dict[str, Any] = {
            "target_path": target,
            "output_path": output_of(pattern, index, source, target),
        }
        yield files if source is None else {"source_paths": [source], **files}


def matches(pattern: str | None) -> list[str]:
    """The files that a pattern means, in plain order; a pattern that is the name of a file means that file."""
    if pattern is None:
        return []
    if os.path.isfile(pattern):
        return [pattern]
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))


def output_of(pattern: str, index: int, source: str | None, target: str) -> str:
    """The output pattern filled in; raises InputError for a placeholder that there is not."""
    values: dict[str, Any] = {"index": index, "target_name": _stem(target)}
    values["target_extension"] = os.path.splitext(target)[1].lower()
    if source is not None:
        values["source_name"] = _stem(source)
    try:
        asked = [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
        unknown = [name for name in asked if name not in values]
        if not unknown:
            return pattern.format(**values)
    except ValueError as error:
        raise InputError(f"The output pattern {pattern} cannot be read: {error}.") from None
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS if name in values)
    raise InputError(f"The output pattern {pattern} asks for {{{unknown[0]}}}; there are {known}.")


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _summary(call: Call, job: Job) -> None:
    rows: list[Sequence[object]] = []
    for index, step in enumerate(job.steps):
        done = step.finished
        remark = step.failure.message if step.failure else ""
        seconds = "" if done is None else f"{done.seconds:.1f}"
        rows.append((index, step.status, step.target_path, step.output_path, seconds, remark))
    call.terminal.table(("step", "state", "target", "output", "seconds", "remark"), rows)


COMMANDS = (
    About(
        "batch-run",
        "Run one step for each of many files.",
        batch_run,
        _sections,
        "-s PATTERN -t PATTERN -o PATTERN",
        details="Each source is combined with each target. Quote patterns, so that the shell leaves them alone.",
        config=True,
    ),
)
"""The command of this module."""
