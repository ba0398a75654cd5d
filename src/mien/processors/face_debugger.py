"""Draw what is known of the selected faces: boxes, landmarks, masks, mesh, pose, gaze and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext

if TYPE_CHECKING:
    from mien.processors.face_drawing import Drawing

Item = Literal[
    "bounding-box",
    "face-landmark-5",
    "face-landmark-5/68",
    "face-landmark-68",
    "face-landmark-68/5",
    "face-mask",
    "face-mesh",
    "iris",
    "head-pose",
    "presence",
    "track-id",
]


class FaceDebuggerOptions(Options):
    """Options of the face debugger."""

    group = "face_debugger"

    items: tuple[Item, ...] = option(
        ("face-landmark-5/68", "face-mask"),
        help="What to draw; face-mesh and iris need the built-in models, track-id a video.",
    )


class FaceDebugger(Processor[FaceDebuggerOptions, "Drawing"]):
    """Draws over the selected faces."""

    name: ClassVar[str] = "face_debugger"
    Options: ClassVar[type[Options]] = FaceDebuggerOptions
    summary: ClassVar[str] = "Draw boxes, landmarks, masks and numbers of faces."
    synthetic: ClassVar[bool] = False

    def prepare(self, run: RunContext, options: FaceDebuggerOptions) -> Drawing:
        """Look up which masks the other processors would use."""
        from mien.faces.options import MaskOptions
        from mien.processors.face_drawing import Drawing

        masks: MaskOptions = run.settings_of(MaskOptions)
        unseen = [kind for kind in masks.types if kind in ("occlusion", "region")]
        if unseen and "face-mask" in options.items:
            run.notice(f"The face debugger draws no mask of the type {' '.join(unseen)}.")
        return Drawing(options.items, masks)

    def process(self, frame: FrameContext, state: Drawing) -> None:
        """Draw every selected face."""
        for face in frame.selected:
            state.draw(frame.image, face)
