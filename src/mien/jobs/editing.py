"""Steps are added, inserted, removed and remixed; how the result of a step is named until it is delivered.

A remixed step names the waiting result of another step as its target, as a plain path. Inserting and removing steps
gives other steps another number, and with it their results another name: targets that point at them are rewritten.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mien.errors import JobError
from mien.jobs.job import Job, JobStep
from mien.jobs.states import editable


def result_path(output: str | None, id: str, index: int) -> str | None:
    """Where the result of step ``index`` waits: ``out/a.png`` gives ``out/a-<id>-<index>.png``.

    None when the output path is missing or has no name or no ending.
    """
    if not output:
        return None
    folder, name = os.path.split(output)
    stem, ending = os.path.splitext(name)
    if not stem or not ending:
        return None
    return os.path.join(folder, f"{stem}-{id}-{index}{ending.lower()}")


def add_step(job: Job, step: JobStep) -> Job:
    """Put a step behind all others."""
    return _changed(editable(job), (*job.steps, step))


def insert_step(job: Job, index: int, step: JobStep) -> Job:
    """Put a step before that of number ``index``; a negative number means the last one."""
    at = _index(editable(job), index)
    steps = [*job.steps[:at], step, *job.steps[at:]]
    moved = {number: number + 1 for number in range(at, len(job.steps))}
    return _changed(job, _renumbered(job, steps, moved, at))


def remove_step(job: Job, index: int) -> Job:
    """Take out the step of number ``index``; a negative number means the last one."""
    at = _index(editable(job), index)
    steps = [*job.steps[:at], *job.steps[at + 1 :]]
    moved = {number: number - 1 for number in range(at + 1, len(job.steps))}
    return _changed(job, _renumbered(job, steps, moved, at))


def remix_step(job: Job, index: int, step: JobStep) -> Job:
    """Put a step behind all others whose target is the result of step ``index`` (negative: of the last one)."""
    at = _index(editable(job), index)
    target = result_path(job.steps[at].output_path, job.id, at)
    return _changed(job, (*job.steps, replace(step, args=with_target(step.args, target))))


def with_target(args: Mapping[str, Any], target: str | None) -> dict[str, Any]:
    """``args`` with another target, in FaceFusion's order of keys."""
    return {**{key: value for key, value in args.items() if key != "target_path"}, "target_path": target}


def _index(job: Job, index: int) -> int:
    last = len(job.steps) - 1
    at = last if index < 0 else index
    if not 0 <= at <= last:
        found = "no step" if last < 0 else f"steps 0 to {last}"
        raise JobError(f"The job {job.id} has {found}, so there is no step {index}.")
    return at


def _changed(job: Job, steps: tuple[JobStep, ...]) -> Job:
    return replace(job, steps=steps, delivered=False)


def _renumbered(job: Job, steps: list[JobStep], moved: Mapping[int, int], at: int) -> tuple[JobStep, ...]:
    """Targets follow the results that they mean; steps from ``at`` on have to be done again."""
    names = {
        old: result_path(job.steps[before].output_path, job.id, after)
        for before, after in moved.items()
        if (old := result_path(job.steps[before].output_path, job.id, before)) is not None
    }
    found = []
    for number, step in enumerate(steps):
        if step.target_path in names:
            step = replace(step, args={**step.args, "target_path": names[step.target_path]})
        # A finished result lies under the name of the old number, and so is not that of the new one.
        found.append(_unfinished(step) if number >= at and step.finished else step)
    return tuple(found)


def _unfinished(step: JobStep) -> JobStep:
    return step if step.delivered else step.fresh("queued")
