"""Spans around the work of jobs: one for each run, one for each step, and those for files on their way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import Canceled, JobBusy
from mien.service.running import KindRunner, WrongQueue
from mien.service.steps import StepDone, StepRunner, StepRunners, StepTask
from mien.service.tracing import PARENT, Tracing
from mien.storage import Chain

if TYPE_CHECKING:
    from mien.service.attempt import Attempt
    from mien.storage import Stored
    from mien.storage.base import Announce


@dataclass(frozen=True)
class TracedKind:
    """A KindRunner whose runs are spans, within the request that each job came with."""

    kind: KindRunner
    tracing: Tracing

    def run(self, attempt: Attempt, folder: Path) -> None:
        """Run a job."""
        row = attempt.row
        with self.tracing.span(
            "job",
            parent=row.request.get(PARENT),
            role="consumer",
            job_id=row.id,
            attempt=row.fence,
            kind=row.kind,
        ) as span:
            outcome = "failed"
            try:
                self.kind.run(attempt, folder)
                outcome = "completed"
            except Canceled:
                outcome = attempt.why or "canceled"
                raise
            except JobBusy:
                outcome = "overtaken"
                raise
            except WrongQueue as better:
                outcome = f"moved to {better}"
                raise
            finally:
                span.note(outcome=outcome)


@dataclass(frozen=True)
class TracedSteps:
    """A StepRunner whose steps are spans."""

    runner: StepRunner
    tracing: Tracing

    def run(self, task: StepTask) -> StepDone:
        """Run a step."""
        names = task.step.processors
        with self.tracing.span("step", job_id=task.row.id, step=task.index, processors=names) as span:
            done = self.runner.run(task)
            span.note(models=done.models, frames=done.frames, faces=done.faces)
            return done


class TracedChain(Chain):
    """Storages whose ``put_file`` is a span."""

    def __init__(self, chain: Chain, tracing: Tracing) -> None:
        super().__init__(chain.storages)
        self._tracing = tracing

    def put_file(self, path: Path, filename: str | None = None, announce: Announce | None = None) -> Stored:
        """Store a file."""
        with self._tracing.span("storage put", role="client", bytes=path.stat().st_size) as span:
            stored = super().put_file(path, filename, announce)
            span.note(storage=self.holder(stored.url).name)
            return stored


def traced_kinds(kinds: Mapping[str, KindRunner], tracing: Tracing) -> Mapping[str, KindRunner]:
    """The same, with spans where there is tracing."""
    return {name: TracedKind(kind, tracing) for name, kind in kinds.items()} if tracing.is_on else kinds


def traced_steps(runners: StepRunners, tracing: Tracing) -> StepRunners:
    """The same, with spans where there is tracing."""
    return (
        {name: TracedSteps(runner, tracing) for name, runner in runners.items()} if tracing.is_on else runners
    )
