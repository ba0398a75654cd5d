"""Masks of a face crop: box, occlusion, area, region, and their combination.

A mask is float32, 0 to 1, of the crop's height and width; 1 takes the processed pixel. ``compat=True``
repeats FaceFusion 3.8.1's numbers where mien's own differ: a box mask that is not quite 0 at the edge of the
crop, a feather of 5 pixels whatever the size of the crop, and one hull round areas that do not touch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.faces.neural.session import IMAGENET_MEAN, IMAGENET_STD, Runs, only_output, planes
from mien.types import Frame, Mask

Crop: TypeAlias = NDArray[Any]
"""H×W×3 BGR, 0…255: uint8, or the floats that a network made."""
Padding: TypeAlias = tuple[int, int, int, int]
"""Top, right, bottom, left, each 0 to 100 percent of the crop."""

# Indices into the 68 landmarks (iBUG/300-W order), as FaceFusion 3.8.1 groups them.
AREAS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "upper-face": (0, 1, 2, 31, 32, 33, 34, 35, 14, 15, 16, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17),
        "lower-face": (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 35, 34, 33, 32, 31),
        "mouth": tuple(range(48, 68)),
    }
)

# Classes of the CelebAMask-HQ parsers.
REGIONS: Mapping[str, int] = MappingProxyType(
    {
        "skin": 1,
        "left-eyebrow": 2,
        "right-eyebrow": 3,
        "left-eye": 4,
        "right-eye": 5,
        "glasses": 6,
        "nose": 10,
        "mouth": 11,
        "upper-lip": 12,
        "lower-lip": 13,
    }
)

FEATHER = 5.0
"""Sigma, in crop pixels, of the blur that softens occlusion, area and region masks (FaceFusion 3.8.1)."""

FEATHER_CROP = 256
"""The crop size for which ``FEATHER`` is meant; other sizes are softened in proportion, unless ``compat``."""


def box_mask(
    size: tuple[int, int], blur: float, padding: Padding = (0, 0, 0, 0), *, compat: bool = False
) -> Mask:
    """The rectangle of a crop (width, height) with a soft edge; it depends on nothing else.

    ``blur`` (0 to 1) is the share of the crop over which the edge fades, ``padding`` cuts a percentage off
    each side.
    """
    width, height = size
    amount = int(width * 0.5 * blur)
    edge = max(amount // 2, 1)
    top, right, bottom, left = padding
    mask = np.ones((height, width), np.float32)
    mask[: max(edge, int(height * top / 100))] = 0
    mask[height - max(edge, int(height * bottom / 100)) :] = 0
    mask[:, : max(edge, int(width * left / 100))] = 0
    mask[:, width - max(edge, int(width * right / 100)) :] = 0
    if amount == 0:
        return mask
    sigma = amount * 0.25
    if compat:
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32)
    # What the blur leaves at the edge of the crop would show as a faint rectangle: take that much off
    # everywhere.
    blurred = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT), np.float32)
    rest = np.float32(0.5 * math.erfc(edge / sigma / math.sqrt(2)))
    return np.asarray(((blurred - rest) / (1 - rest)).clip(0, 1), np.float32)


def soften(mask: Mask, *, compat: bool = False) -> Mask:
    """Feather a mask inwards: 0 from the 50 % contour of its blur on, 1 deep inside."""
    sigma = FEATHER if compat else FEATHER * mask.shape[1] / FEATHER_CROP
    blurred = cv2.GaussianBlur(mask.clip(0, 1).astype(np.float32), (0, 0), sigma)
    return np.asarray((blurred.clip(0.5, 1) - 0.5) * 2, np.float32)


def area_mask(
    size: tuple[int, int], sixty_eight: ArrayLike, areas: Sequence[str], *, compat: bool = False
) -> Mask:
    """The hull of the selected areas, from the 68 landmarks in crop pixels; ``size`` is (width, height)."""
    width, height = size
    points = np.asarray(sixty_eight, np.float64)[:, :2].astype(np.int32)
    mask = np.zeros((height, width), np.float32)
    for group in _touching(areas, compat):
        indices = [index for area in group for index in AREAS[area]]
        cv2.fillConvexPoly(mask, cv2.convexHull(points[indices]), (1.0,))
    return soften(mask, compat=compat)


def _touching(areas: Sequence[str], compat: bool) -> list[list[str]]:
    """The areas in groups of one hull each: the two halves of the face touch, and hold the mouth."""
    if compat or {"upper-face", "lower-face"} <= set(areas):
        return [list(areas)] if areas else []
    return [[area] for area in areas]


@dataclass(frozen=True, slots=True)
class Occluder:
    """An xseg network: which pixels of a crop show the face and nothing in front of it. NHWC, BGR, 0 to 1."""

    name: str
    session: Runs
    size: tuple[int, int] = (256, 256)

    def visible(self, crop: Frame) -> Mask:
        """The raw mask at the crop's size, 0 (hidden) to 1 (face). Raises ModelCorrupt."""
        small = cv2.resize(crop, self.size).astype(np.float32) / 255
        height, width = small.shape[:2]
        output = only_output(self.name, self.session.run([small[None]]), (1, height, width, 1))
        seen = cv2.resize(output[0, :, :, 0].clip(0, 1), (crop.shape[1], crop.shape[0]))
        return np.asarray(seen, np.float32)


