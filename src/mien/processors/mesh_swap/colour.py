"""Colour and light: the source's skin takes the target's tones and its slow shading; all in YCrCb.

A table maps luma, a line maps chroma for each luma, and a smooth field adds the light that is left. They are
measured on a 64×64 grid over the crop and applied to every pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.canonical import Floats, smoothstep
from mien.processors.mesh_swap.geometry import STATS
from mien.processors.mesh_swap.ops import gaussian, lookup, stretch
from mien.types import Frame

Doubles: TypeAlias = NDArray[np.float64]

_QUANTILES = np.linspace(0.04, 0.96, 9)
_FEWEST_CELLS = 12.0
_SLOPES = (0.55, 1.3)
_SHOULDER = 0.8
_CHROMA_SLOPE = 0.25
_LUMA = np.arange(256, dtype=np.float64)
_FADE_FROM, _FADE_TO = 0.9, 0.15
"""Shares of the darkest skin between which chroma shift and field fade, for pupils, lashes and nostrils."""
_MOST_FIELD = np.array([70.0, 30.0, 30.0], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class ColourMatch:
    """The mapping from source to target colours, YCrCb."""

    table: Floats
    """256×3: for each luma of the source the target's luma and what is added to Cr and Cb."""
    scale: Floats
    """2: factors of Cr and Cb."""
    fade: Floats
    """256: share of the field that a pixel of that luma takes."""
    field: Floats
    """64×64×3: what is added after the mapping."""

    def blended(self, newer: ColourMatch, share: float) -> ColourMatch:
        """Move towards a newer measurement by ``share``."""
        mixed = (old + share * (new - old) for old, new in zip(self._parts(), newer._parts(), strict=True))
        return ColourMatch(*mixed)

    def _parts(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.table, self.scale, self.fade, self.field


def measure(source: Frame, target: Frame, weight: Floats) -> ColourMatch:
    """Match the mapped source to the target, both 64×64×3 YCrCb, by cells with ``weight`` (64×64, 0…1)."""
    table, scale, fade = _tables(source.reshape(-1, 3), target.reshape(-1, 3), weight.ravel())
    bare = ColourMatch(table, scale, fade, np.zeros((STATS, STATS, 3), np.float32))
    difference = target.astype(np.float32) - _mapped(bare, source)
    difference = np.clip(difference, -_MOST_FIELD, _MOST_FIELD)
    return ColourMatch(table, scale, fade, _smooth_field(difference, weight))


def apply(match: ColourMatch, picture: Frame) -> Frame:
    """Map a picture (H×W×3 YCrCb uint8) to the target's colours, with the field stretched over it."""
    height, width = picture.shape[:2]
    planes = [np.asarray(plane, np.uint8) for plane in cv2.split(picture)]
    fade = lookup(planes[0], match.fade)
    mapped = []
    # Plane by plane: OpenCV's tables for several channels at once are six times slower.
    for channel, plane in enumerate(_mapped_planes(match, planes)):
        field = stretch(np.ascontiguousarray(match.field[..., channel]), (width, height))
        cv2.multiply(field, fade, dst=field)
        mapped.append(cv2.add(plane, field, dtype=cv2.CV_8U))
    return np.asarray(cv2.merge(mapped), np.uint8)


def _mapped_planes(match: ColourMatch, planes: Sequence[Frame]) -> Iterator[Floats]:
    """Luma and chroma planes in the target's colours without the field, float32."""
    luma = planes[0]
    yield lookup(luma, match.table[:, 0])
    for channel in (1, 2):
        own = lookup(planes[channel], (_LUMA * match.scale[channel - 1]).astype(np.float32))
        cv2.add(own, lookup(luma, match.table[:, channel]), dst=own)
        yield own


def _mapped(match: ColourMatch, picture: Frame) -> Floats:
    """Colours of a picture without the field, float32."""
    planes = [np.ascontiguousarray(picture[..., channel]) for channel in range(3)]
    return np.dstack(list(_mapped_planes(match, planes)))


def _tables(source: Frame, target: Frame, weight: Floats) -> tuple[Floats, Floats, Floats]:
    table = np.zeros((256, 3), np.float32)
    if weight.sum() < _FEWEST_CELLS:
        table[:, 0] = _LUMA
        return table, np.ones(2, np.float32), np.ones(256, np.float32)
    used = weight > 0.01
    s, t = source[used].astype(np.float64), target[used].astype(np.float64)
    w = weight[used].astype(np.float64)
    w /= w.sum()
    dark = _weighted_quantiles(s[:, 0], w)
    curve = _luma_curve(dark, _weighted_quantiles(t[:, 0], w))
    table[:, 0] = curve
    fade = smoothstep(_FADE_TO * dark[0], max(_FADE_FROM * dark[0], 1.0), _LUMA)
    held = np.clip(_LUMA, dark[0], dark[-1])
    held_mapped = np.interp(held, _LUMA, curve)
    scale = np.ones(2, np.float32)
    for channel in (1, 2):
        own, other = _Line.fit(s[:, 0], s[:, channel], w), _Line.fit(t[:, 0], t[:, channel], w)
        k = float(np.clip(other.spread / own.spread, 0.7, 1.0))
        offset = other.at(held_mapped) - k * own.at(held)
        neutral = 128.0 * (1.0 - k)
        table[:, channel] = neutral + fade * (offset - neutral)
        scale[channel - 1] = k
    return table, scale, fade


@dataclass(frozen=True, slots=True)
class _Line:
    """Chroma as a line over luma, and how far colours stray from it."""

    slope: float
    luma: float
    chroma: float
    spread: float

    @classmethod
    def fit(cls, luma: Doubles, chroma: Doubles, weight: Doubles) -> _Line:
        mean_luma, mean_chroma = float(weight @ luma), float(weight @ chroma)
        x, y = luma - mean_luma, chroma - mean_chroma
        slope = float(weight @ (x * y)) / (float(weight @ (x * x)) + 60.0)
        slope = float(np.clip(slope, -_CHROMA_SLOPE, _CHROMA_SLOPE))
        spread = float(np.sqrt(weight @ (y - slope * x) ** 2)) + 1.5
        return cls(slope, mean_luma, mean_chroma, spread)

    def at(self, luma: Doubles) -> Doubles:
        return self.chroma + self.slope * (luma - self.luma)


def _luma_curve(source: Doubles, target: Doubles) -> Floats:
    """Curve of 256 through the quantiles: bounded slopes, a soft shoulder, a straight way down to black."""
    mapped = target.copy()
    middle = len(source) // 2
    outwards = [(i, 1) for i in range(middle, len(source) - 1)] + [(i, -1) for i in range(middle, 0, -1)]
    for here, step in outwards:
        run = source[here + step] - source[here]
        rise = target[here + step] - target[here]
        slope = np.clip(rise / run, *_SLOPES) if abs(run) > 1e-6 else 1.0
        mapped[here + step] = mapped[here] + slope * run
    top, bottom = float(np.clip(mapped[-1], 1.0, 254.0)), float(np.clip(mapped[0], 1.0, 254.0))
    curve = np.interp(_LUMA, source, mapped)
    room = 255.0 - top
    above = top + room * (1.0 - np.exp(-_SHOULDER * np.maximum(_LUMA - source[-1], 0.0) / room))
    low, high = float(source[0]), float(source[-1])
    curve = np.where(high < _LUMA, above, curve)
    curve = np.where(low > _LUMA, _LUMA * bottom / max(low, 1.0), curve)
    smooth = gaussian(curve[None].astype(np.float32), 4.0)[0]
    return np.asarray(np.clip(smooth, 0.0, 255.0), np.float32)


def _weighted_quantiles(values: Doubles, weight: Doubles) -> Doubles:
    order = np.argsort(values, kind="stable")
    ranks = np.cumsum(weight[order]) - 0.5 * weight[order]
    return np.asarray(np.interp(_QUANTILES, ranks, values[order]), np.float64)


def _smooth_field(difference: Floats, weight: Floats) -> Floats:
    """Slow part of the difference, from the weighted cells only, refined where there are many of them."""
    coarse = _spread(difference, weight, 12.0)
    fine = _spread(difference - coarse, weight, 4.5)
    sure = np.clip(3.0 * gaussian(weight, 4.5), 0.0, 1.0)
    return np.asarray(coarse + fine * sure[..., None], np.float32)


def _spread(values: Floats, weight: Floats, sigma: float) -> Floats:
    share = gaussian(weight, sigma) + 1e-4
    return np.asarray(gaussian(values * weight[..., None], sigma) / share[..., None], np.float32)
