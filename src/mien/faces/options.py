"""Options of face analysis, declared once: detector, landmarker, selector, tracker, masks.

Flags, choices, ranges and defaults are FaceFusion's; what mien adds says so. This module imports neither
numpy nor OpenCV, because the command line reads it before it does anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

from mien.options import Options, option

DetectorModel: TypeAlias = Literal["many", "retinaface", "scrfd", "yolo_face", "yunet", "blazeface"]
LandmarkerModel: TypeAlias = Literal["many", "2dfan4", "peppa_wutz", "mesh"]
DetectorSize: TypeAlias = Literal["160x160", "320x320", "480x480", "512x512", "640x640"]
Angle: TypeAlias = Literal[0, 90, 180, 270]
SelectorMode: TypeAlias = Literal["many", "one", "reference"]
SelectorOrder: TypeAlias = Literal[
    "left-right",
    "right-left",
    "top-bottom",
    "bottom-top",
    "small-large",
    "large-small",
    "best-worst",
    "worst-best",
]
Gender: TypeAlias = Literal["auto", "female", "male"]
Race: TypeAlias = Literal["auto", "white", "black", "latino", "asian", "indian", "arabic"]
MaskType: TypeAlias = Literal["box", "occlusion", "area", "region"]
MaskArea: TypeAlias = Literal["upper-face", "lower-face", "mouth"]
MaskRegion: TypeAlias = Literal[
    "skin",
    "left-eyebrow",
    "right-eyebrow",
    "left-eye",
    "right-eye",
    "glasses",
    "nose",
    "mouth",
    "upper-lip",
    "lower-lip",
]
Sides: TypeAlias = tuple[int, int, int, int]
"""Top, right, bottom, left; percent."""

ALL_AREAS: tuple[MaskArea, ...] = ("upper-face", "lower-face", "mouth")
ALL_REGIONS: tuple[MaskRegion, ...] = (
    "skin",
    "left-eyebrow",
    "right-eyebrow",
    "left-eye",
    "right-eye",
    "glasses",
    "nose",
    "mouth",
    "upper-lip",
    "lower-lip",
)


class DetectorOptions(Options):
    """How faces are found."""

    group: ClassVar[str] = "face_detector"
    section: ClassVar[str] = "face_detector"
    title: ClassVar[str] = "Face detector"

    model: DetectorModel = option(
        "yolo_face", help="The model that finds faces; blazeface is built in, the others are downloaded."
    )
    size: DetectorSize = option(
        "640x640",
        help="Size of the picture that the detector sees; blazeface has a size of its own.",
        advanced=True,
    )
    margin: tuple[int, ...] = option(
        (0, 0, 0, 0),
        help="Widen the picture by this much before faces are searched: top, right, bottom, left.",
        unit="%",
        advanced=True,
    )
    angles: tuple[Angle, ...] = option(
        (0,), help="Quarter turns of the picture in which faces are searched.", unit="°"
    )
    score: float = option(0.5, ge=0.0, le=1.0, step=0.05, help="How sure the detector must be of a face.")


class LandmarkerOptions(Options):
    """How the features of a face are found."""

    group: ClassVar[str] = "face_landmarker"
    section: ClassVar[str] = "face_landmarker"
    title: ClassVar[str] = "Face landmarker"

    model: LandmarkerModel = option(
        "2dfan4",
        help="The model that finds eyes, nose and mouth; mesh is built in, the others are downloaded.",
    )
    score: float = option(
        0.5, ge=0.0, le=1.0, step=0.05, help="How sure the landmarker must be for its points to be used."
    )


class SelectorOptions(Options):
    """Which of the faces are worked on."""

    group: ClassVar[str] = "face_selector"
    section: ClassVar[str] = "face_selector"
    title: ClassVar[str] = "Face selector"

    mode: SelectorMode = option(
        "reference", help="Work on many faces, on one, or on those like the reference face."
    )
    order: SelectorOrder = option("large-small", help="The order in which faces are counted.")
    age_start: int | None = option(None, ge=0, le=100, step=1, help="Youngest age to work on.")
    age_end: int | None = option(None, ge=0, le=100, step=1, help="Age from which faces are left out.")
    gender: Gender | None = option(None, help="Work on faces of this gender only; auto: that of the source.")
    race: Race | None = option(None, help="Work on faces of this race only; auto: that of the source.")
    reference_position: int = option(
        0,
        key="reference_face_position",
        help="Which face of the reference frame is meant, counted from 0 in the chosen order.",
    )
    reference_distance: float = option(
        0.3,
        ge=0.0,
        le=1.0,
        step=0.05,
        key="reference_face_distance",
        help="How unlike the reference face a face may be; needs a model that recognises faces.",
    )
    reference_frame: int = option(
        0, key="reference_frame_number", help="The frame of the target that shows the reference face."
    )


class TrackerOptions(Options):
    """How faces are followed through a video."""

    group: ClassVar[str] = "face_tracker"
    section: ClassVar[str] = "face_tracker"
    title: ClassVar[str] = "Face tracker"

    score: float = option(
        0.0,
        ge=0.0,
        le=0.5,
        step=0.05,
        help="Overlap from which two boxes are one face; 0: built-in models use 0.3, others do not track.",
    )
    interval: float = option(
        1.0,
        ge=0.0,
        le=10.0,
        step=0.1,
        help="Look for new faces after this time at the latest; 0: in every frame. Built-in models only.",
        unit="s",
        advanced=True,
    )
    small_faces: bool = option(
        False,
        help="Look closely for small faces each time, not only where no face is found. Built-in models only.",
        advanced=True,
    )
    smoothing: bool = option(
        True, help="Take the tremble out of the landmarks. Built-in models only.", advanced=True
    )


class FrameDistributionOptions(Options):
    """How many frames around a frame help with it."""

    group: ClassVar[str] = "frame_distribution"
    section: ClassVar[str] = "frame_distribution"
    title: ClassVar[str] = "Frames around a frame"

    target_frame_amount: int = option(
        2,
        ge=0,
        le=10,
        step=1,
        key="target_frame_amount",
        help="Frames before and after a frame in which a missing face is looked for.",
    )


class MaskOptions(Options):
    """Which part of a face is replaced."""

    group: ClassVar[str] = "face_mask"
    section: ClassVar[str] = "face_masker"
    title: ClassVar[str] = "Face masks"

    occluder_model: Literal["many", "xseg_1", "xseg_2", "xseg_3"] = option(
        "xseg_1", key="face_occluder_model", help="The model that sees what covers a face."
    )
    parser_model: Literal["bisenet_resnet_18", "bisenet_resnet_34"] = option(
        "bisenet_resnet_34", key="face_parser_model", help="The model that tells the regions of a face apart."
    )
    types: tuple[MaskType, ...] = option(("box",), help="Kinds of mask; a pixel must be inside all of them.")
    areas: tuple[MaskArea, ...] = option(ALL_AREAS, help="Areas of the area mask.")
    regions: tuple[MaskRegion, ...] = option(ALL_REGIONS, help="Regions of the region mask.")
    blur: float = option(0.3, ge=0.0, le=1.0, step=0.05, help="How soft the rim of the box mask is.")
    padding: tuple[int, ...] = option(
        (0, 0, 0, 0), help="How far the box mask keeps from each side: top, right, bottom, left.", unit="%"
    )


GROUPS: tuple[type[Options], ...] = (
    DetectorOptions,
    LandmarkerOptions,
    SelectorOptions,
    TrackerOptions,
    FrameDistributionOptions,
    MaskOptions,
)
"""All option groups of face analysis, in the order of the help pages."""


def four_sides(values: Sequence[int]) -> Sides:
    """Spread one to four percentages over the sides as style sheets do; a value outside 0 to 100 counts as 0.

    One value: all sides. Two: top and bottom, right and left. Three: top, right and left, bottom.
    """
    given = [value if 0 <= value <= 100 else 0 for value in values[:4]] or [0]
    top = given[0]
    right = given[1] if len(given) > 1 else top
    bottom = given[2] if len(given) > 2 else top
    left = given[3] if len(given) > 3 else right
    return top, right, bottom, left
