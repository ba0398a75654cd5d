"""Runs steps of the face engine, by the operator's rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from mien.errors import ConsentMissing, InputError
from mien.jobs.recipe import options_of
from mien.service.scratch import FACE_MAP
from mien.service.settings import ServiceSettings
from mien.service.steps import StepDone, StepTask

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mien.pipeline.progress import Cancel, Report
    from mien.pipeline.step import Result, Step

STRICTNESS: Final = ("off", "flag", "refuse")
SMALLEST: Final = 0.25
"""The smallest result, as a part of the target's size."""


class Runs(Protocol):
    """What is needed of the face engine."""

    def run(self, step: Step, *, on_progress: Report | None = None, cancel: Cancel | None = None) -> Result:
        """Do one step."""


class Share(Protocol):
    """Lets other workers do parts of a video."""

    def __call__(self, task: StepTask, step: Step) -> AbstractContextManager[None]:
        """Bring the parts that others make into the work folder, where there is something to share.

        They are needed until the end of the block.
        """


@dataclass(frozen=True)
class FaceSteps:
    """A StepRunner. ``keys`` are the option keys that the engine knows; ``engine`` is made on first use."""

    engine: Callable[[], Runs]
    keys: Callable[[], Collection[str]]
    settings: ServiceSettings
    share: Share = lambda task, step: nullcontext()

    def run(self, task: StepTask) -> StepDone:
        """Do a step."""
        step = self.step_of(task)
        is_video = task.target_media.get("kind") == "video"
        with self.share(task, step) if is_video else nullcontext():
            result = self.engine().run(step, on_progress=task.report, cancel=task.cancel)
        return StepDone(
            files=(result.output, *beside(result.output)),
            frames=result.frames,
            faces=result.faces,
            seconds=result.seconds,
            models=result.models,
            notices=result.notices,
            content=result.content,
            signed=result.signed,
            watermark=result.watermark,
        )

    def step_of(self, task: StepTask) -> Step:
        """What the engine is to do. Raises InputError, OptionError, ConsentMissing."""
        from mien.pipeline.people import people_of
        from mien.pipeline.step import Step

        stored = task.step
        if not stored.target_path:
            raise InputError(f"Step {task.index} has no target.")
        return Step(
            target=Path(stored.target_path),
            output=task.output,
            sources=tuple(Path(path) for path in stored.source_paths),
            processors=stored.processors,
            options=self._options(task),
            people=people_of(stored.args.get(FACE_MAP)),
        )

    def _options(self, task: StepTask) -> dict[str, Any]:
        """The step's options, held to the operator's rules once more: jobs come from several sides."""
        settings = self.settings
        options = options_of(task.step, self.keys())
        options |= fitting(task.step.args.get("resolution"), task.target_media)
        consent = options.get("consent_ref") or task.row.request.get("consent_ref")
        if consent:
            options["consent_ref"] = consent
        elif settings.require_consent:
            raise ConsentMissing(
                "This service asks for consent_ref, a reference to the consent of the people shown."
            )
        if settings.marking_required:
            options.pop("output_marking", None)
        policy = str(options.get("content_policy", "off"))
        if STRICTNESS.index(policy) < STRICTNESS.index(settings.content_policy):
            options["content_policy"] = settings.content_policy
        if settings.content_policy != "off":
            options.pop("compat", None)
        return options


def beside(output: Path) -> tuple[Path, ...]:
    """The signature of formats that cannot hold one."""
    from mien.safety.carriers import sidecar_of

    sidecar = sidecar_of(output)
    return (sidecar,) if sidecar.is_file() else ()


def fitting(wanted: Any, media: Mapping[str, Any]) -> dict[str, float]:
    """The scale by which a result fits into the resolution ``wanted`` (WIDTHxHEIGHT); it is never made larger.

    ``media`` is what is known of the target. Raises InputError for a resolution that is none, or too small.
    """
    if not wanted:
        return {}
    found = re.fullmatch(r"([1-9]\d{0,4})[xX]([1-9]\d{0,4})", str(wanted))
    if found is None:
        raise InputError(f"The resolution {wanted!r} is not WIDTHxHEIGHT, such as 1024x1024.")
    width, height = media.get("width") or 0, media.get("height") or 0
    if not width or not height:
        return {}
    scale = min(int(found[1]) / width, int(found[2]) / height, 1.0)
    if scale < SMALLEST:
        raise InputError(
            f"The resolution {wanted} is less than a quarter of the target's {width}x{height}, which is the smallest "
            "result that can be made; ask for a larger one, or send a smaller target."
        )
    return {"output_image_scale": scale, "output_video_scale": scale} if scale < 1 else {}
