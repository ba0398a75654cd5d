"""Runs steps that are workflows, on ComfyUI instances, each once whatever dies in between.

Where a prompt is goes into the job before it is sent, and a result is stored before the instance forgets it; whoever
runs the step again finds one or the other.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mien.comfyui import ComfyProgress, ComfyResult, Environments, Output, Submission
from mien.comfyui.follow import Left
from mien.comfyui.refusals import WEIGHTS
from mien.comfyui.workflow import Prepared, Workflow, prepare
from mien.comfyui.workflows import Workflows
from mien.errors import (
    Canceled,
    ComfyError,
    ComfyUnreachable,
    ConsentMissing,
    InputError,
    OutOfMemory,
    SigningFailed,
    TimedOut,
    WorkflowInvalid,
)
from mien.jobs.rows import JobRow
from mien.media.formats import extension
from mien.pipeline.progress import Progress
from mien.service.comfy_previews import PreviewFeed
from mien.service.faces import beside
from mien.service.names import safe_name
from mien.service.settings import ServiceSettings
from mien.service.steps import COMFYUI, Adopts, StepDone, StepTask

if TYPE_CHECKING:
    from mien.pipeline.adopting import Adopted

EXTERNAL: Final = "comfyui"
"""Where the job keeps, by step, where its prompts are."""
ATTEMPTS: Final = 100
"""Attempts of one run of a job that have file names of their own at an instance."""
LONGEST_TEXT: Final = 2000
MOST_TEXTS: Final = 20
_OVER: Final = (ComfyError, WorkflowInvalid, OutOfMemory, TimedOut, Canceled)
"""After these the instance has nothing any more that could be resumed."""


@dataclass(frozen=True)
class ComfySteps:
    """A StepRunner for environments ``comfyui:NAME``. ``engine`` is called when there is something to judge."""

    environments: Environments
    workflows: Workflows
    engine: Callable[[], Adopts]
    settings: ServiceSettings

    def run(self, task: StepTask) -> StepDone:
        """Do a step; raises what ``Environments.run`` and ``Engine.adopt_result`` raise."""
        self._check_consent(task)
        call = task.step.args["workflow"]
        workflow = self.workflows.get(call["name"])
        prepared = prepare(workflow, {**call["parameters"], **_pictures(task)})
        sources = tuple(Path(path) for path in (task.step.target_path, *task.step.source_paths) if path)
        self.engine().judge(sources, self._options)
        taking = _Taking(self, task, workflow, prepared, sources)
        self._send(task, prepared, taking)
        if taking.refusal is not None:
            raise taking.refusal
        return taking.done[0]

    @property
    def _options(self) -> dict[str, Any]:
        return {"content_policy": self.settings.content_policy}

    def _check_consent(self, task: StepTask) -> None:
        consent = task.step.args.get("consent_ref") or task.row.request.get("consent_ref")
        if self.settings.require_consent and not consent:
            raise ConsentMissing(
                "This service asks for consent_ref, a reference to the consent of the people shown."
            )

    def _send(self, task: StepTask, prepared: Prepared, taking: _Taking) -> None:
        into = task.folder / "comfyui"
        into.mkdir()
        feed = PreviewFeed(task.preview)
        resume = submission_of(task.row, task.index)

        def heard(progress: ComfyProgress) -> None:
            done = round(100 * progress.share)
            task.report(Progress("process", done, 100, message=progress.node))
            feed.show(progress)

        task.report(Progress("process", 0, 100, message="Waits for a place at a ComfyUI instance."))
        try:
            self.environments.run(
                task.step.args["environment"].removeprefix(COMFYUI),
                prepared.graph,
                into=into,
                job_id=f"{task.row.id}-{task.index}",
                inputs=prepared.uploads,
                attempt=resume.attempt if resume else (task.row.fence - 1) * ATTEMPTS,
                on_progress=heard,
                cancel=task.cancel,
                leaving=task.leaving,
                on_submitted=lambda sent: _remember(task, asdict(sent)),
                on_result=taking.take,
                resume=resume,
            )
        except (ComfyUnreachable, Left):
            raise
        except _OVER:
            _remember(task, None)
            raise


@dataclass
class _Taking:
    """Takes the result of a run in, as long as the instance still has it."""

    steps: ComfySteps
    task: StepTask
    workflow: Workflow
    prepared: Prepared
    sources: tuple[Path, ...]
    began: float = field(default_factory=time.monotonic)
    done: list[StepDone] = field(default_factory=list)
    refusal: InputError | SigningFailed | None = None
    """Why the result is not kept. To take it once more would end the same way, so the instance may forget it."""

    def take(self, result: ComfyResult) -> None:
        """Store the result. What it raises lets the instance keep its own."""
        try:
            done = self._adopted(result)
        except (InputError, SigningFailed) as error:
            self.refusal = error
            return
        self.task.keep(done)
        self.done.append(done)

    def _adopted(self, result: ComfyResult) -> StepDone:
        texts = [output.text for output in result.outputs if output.text is not None]
        notices = [text[:LONGEST_TEXT] for text in texts[:MOST_TEXTS]]
        if result.blocked is not None:
            notices.append(f"A node kept back a part of the results: {result.blocked}")
        files: list[Path] = []
        found: list[Adopted] = []
        # What later steps can work on comes first.
        made = sorted(
            (output for output in result.outputs if output.path is not None),
            key=lambda output: output.media not in ("image", "video"),
        )
        for number, output in enumerate(made):
            place = self.task.output.with_name(self._name(output, number))
            if output.path is not None and output.media is None:
                shutil.move(output.path, place)
            elif output.path is not None:
                found.append(self._adopt(output.path, place))
                place = found[-1].output
            files += [place, *beside(place)]
        if not files:
            files = [self._written(texts)]
        notices += [notice for adopted in found for notice in adopted.notices]
        return self._done(files, found, notices)

    def _adopt(self, path: Path, place: Path) -> Adopted:
        return self.steps.engine().adopt_result(
            path,
            place,
            operation=self.workflow.makes,
            name=self.workflow.name,
            sources=self.sources,
            models=weights_of(self.prepared.graph),
            options=self.steps._options,
            must_mark=self.steps.settings.marking_required,
        )

    def _name(self, output: Output, number: int) -> str:
        """As it was asked for where the format is that, else after the workflow."""
        ending = (
            extension(output.format) if output.format else Path(output.filename).suffix.lstrip(".").lower()
        )
        wanted = self.task.output
        if number == 0 and output.format and _is_ending(wanted.suffix, output.format):
            return wanted.name
        stem = wanted.stem if number == 0 and self.task.step.target_path else self.workflow.name
        return safe_name(stem if number == 0 else f"{self.workflow.name}-{number + 1}", ending[:10])

    def _written(self, texts: Sequence[str]) -> Path:
        """A result that is nothing but text."""
        place = self.task.output.with_name(f"{self.workflow.name}.txt")
        place.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
        return place

    def _done(self, files: list[Path], found: list[Adopted], notices: list[str]) -> StepDone:
        from mien.pipeline.policy import worst

        return StepDone(
            tuple(files),
            frames=_frames(files[0]) if found else 0,
            seconds=time.monotonic() - self.began,
            models=weights_of(self.prepared.graph),
            notices=tuple(dict.fromkeys(notices)),
            content=worst(adopted.content for adopted in found),
            signed=bool(found) and all(adopted.signed for adopted in found),
            workflow={
                "name": self.prepared.workflow,
                "version": self.prepared.version,
                "parameters": {name: _plain(value) for name, value in self.prepared.values.items()},
                "environment": self.task.step.args["environment"],
            },
        )


def submission_of(row: JobRow, index: int) -> Submission | None:
    """Where the prompt of a step is, as far as the job knows."""
    found = (row.external.get(EXTERNAL) or {}).get(str(index))
    return None if found is None else Submission(**found)


def weights_of(graph: Mapping[str, Any]) -> tuple[str, ...]:
    """The files of models that a graph names, each once."""
    named = [
        value
        for node in graph.values()
        for value in node.get("inputs", {}).values()
        if isinstance(value, str) and value.lower().endswith(WEIGHTS)
    ]
    return tuple(dict.fromkeys(named))


def _remember(task: StepTask, sent: Mapping[str, Any] | None) -> None:
    known = task.row.external.get(EXTERNAL) or {}
    task.remember({EXTERNAL: {**known, str(task.index): sent}})


def _pictures(task: StepTask) -> dict[str, Any]:
    """The files of the workflow's parameters that are pictures."""
    call = task.step.args["workflow"]
    found: dict[str, Any] = dict(zip(call["images"], task.step.source_paths, strict=True))
    if call["target"]:
        found[call["target"]] = task.step.target_path
    return found


def _is_ending(suffix: str, format: str) -> bool:
    from mien.media.formats import content_type, type_of_ending

    return type_of_ending(suffix.lstrip(".")) == content_type(format)


def _frames(path: Path) -> int:
    from mien.media.probe import probe

    info = probe(path, max_pixels=1 << 40)
    return int(info.kind == "image") if info.video is None else info.video.frame_count


def _plain(value: Any) -> Any:
    return "x".join(map(str, value)) if isinstance(value, tuple) else value
