"""What runs one step of a job, whichever world it belongs to: files in, files out.

``StepRunner`` is the seam: the face engine is one, ComfyUI another. Which one a step goes to is looked up by the name
of its environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from mien.errors import InputError
from mien.jobs.job import JobStep
from mien.jobs.rows import JobRow
from mien.pipeline.progress import Cancel, Report

if TYPE_CHECKING:
    from mien.pipeline.adopting import Adopted, Making
    from mien.pipeline.policy import Verdict

LOCAL: Final = "local"
"""The environment of the face engine."""
COMFYUI: Final = "comfyui:"
"""Begins the names of environments whose steps this service has done by ComfyUI instances."""

Preview: TypeAlias = Callable[[Mapping[str, Any]], None]


Keep: TypeAlias = "Callable[[StepDone], None]"


@dataclass(frozen=True)
class StepTask:
    """One step with its files at hand."""

    row: JobRow
    index: int
    step: JobStep
    """Its args name files of this machine: sources, target and options that are files."""
    folder: Path
    """For the result and what is needed on the way; removed afterwards."""
    output: Path
    """Where the result goes, by the name that was asked for."""
    target_media: Mapping[str, Any]
    """What is known of the target: kind, width, height, duration, frames."""
    cancel: Cancel = field(default_factory=Cancel)
    report: Report = lambda progress: None
    preview: Preview = lambda data: None
    """Told of pictures of work under way: the data of a ``preview`` event."""
    remember: Preview = lambda data: None
    """Keeps the ids of the same work elsewhere, in the job's ``external``."""
    keep: Keep = lambda done: None
    """Stores what was made and completes the step, for a runner that tidies up elsewhere afterwards. What ``run``
    returns is stored where it was not yet."""
    leaving: Callable[[], bool] = lambda: False
    """Once ``cancel`` is set: whether another process goes on with the step, so that work elsewhere is not stopped."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """What a step made. The first file is the one that later steps work on."""

    files: tuple[Path, ...]
    frames: int = 1
    faces: int = 0
    seconds: float = 0.0
    models: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    content: str = "unchecked"
    signed: bool = False
    watermark: str | None = None
    workflow: Mapping[str, Any] | None = None
    """Name, version and values of the workflow that made the files, with the seeds that were drawn."""


class Adopts(Protocol):
    """What runners of other worlds need of the face engine: their results are judged, marked and signed as its own."""

    def judge(self, files: Iterable[Path], options: Mapping[str, Any] | None = None) -> Verdict:
        """What the content policy says of files."""

    def adopt_result(
        self,
        made: Path,
        output: Path,
        *,
        operation: Making,
        name: str,
        sources: Iterable[Path] = (),
        models: Iterable[str] = (),
        options: Mapping[str, Any] | None = None,
        must_mark: bool = False,
    ) -> Adopted:
        """Make a file that something else made an output."""


class StepRunner(Protocol):
    """Runs steps of one world. Used by many threads at once."""

    def run(self, task: StepTask) -> StepDone:
        """Do a step; raises Canceled soon after ``task.cancel`` was set, and what is wrong with the step."""


StepRunners: TypeAlias = Mapping[str, StepRunner]
"""By environment; a name that ends in ``*`` stands for all that begin so."""


def runner_for(runners: StepRunners, row: JobRow, step: JobStep) -> StepRunner:
    """Who runs a step. Raises InputError where nobody does."""
    name = environment_of(row, step)
    if name in runners:
        return runners[name]
    for pattern, runner in runners.items():
        if pattern.endswith("*") and name.startswith(pattern[:-1]):
            return runner
    raise InputError(f"This worker has no environment {name}, which the step asks for.")


def environment_of(row: JobRow, step: JobStep) -> str:
    """The environment of a step: its own, or that of the job where the step is a workflow."""
    own = step.args.get("environment")
    if isinstance(own, str) and own:
        return own
    return row.environment if step.args.get("workflow") else LOCAL
