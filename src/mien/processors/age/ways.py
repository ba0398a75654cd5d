"""The two ways to change an age: ``fran`` knows ages in years, ``styleganex_age`` only younger and older."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from mien.faces.align import Matrix, align_matrix, invert, merge, paste_back, scale_five, warp, warp_black
from mien.faces.masks import Masker, combine, occlusion_mask
from mien.processors.age.network import AgeNetwork
from mien.processors.colour_match import match_colour
from mien.types import Face, Frame, Mask

FRAN_SIDE = 1024
STYLEGANEX_SIDE, STYLEGANEX_EXTENDED, STYLEGANEX_RESULT = 256, 384, 1024
STYLEGANEX_SPREAD = 0.875
"""By how much the five points move towards the nose, so that the extended crop shows more than the face."""
STYLEGANEX_STRENGTH = 2.5
"""What the network is told at −100; as much below 0 at 100."""


@dataclass(frozen=True, slots=True)
class AgeState:
    """What a step needs for every frame."""

    network: AgeNetwork
    direction: int
    """−100 (younger) to 100 (older)."""
    masker: Masker
    compat: bool


def by_fran(image: Frame, face: Face, state: AgeState, age: Callable[[], float]) -> None:
    """Directions are years: the network is told the age now, which ``age`` gives, and the age that is wanted."""
    side = (FRAN_SIDE, FRAN_SIDE)
    matrix = align_matrix(face.landmarks.five_of_68, "ffhq_512", side, compat=state.compat)
    crop = warp(image, matrix, side, compat=state.compat)
    masks = [state.masker.box(crop, padded=False)]
    if "occlusion" in state.masker.types:
        masks.append(occlusion_mask(crop, state.masker.occluders(), compat=state.compat))
    years = age()
    ages = np.array([years, years + state.direction], np.float32) / 100
    drawn = state.network.aged(crop, crop, ages.clip(0, 1).astype(np.float32))
    paste_back(image, drawn, combine(masks), matrix, compat=state.compat)


def by_styleganex(image: Frame, face: Face, state: AgeState, age: Callable[[], float]) -> None:
    """The network sees the face, and a larger crop that it draws anew, hair and shoulders included.

    ``age`` is not asked for.
    """
    five, compat = face.landmarks.five_of_68, state.compat
    side, extended = (STYLEGANEX_SIDE,) * 2, (STYLEGANEX_EXTENDED,) * 2
    near = align_matrix(five, "ffhq_512", side, compat=compat)
    far = align_matrix(scale_five(five, STYLEGANEX_SPREAD), "styleganex_384", extended, compat=compat)
    crop, background = (
        warp(image, matrix, size, compat=compat) for matrix, size in ((near, side), (far, extended))
    )
    masks = [state.masker.box(background, padded=False)]
    if "occlusion" in state.masker.types:
        masks.append(_occlusion(crop, near, far, state))
    matched = match_colour(background, _drawn(crop, background, state), compat=compat)
    mask = np.asarray(cv2.resize(combine(masks), matched.shape[:2]), np.float32)
    paste_back(image, matched, mask, _enlarged(far, compat=compat), compat=compat)


def _drawn(crop: Frame, background: Frame, state: AgeState) -> Frame:
    """What styleganex makes of the two crops, at the size of the result."""
    told = np.interp(state.direction, (-100, 100), (STYLEGANEX_STRENGTH, -STYLEGANEX_STRENGTH))
    levels = state.network.aged(crop, background, np.array(told, np.float32))
    pixels = (levels if state.compat else levels + np.float32(0.5)).astype(np.uint8)
    size = (STYLEGANEX_RESULT,) * 2
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _occlusion(crop: Frame, near: Matrix, far: Matrix, state: AgeState) -> Mask:
    """What hides the face in the near crop, as the far crop sees it.

    FaceFusion joins the two matrices in the wrong order, which shifts the mask; so does ``compat``.
    """
    mask = occlusion_mask(crop, state.masker.occluders(), compat=state.compat)
    way = merge(far, invert(near)) if state.compat else merge(invert(near), far)
    side = (STYLEGANEX_EXTENDED,) * 2
    return np.asarray(warp_black(mask, way, side, compat=True), np.float32)


def _enlarged(matrix: Matrix, *, compat: bool) -> Matrix:
    """The matrix for the far crop at the size of the result; pixel centres stay where they are, unless ``compat``."""
    factor = STYLEGANEX_RESULT / STYLEGANEX_EXTENDED
    larger: Matrix = matrix * factor
    if not compat:
        larger[:, 2] += (factor - 1) / 2
    return larger


WAYS: Mapping[str, Callable[[Frame, Face, AgeState, Callable[[], float]], None]] = MappingProxyType(
    {"fran": by_fran, "styleganex_age": by_styleganex}
)
