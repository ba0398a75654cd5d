"""What the service asks of the engine that drives its jobs, so that another one can take its place.

The engine is told of tasks and sees to it that each is run by some worker, again when that worker dies. What a job is
and how far it is stands in the table of jobs; the engine only drives. A task's body must therefore stand being run
twice, also at the same time by a worker that was believed dead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

Body: TypeAlias = Callable[..., Any]
"""Does a task; takes the task's arguments and returns plain data."""
TaskState: TypeAlias = Literal["waiting", "running", "done", "failed", "canceled"]


@dataclass(frozen=True, slots=True)
class Lane:
    """A queue as one worker serves it."""

    name: str
    at_once: int
    """Tasks of it that the worker runs at the same time."""
    poll_seconds: float
    """How often it is looked at."""


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work for whichever worker serves the queue."""

    id: str
    """Given twice it is still one task."""
    body: str
    queue: str
    arguments: tuple[Any, ...]
    """Plain data."""
    priority: int = 0
    """Lower numbers first; among equals the older one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task so far."""

    state: TaskState
    value: Any = None
    """What the body returned, once it is done."""
    reason: str = ""
    """Why it failed."""


class JobEngine(Protocol):
    """Drives tasks. All methods may be called from any thread and raise DatabaseUnavailable."""

    def put(self, tasks: Sequence[Task]) -> None:
        """Hand tasks over; those that are known already stay as they are."""

    def outcomes(self, ids: Collection[str], *, values: bool = True) -> Mapping[str, Outcome]:
        """What became of these tasks; those that are not known are left out."""

    def cancel(self, ids: Collection[str]) -> None:
        """Take tasks out of their queues. One that runs is not stopped, but its result is not kept."""

    def forget(self, ids: Collection[str]) -> None:
        """Remove all trace of tasks that have ended."""

    def start(self, worker: str, lanes: Sequence[Lane], bodies: Mapping[str, Body]) -> None:
        """Begin to work on the tasks of these queues under the name ``worker``.

        Raises JobError when a worker runs in this process already.
        """

    def pause(self) -> None:
        """Take up no further task."""

    def stop(self) -> None:
        """End the work; a body that still runs goes on in vain, and another worker runs its task again."""

    def owners(self) -> frozenset[str]:
        """The workers that hold unfinished tasks, dead or alive."""

    def recover(self, dead: Collection[str]) -> None:
        """Let others run what these workers held."""

    def prune(self, older_than: float, limit: int = 1000) -> int:
        """Forget up to ``limit`` tasks that ended so many seconds ago; returns how many."""

    def close(self) -> None:
        """Give back all connections."""
