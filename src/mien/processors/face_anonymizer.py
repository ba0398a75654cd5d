"""Make faces unrecognisable: pixelated, blurred or painted over, with no frame of a video left uncovered.

Strength limits come from a measurement with a face recogniser: a Gaussian of 0.09 of the face height brings
the similarity with the original to 0.0, ten cells across the face to 0.12, sixteen to 0.21 (0.03 is chance).
Weaker settings are therefore not offered.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import field_validator

from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext

if TYPE_CHECKING:
    from mien.processors.face_cover import Coverer

Mode = Literal["blur", "pixelate", "solid"]


class FaceAnonymizerOptions(Options):
    """Options of the face anonymiser."""

    group = "face_anonymizer"

    mode: Mode = option("blur", help="blur, pixelate into coarse cells, or paint over in one colour.")
    faces: Literal["all", "selected"] = option(
        "all", help="Cover every face that is found, or only those that the face selector chooses."
    )
    strength: float = option(
        0.12, ge=0.09, le=0.5, step=0.01, help="Sigma of the blur as a share of the face height."
    )
    cells: int = option(
        8, ge=2, le=10, step=1, help="Pixelated cells across the longer side of the covered area."
    )
    color: tuple[int, ...] = option(
        (0, 0, 0), help="Colour of the solid cover: red, green, blue, 0 to 255 each."
    )
    margin: float = option(
        0.25, ge=0.1, le=1.0, step=0.05, help="How much larger than the face the cover is, as a share."
    )
    hold: float = option(
        2.0,
        ge=0.0,
        le=5.0,
        step=0.1,
        unit="s",
        help="Video: how long a place stays covered after its face was seen last.",
    )

    @field_validator("color")
    @classmethod
    def _three_bytes(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(value) != 3 or not all(0 <= part <= 255 for part in value):
            raise ValueError("give three whole numbers from 0 to 255: red, green, blue")
        return value


class FaceAnonymizer(Processor[FaceAnonymizerOptions, "Coverer"]):
    """Covers faces; in a video a place stays covered for a while after its face was seen last.

    What lies between two detections of a face, or just before the first, is filled in by the pipeline, which
    looks ahead.
    """

    name: ClassVar[str] = "face_anonymizer"
    Options: ClassVar[type[Options]] = FaceAnonymizerOptions
    summary: ClassVar[str] = "Make faces unrecognisable: blur, pixelate or paint over."
    synthetic: ClassVar[bool] = False
    sequential: ClassVar[bool] = True
    lookahead: ClassVar[int] = 24

    def warm_up(self, options: FaceAnonymizerOptions, rate: float) -> int:
        """As far back as a face may have been seen whose place is still covered."""
        return math.ceil(options.hold * rate)

    def prepare(self, run: RunContext, options: FaceAnonymizerOptions) -> Coverer:
        """Start without any face."""
        from mien.processors.face_cover import Coverer

        return Coverer(options)

    def process(self, frame: FrameContext, state: Coverer) -> None:
        """Cover the faces of this frame, and those that were there a moment ago and have no successor."""
        faces = frame.faces if state.options.faces == "all" else frame.selected
        state.cover(frame.image, faces, frame.time, cut=frame.cut)
