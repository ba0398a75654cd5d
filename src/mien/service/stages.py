"""Jobs whose steps are done one after the other by whoever comes for each: which step is due, and who may have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mien.jobs import states
from mien.jobs.job import Job, JobStep
from mien.jobs.queries import PULL
from mien.jobs.rows import JobRow
from mien.service.remote_steps import is_possible
from mien.service.scratch import asset_id
from mien.service.steps import LOCAL

_NONE: Final = -1


def place_of(step: JobStep) -> str:
    """The environment of a step that a consumer or this service does."""
    own = step.args.get("environment")
    return own if isinstance(own, str) and own else LOCAL


def due_step(job: Job) -> int:
    """The step that is done next; the last one where all are."""
    for index, step in enumerate(job.steps):
        if not states.is_done(step):
            return index
    return len(job.steps) - 1


def is_last(job: Job, index: int) -> bool:
    """Whether nothing is to be done after that step."""
    return all(states.is_done(step) for number, step in enumerate(job.steps) if number != index)


def begins_in(steps: Sequence[JobStep], usual: str) -> str:
    """The environment in which a new job waits: ``usual``, unless consumers do one of its steps.

    Such a job waits where its next step is done, and moves on with each.
    """
    places = [place_of(step) for step in steps]
    return places[0] if any(place.startswith(PULL) for place in places) else usual


def can_be_lent(row: JobRow) -> bool:
    """Whether the words of a task say all of the step that is due: a graph, or a face swap and nothing more."""
    if not row.job.steps:
        return True
    return row.environment.startswith(PULL) or is_possible(row.job.steps[due_step(row.job)])


def last_results(row: JobRow) -> list[dict[str, Any]]:
    """The records of the last step that made something, the first of which is the result."""
    last = max((int(record.get("step", 0)) for record in row.results), default=_NONE)
    return [dict(record) for record in row.results if record.get("step", 0) == last]


def numbered(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records of results in the order of their steps, also where a step was done again after later ones."""
    ordered = sorted(records, key=lambda record: int(record.get("step", 0)))
    return [{**record, "index": number} for number, record in enumerate(ordered)]


def inputs_of(job: Job, index: int) -> set[str]:
    """The ids of the assets that a step works on, results of earlier steps among them."""
    step = job.steps[index]
    found = (asset_id(text, job) for text in (*step.source_paths, step.target_path or ""))
    return {id for id in found if id is not None}
