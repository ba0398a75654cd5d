"""Draw what is known of the selected faces: boxes, landmarks, masks, mesh, pose, gaze and numbers."""

from __future__ import annotations

from dataclasses import replace
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
        """Make the masks ready whose contour is drawn; those of networks only where they are asked for."""
        from mien.faces.neural.networks import mask_models
        from mien.faces.options import MaskOptions
        from mien.processors.face_drawing import Drawing, outline_masker
        from mien.processors.masking import make_masker

        masks: MaskOptions = run.settings_of(MaskOptions)
        if "face-mask" not in options.items or not mask_models(masks):
            return Drawing(options.items, replace(outline_masker(masks), compat=run.compat))
        return Drawing(options.items, replace(make_masker(run), blur=0.0))

    def process(self, frame: FrameContext, state: Drawing) -> None:
        """Draw every selected face."""
        from mien.faces.align import scale_face

        x = frame.image.shape[1] / frame.target.shape[1]
        y = frame.image.shape[0] / frame.target.shape[0]
        for face in frame.selected:
            state.draw(frame.image, scale_face(face, x, y))
