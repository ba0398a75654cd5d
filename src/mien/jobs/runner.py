"""Runs a job: its steps one after the other through the engine, then its results to their places.

Whatever is finished is on the disk and in the job's file before anything else begins, so a run that dies is taken up
at its first unfinished step, and inside a video at its first unfinished segment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mien.errors import Canceled, JobBusy
from mien.jobs import outputs, states
from mien.jobs.failures import failure_of
from mien.jobs.folder import worker_name
from mien.jobs.job import Failure, Finished, Job, JobStep
from mien.jobs.recipe import inputs_of, recipe_of
from mien.jobs.store import Claim, JobStore

if TYPE_CHECKING:
    from mien.pipeline.progress import Cancel, Report
    from mien.pipeline.step import Result, Step

OnStep = Callable[[Job, int], None]


class RunsSteps(Protocol):
    """What the runner needs of an engine."""

    def run(self, step: Step, *, on_progress: Report | None = None, cancel: Cancel | None = None) -> Result:
        """Do one step."""


@dataclass(frozen=True)
class Runner:
    """Runs jobs of a store; may be used from several threads.

    ``keys`` are the option keys that the engine knows. ``on_step`` is told before each step that is worked on,
    ``on_notice`` what is to be said about joining, ``on_error`` each error with its traceback. With ``keep_going`` a
    failed step does not keep the later ones from being done, and what is complete is delivered.
    """

    store: JobStore
    engine: RunsSteps
    keys: Collection[str]
    on_step: OnStep = lambda job, index: None
    on_progress: Report | None = None
    on_notice: Callable[[str], None] = lambda line: None
    on_error: Callable[[BaseException], None] = lambda error: None
    keep_going: bool = False
    seal: outputs.Seal = lambda parts, output: None
    """Signs videos that are joined from the results of several steps; ``Engine.seal_joined``."""

    def run(self, id: str, cancel: Cancel) -> Job:
        """Run a queued job to its end and return it: completed, failed or canceled.

        Raises JobMissing, JobUnreadable, JobBusy, and JobError when the job is in another state.
        """
        with self.store.claim(id, worker_name()) as claim:
            try:
                failure = self._steps(claim, cancel)
                if failure is None or self.keep_going:
                    self._deliver(claim)
                if failure is None:
                    return self._complete(claim)
            except JobBusy:
                raise
            except Canceled as error:
                stopped = failure_of(error)
                return claim.update(lambda job: states.cancel(job, stopped))
            except Exception as error:  # the border of a job: it fails, others go on
                self.on_error(error)
                failure = failure_of(error)
            ended = failure
            return claim.update(lambda job: states.fail(job, ended))

    def _steps(self, claim: Claim, cancel: Cancel) -> Failure | None:
        """Work on all steps that are not done; returns the first failure."""
        self._forget_lost_results(claim)
        first = None
        for index in range(len(claim.job.steps)):
            if states.is_done(claim.job.steps[index]):
                continue
            failure = self._step(claim, index, cancel)
            first = first or failure
            if failure is not None and not self.keep_going:
                break
        return first

    def _step(self, claim: Claim, index: int, cancel: Cancel) -> Failure | None:
        self.on_step(claim.job, index)
        try:
            cancel.raise_if_set()
            finished = self._work(claim, index, cancel)
        except JobBusy:
            raise
        except Canceled:
            claim.update(lambda job: states.interrupt_step(job, index))
            raise
        except Exception as error:  # the border of a step
            self.on_error(error)
            failure = failure_of(error, index)
            claim.update(lambda job: states.fail_step(job, index, failure))
            return failure
        claim.update(lambda job: states.finish_step(job, index, finished))
        return None

    def _work(self, claim: Claim, index: int, cancel: Cancel) -> Finished:
        recipe = recipe_of(claim.job, index, self.keys)
        step = claim.job.steps[index]
        inputs = inputs_of(step) or ""
        if inputs and _was_finished(step, inputs, recipe.output):
            return Finished(str(recipe.output), inputs)
        # What lies there from before must not be taken for the result of a run that is killed.
        recipe.output.unlink(missing_ok=True)
        outputs.discard([str(recipe.output)])
        claim.update(lambda job: states.start_step(job, index, inputs))
        result = self.engine.run(recipe, on_progress=self.on_progress, cancel=cancel)
        return Finished(
            str(recipe.output), inputs, result.frames, result.faces, round(result.seconds, 3), result.notices
        )

    def _forget_lost_results(self, claim: Claim) -> None:
        """Steps are done again whose waiting result is gone, or whose options or input files have changed since.

        Not when all are done: then delivering has begun, and may have replaced an input.
        """
        steps = claim.job.steps
        all_done = all(states.is_done(step) for step in steps)
        lost = [index for index, step in enumerate(steps) if not _still_good(step, unchanged=all_done)]

        def forget(job: Job) -> Job:
            for index in lost:
                job = job.with_step(index, job.steps[index].fresh("queued"))
            return job

        if lost and not claim.job.delivered:
            claim.update(forget)

    def _deliver(self, claim: Claim) -> None:
        for group in outputs.ready(claim.job):
            for notice in outputs.deliver(claim.job, group, self.seal):
                self.on_notice(notice)
            claim.update(lambda job, group=group: states.deliver_steps(job, group))  # type: ignore[misc]
        outputs.clear(claim.job)

    def _complete(self, claim: Claim) -> Job:
        claim.update(states.deliver)
        outputs.clear(claim.job)
        return claim.update(states.complete)


def _was_finished(step: JobStep, inputs: str, output: Path) -> bool:
    """Whether a run died after it had written the result and before it could say so."""
    return step.status == "started" and step.inputs == inputs and output.is_file()


def _still_good(step: JobStep, *, unchanged: bool) -> bool:
    if step.delivered or step.finished is None:
        return True
    if not Path(step.finished.path).is_file():
        return False
    # An input that is gone leaves the result as good as it was.
    return unchanged or inputs_of(step) in (None, step.finished.inputs)
