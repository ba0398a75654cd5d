"""What does the work of a task: the face engine of this machine, or its ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mien.consumer.inputs import Inputs, Patiently
from mien.consumer.settings import ConsumerSettings
from mien.consumer.task import FetchedTask
from mien.errors import ConsentMissing
from mien.pipeline.progress import Cancel, Progress
from mien.pipeline.step import Step
from mien.service.faces import Runs, fitting
from mien.service.intake import describe
from mien.service.outputs import Known, named_output
from mien.service.requests import OutputRequest


@dataclass(frozen=True)
class Room:
    """Where and how the work on one task is done."""

    folder: Path
    """For inputs and results; it is there again after an interruption."""
    cancel: Cancel
    patiently: Patiently
    tell: Callable[[Mapping[str, Any]], None] = lambda progress: None
    submission: Mapping[str, Any] | None = None
    """What was remembered before an interruption."""
    remember: Callable[[Mapping[str, Any]], None] = lambda submission: None
    keep: Callable[[Made], None] = lambda made: None
    """Notes a finished result, for those that have to tidy up elsewhere afterwards."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished result."""

    file: Path
    name: str
    """For people."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For the log."""
    others: tuple[tuple[Path, str], ...] = ()
    """Files that come with it, with their names."""
    notices: tuple[str, ...] = ()
    """What the task's owner should know."""


class World(Protocol):
    """Does tasks of one environment. Used by many threads at once."""

    def work(self, task: FetchedTask, room: Room) -> Made:
        """Do a task; raises Canceled soon after ``room.cancel`` was set, and what is wrong with the task."""


@dataclass(frozen=True)
class FaceSwaps:
    """Face swaps by the engine of this machine, which is made when the first one comes."""

    engine: Callable[[], Runs]
    inputs: Inputs
    settings: ConsumerSettings
    max_pixels: int

    def work(self, task: FetchedTask, room: Room) -> Made:
        """Swap a face."""
        options = {**self._rules(task), **self._model(task)}
        source, target = (self._bring(task, room, name) for name in ("source_url", "target_url"))
        media = describe(target, max_pixels=self.max_pixels)
        options |= fitting(task.data.get("resolution"), media.as_record())
        name = named_output(
            OutputRequest(), Known(f"result.{media.ending}", media.kind, media.ending), 0, marked=True
        )
        output = room.folder / "out" / name
        output.parent.mkdir(exist_ok=True)
        step = Step(target, output, (source,), ("face_swapper",), options)
        done = self.engine().run(
            step, on_progress=lambda progress: room.tell(_shown(progress)), cancel=room.cancel
        )
        facts = {
            "frames": done.frames,
            "faces": done.faces,
            "models": list(done.models),
            "signed": done.signed,
        }
        return Made(done.output, name, facts, notices=tuple(done.notices))

    def _bring(self, task: FetchedTask, room: Room, name: str) -> Path:
        room.cancel.raise_if_set()
        return self.inputs.bring(task, task.data.get(name), room.folder, name, room.patiently)

    def _rules(self, task: FetchedTask) -> dict[str, Any]:
        if task.consent_ref:
            return {"content_policy": self.settings.content_policy, "consent_ref": task.consent_ref}
        if self.settings.require_consent:
            raise ConsentMissing(
                "This consumer asks for consent_ref, a reference to the consent of the people shown."
            )
        return {"content_policy": self.settings.content_policy}

    @staticmethod
    def _model(task: FetchedTask) -> dict[str, Any]:
        model = task.data.get("model")
        return {"face_swapper_model": model} if model else {}


def _shown(progress: Progress) -> dict[str, Any]:
    return {
        "stage": progress.stage,
        "done": progress.done,
        "total": progress.total,
        "fps": round(progress.rate, 2),
        "remaining_seconds": None if progress.remaining is None else round(progress.remaining, 1),
        "message": progress.message[:200],
    }