def occlusion_mask(crop: Frame, occluders: Sequence[Occluder], *, compat: bool = False) -> Mask:
    """What all occluders see as face, softened."""
    seen = [occluder.visible(crop) for occluder in occluders]
    return soften(np.minimum.reduce(seen), compat=compat)


@dataclass(frozen=True, slots=True)
class Parser:
    """A bisenet network: the class of every pixel of a crop. NCHW, RGB, ImageNet statistics."""

    name: str
    session: Runs
    size: tuple[int, int] = (512, 512)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def inside(self, crop: Crop, classes: Collection[int]) -> NDArray[np.bool_]:
        """True, at the network's size, where one of the classes beats all others. Raises ModelCorrupt."""
        pixels = planes(cv2.resize(crop, self.size), self.mean, self.std, rgb=True)
        height, width = pixels.shape[2:]
        scores = only_output(self.name, self.session.run([pixels]), (1, None, height, width))[0]
        wanted = [plane for index, plane in enumerate(scores) if index in classes]
        others = [plane for index, plane in enumerate(scores) if index not in classes]
        return np.asarray(_highest(wanted, scores.shape[1:]) > _highest(others, scores.shape[1:]))


def _highest(planes: Sequence[NDArray[np.float32]], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The largest value of every pixel; seven times as fast as ``argmax`` over the planes."""
    highest = np.full(shape, -np.inf, np.float32)
    for plane in planes:
        np.maximum(highest, plane, out=highest)
    return highest


def region_mask(crop: Crop, parser: Parser, regions: Sequence[str], *, compat: bool = False) -> Mask:
    """The selected regions of a crop, softened."""
    inside = parser.inside(crop, {REGIONS[region] for region in regions}).astype(np.float32)
    return soften(np.asarray(cv2.resize(inside, (crop.shape[1], crop.shape[0])), np.float32), compat=compat)


def combine(masks: Sequence[Mask]) -> Mask:
    """The smallest value of all masks, 0 to 1. Raises ValueError for no mask at all."""
    if not masks:
        raise ValueError("at least one mask is needed")
    return np.asarray(np.minimum.reduce(list(masks)).clip(0, 1), np.float32)


@dataclass(frozen=True)
class Masker:
    """The masks that a step asks for; one object per step, which keeps what is the same for all its frames.

    ``occluders`` and ``parser`` are opened on first use, so a mask type that is not asked for costs nothing.
    """

    types: Sequence[str] = ("box",)
    blur: float = 0.3
    padding: Padding = (0, 0, 0, 0)
    areas: Sequence[str] = tuple(AREAS)
    regions: Sequence[str] = tuple(REGIONS)
    occluders: Callable[[], Sequence[Occluder]] = tuple
    parser: Callable[[], Parser] | None = None
    compat: bool = False
    _boxes: dict[tuple[int, int, bool], Mask] = field(default_factory=dict)

    def box(self, crop: Crop, *, padded: bool = True) -> Mask:
        """The box mask for crops of this size, made once; without the user's padding for ``padded=False``."""
        key = (crop.shape[1], crop.shape[0], padded)
        if key not in self._boxes:
            padding = self.padding if padded else (0, 0, 0, 0)
            mask = box_mask(key[:2], self.blur, padding, compat=self.compat)
            mask.setflags(write=False)
            self._boxes[key] = mask
        return self._boxes[key]

    def before(self, crop: Frame, sixty_eight: Callable[[], ArrayLike]) -> list[Mask]:
        """The masks of the selected types that are made of the crop before it is processed.

        ``sixty_eight`` gives the 68 landmarks in crop pixels; it is called only if the area mask is asked
        for.
        """
        masks = []
        if "box" in self.types:
            masks.append(self.box(crop))
        if "occlusion" in self.types:
            masks.append(occlusion_mask(crop, self.occluders(), compat=self.compat))
        if "area" in self.types:
            size = (crop.shape[1], crop.shape[0])
            masks.append(area_mask(size, sixty_eight(), self.areas, compat=self.compat))
        return masks

    def after(self, crop: Crop) -> list[Mask]:
        """The masks of the selected types that are made of the processed crop: that of the regions."""
        if "region" not in self.types or self.parser is None:
            return []
        return [region_mask(crop, self.parser(), self.regions, compat=self.compat)]
