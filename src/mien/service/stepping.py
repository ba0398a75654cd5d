"""Jobs that are steps: each one's inputs are brought here, it is run, and its result is stored before the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeAlias

from mien.jobs import states
from mien.jobs.job import Finished, Job, JobStep
from mien.jobs.queries import PULL
from mien.service.asset_rows import Asset
from mien.service.attempt import Attempt
from mien.service.lanes import PICTURES, VIDEOS
from mien.service.outputs import Known, named_output
from mien.service.requests import OutputRequest
from mien.service.running import WrongQueue
from mien.service.scratch import RESULT, Inputs, Keeps, lost_results
from mien.service.stages import numbered
from mien.service.steps import (
    COMFYUI,
    StepDone,
    StepRunners,
    StepTask,
    environment_of,
    runner_for,
)


class Stores(Keeps, Protocol):
    """What is needed of the assets."""

    def store_file(self, path: Path, owner: str, name: str, origin: Any = "upload") -> Asset:
        """Put a file into the storage and give it to its owner."""


Measure: TypeAlias = Callable[[JobStep, Mapping[str, Any], StepDone], None]
"""Told of each step that was done, with what is known of its target."""


@dataclass(frozen=True)
class Steps:
    """A KindRunner for jobs that are steps."""

    assets: Stores
    runners: StepRunners
    measure: Measure = lambda step, media, done: None
    marked: bool = True
    """Whether results need a format that has a place for marks."""

    def run(self, attempt: Attempt, folder: Path) -> None:
        """Do all steps that have no result."""
        self._forget_lost(attempt)
        for index in range(len(attempt.row.job.steps)):
            attempt.cancel.raise_if_set()
            if not states.is_done(attempt.row.job.steps[index]):
                _check_queue(attempt, index)
                place = folder / str(index)
                place.mkdir()
                self._step(attempt, index, place)

    def _forget_lost(self, attempt: Attempt) -> None:
        """Steps are done again whose result was deleted or has expired."""
        lost = lost_results(attempt.row.job, self.assets, attempt.row.owner)

        def forget(job: Job) -> Job:
            for index in lost:
                job = job.with_step(index, job.steps[index].fresh("queued"))
            return job

        if lost:
            results = [record for record in attempt.row.results if record["step"] not in lost]
            attempt.change(forget, results=numbered(results))

    def _step(self, attempt: Attempt, index: int, folder: Path) -> None:
        attempt.change(
            lambda job: states.start_step(job, index, ""), ("step", {"index": index, "status": "started"})
        )
        owner = attempt.row.owner
        with Inputs(self.assets, owner) as inputs:
            self._fetch(attempt, index, inputs)
            job = attempt.row.job
            step = job.steps[index]
            target = inputs.media_of(step.target_path, job)
            if target is not None and target.kind == "video" and attempt.row.queue == PICTURES:
                raise WrongQueue(VIDEOS)
            name = _name(step, target, index, marked=self.marked)
            output = folder / "out" / name
            output.parent.mkdir()
            task = StepTask(
                row=attempt.row,
                index=index,
                step=replace(step, args=inputs.local(step.args, job)),
                folder=folder,
                output=output,
                target_media={} if target is None else target.media.as_record(),
                cancel=attempt.cancel,
                report=lambda progress: attempt.report(progress, index, len(job.steps)),
                preview=lambda data: attempt.tell("preview", data),
                remember=lambda data: _remember(attempt, data),
                keep=lambda done: self._keep(attempt, index, _told(done, inputs)),
                leaving=lambda: attempt.why in ("handed_back", "overtaken"),
            )
            done = _told(runner_for(self.runners, attempt.row, step).run(task), inputs)
        if not states.is_done(attempt.row.job.steps[index]):
            attempt.cancel.raise_if_set()
            self._keep(attempt, index, done)
        self.measure(task.step, task.target_media, done)

    def _fetch(self, attempt: Attempt, index: int, inputs: Inputs) -> None:
        """Bring what is given by address, once: whoever runs the step again, or a part of it, finds assets."""
        step = attempt.row.job.steps[index]
        args = inputs.fetched(step.args)
        if args != dict(step.args):
            attempt.change(
                lambda job: job.with_step(index, replace(job.steps[index], args=args)),
            )

    def _keep(self, attempt: Attempt, index: int, done: StepDone) -> None:
        """Store the results of a step, and say so in one transaction with the step's completion."""
        stored = [self.assets.store_file(path, attempt.row.owner, path.name, "result") for path in done.files]
        before = [record for record in attempt.row.results if record["step"] != index]
        records = [_record(index, asset, done) for asset in stored]
        finished = Finished(
            f"asset:{stored[0].id}", "", done.frames, done.faces, round(done.seconds, 3), done.notices
        )
        told: list[Any] = [("notice", {"step": index, "text": text}) for text in done.notices]
        attempt.change(
            lambda job: states.finish_step(job, index, finished),
            *told,
            ("step", {"index": index, "status": "completed"}),
            results=numbered([*before, *records]),
        )


def _check_queue(attempt: Attempt, index: int) -> None:
    """Raise WrongQueue where the step is done by workers of another kind than the one before it, or by consumers."""
    row = attempt.row
    name = environment_of(row, row.job.steps[index])
    if name.startswith(PULL):
        raise WrongQueue(None, name)
    queued = row.queue or PICTURES
    if name.startswith(COMFYUI) and queued != name:
        raise WrongQueue(name)
    if not name.startswith(COMFYUI) and queued.startswith(COMFYUI):
        raise WrongQueue(PICTURES)


def _told(done: StepDone, inputs: Inputs) -> StepDone:
    return replace(done, notices=tuple(inputs.said(text) for text in done.notices))


def _name(step: JobStep, target: Asset | None, index: int, *, marked: bool) -> str:
    """What the result is called; its ending is found out only now where the target came from an address."""
    name = PurePosixPath((step.output_path or "").removeprefix(RESULT)).name
    if PurePosixPath(name).suffix or target is None:
        return name or f"result-{index}"
    known = Known(target.name, target.kind, target.media.ending)
    return named_output(OutputRequest(name=name or None), known, index, marked=marked)


def _remember(attempt: Attempt, data: Mapping[str, Any]) -> None:
    attempt.change(external={**attempt.row.external, **data})


def _record(step: int, asset: Asset, done: StepDone) -> dict[str, Any]:
    media = asset.media
    return {
        "step": step,
        "asset": asset.id,
        "name": asset.name,
        "content_type": asset.content_type,
        "size": asset.size,
        "kind": asset.kind,
        "width": media.width,
        "height": media.height,
        "duration": media.duration,
        "frames": done.frames,
        "faces": done.faces,
        "seconds": round(done.seconds, 3),
        "models": list(done.models),
        "notices": list(done.notices),
        "content": done.content,
        "signed": done.signed,
        "watermark": done.watermark,
        **({} if done.workflow is None else {"workflow": dict(done.workflow)}),
    }
