"""The nouns: a job is a list of steps with a state; every run of it is an attempt; what went wrong is a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["drafted", "queued", "running", "completed", "failed", "canceled"]
AttemptOutcome: TypeAlias = Status | Literal["lost"]
"""``lost``: the process died, or was not heard of for so long that others went on."""
StepStatus: TypeAlias = Literal["drafted", "queued", "started", "completed", "failed"]
FailureKind: TypeAlias = Literal[
    "invalid_input",
    "unsafe_input",
    "no_face",
    "model_missing",
    "out_of_memory",
    "storage_error",
    "timeout",
    "lost",
    "canceled",
    "internal",
]

STATUSES: tuple[Status, ...] = ("drafted", "queued", "running", "completed", "failed", "canceled")
STEP_STATUSES: tuple[StepStatus, ...] = ("drafted", "queued", "started", "completed", "failed")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step or a run of a job did not end well."""

    kind: FailureKind
    message: str
    """One sentence."""
    code: str = "internal"
    """The code of the error, finer than ``kind``."""
    exit_code: int = 1
    retryable: bool = False
    step: int | None = None
    """Which step failed, counted from 0; None when it was none of them."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a job. Its number grows with every run, so that a late worker can be told from its successor."""

    number: int
    worker: str
    started: str
    ended: str | None = None
    outcome: AttemptOutcome | None = None
    """None while the attempt lasts, and for one whose process died as long as nobody has noticed."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a completed step that waits to be delivered to the step's output path."""

    path: str
    inputs: str
    """Changes whenever the step's options or the files that it reads do."""
    frames: int = 1
    faces: int = 0
    seconds: float = 0.0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobStep:
    """One step as it is stored. ``args`` are option keys and the keys ``source_paths``, ``target_path``,
    ``output_path`` and ``processors``, with values as JSON has them.
    """

    args: Mapping[str, Any]
    status: StepStatus = "drafted"
    open: tuple[str, ...] = ()
    """Keys whose value is a default that nobody asked for, and that the engine may replace by a better one."""
    inputs: str | None = None
    """What the step was started with; see ``Finished.inputs``."""
    finished: Finished | None = None
    delivered: bool = False
    """The result is where it belongs, at the output path."""
    failure: Failure | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What other programs stored with the step."""

    @property
    def output_path(self) -> str | None:
        """Where the result goes; None when the step has no usable output path."""
        value = self.args.get("output_path")
        return value if isinstance(value, str) and value else None

    @property
    def target_path(self) -> str | None:
        """What the step works on."""
        value = self.args.get("target_path")
        return value if isinstance(value, str) and value else None

    @property
    def source_paths(self) -> tuple[str, ...]:
        """Pictures and sounds that are put in."""
        return tuple(str(path) for path in self.args.get("source_paths") or ())

    @property
    def processors(self) -> tuple[str, ...]:
        """What is done, in this order."""
        return tuple(str(name) for name in self.args.get("processors") or ())

    def fresh(self, status: StepStatus) -> JobStep:
        """The step as if it had never run."""
        return replace(self, status=status, inputs=None, finished=None, delivered=False, failure=None)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as a store knows it. All changes make a new one."""

    id: str
    created: str
    """ISO 8601 with an offset, as ``now`` writes it."""
    status: Status = "drafted"
    updated: str | None = None
    steps: tuple[JobStep, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    failure: Failure | None = None
    """Of the last attempt."""
    delivered: bool = False
    """All results are at their output paths; nothing is left to do but to clean up."""
    version: str = "1"
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What other programs stored with the job."""

    @property
    def fence(self) -> int:
        """The number of the last attempt; 0 before the first."""
        return self.attempts[-1].number if self.attempts else 0

    def with_step(self, index: int, step: JobStep) -> Job:
        """The job with another step at ``index``."""
        return replace(self, steps=(*self.steps[:index], step, *self.steps[index + 1 :]))


def now() -> str:
    """This moment as job files have it: local time with offset and microseconds."""
    from datetime import datetime

    return datetime.now().astimezone().isoformat()
