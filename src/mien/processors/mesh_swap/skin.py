"""Which pixels of a face are skin, and which are hair, glasses or something in front of it.

The model is of this one face only: a smooth fit of its sure skin in Lab, from which the rest is judged.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.canonical import Floats, smoothstep
from mien.processors.mesh_swap.ops import box_mean, split
from mien.types import Frame

_SEED = 0.85
_SEEN = 0.5
_FEWEST_SEEDS = 20
_ROUNDS = 3
_FIT_FLOOR = np.array([5.0, 2.5, 3.0])
_JUDGE_FLOOR = np.array([6.0, 3.0, 3.5])
_RIDGE = np.array([0.001, 0.6, 0.6, 2.0])
_BRIGHTER = 0.35
"""Weight of pixels brighter than expected: shine is skin, shadow may be hair."""


def skin_map(picture: Frame, central: Floats, seen: Floats) -> Floats:
    """How likely each cell is skin, 0…1.

    ``picture`` rows×columns BGR, ``central`` where every face has skin, ``seen`` visibility; all of one size.
    With fewer than 20 sure cells everything counts as skin.
    """
    seeds = (central > _SEED) & (seen > _SEEN)
    if np.count_nonzero(seeds) < _FEWEST_SEEDS:
        return np.ones(central.shape, np.float32)
    lab = np.asarray(cv2.cvtColor(picture * np.float32(1 / 255), cv2.COLOR_BGR2Lab), np.float32)
    basis = _basis(*central.shape)
    expected, spread = _fit(basis[seeds], lab[seeds])
    residual = (lab - basis @ expected.astype(np.float32)) / np.maximum(spread, _JUDGE_FLOOR)
    light, a, b = split(residual.astype(np.float32))
    light = np.where(light > 0, light * _BRIGHTER, light)
    distance = np.sqrt(light * light + 0.8 * (a * a + b * b))
    return smoothstep(4.4, 2.4, distance)


def guided_filter(guide: Floats, values: Floats, radius: int, eps: float) -> Floats:
    """Smooth ``values`` along the edges of ``guide`` (both rows×columns, 0…1): He, Sun and Tang 2010."""
    size = 2 * radius + 1
    mean_guide, mean_values = box_mean(guide, size), box_mean(values, size)
    covariance = box_mean(guide * values, size) - mean_guide * mean_values
    variance = box_mean(guide * guide, size) - mean_guide * mean_guide
    slope = np.asarray(covariance / (variance + np.float32(eps)), np.float32)
    offset = np.asarray(mean_values - slope * mean_guide, np.float32)
    return np.asarray(box_mean(slope, size) * guide + box_mean(offset, size), np.float32)


def _basis(rows: int, columns: int) -> Floats:
    """1, x, y and x² of each cell, x and y from -.5 to .5: rows×columns×4."""
    y, x = np.meshgrid(
        np.linspace(-0.5, 0.5, rows, dtype=np.float32),
        np.linspace(-0.5, 0.5, columns, dtype=np.float32),
        indexing="ij",
    )
    return np.stack([np.ones_like(x), x, y, x * x], axis=-1)


def _fit(basis: Floats, lab: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit Lab of the sure skin by the basis, with less and less say for what does not fit: (4×3, 3)."""
    design, values = basis.astype(np.float64), lab.astype(np.float64)
    weight = np.ones(len(design))
    for _ in range(_ROUNDS):
        weighted = design * weight[:, None]
        ridge = 0.05 * weight.sum() * _RIDGE
        coefficients = np.linalg.solve(design.T @ weighted + np.diag(ridge), weighted.T @ values)
        residual = values - design @ coefficients
        spread = np.sqrt((weight[:, None] * residual**2).sum(0) / weight.sum())
        distance = ((residual / np.maximum(spread, _FIT_FLOOR)) ** 2).sum(1)
        weight = np.maximum(np.exp(-distance / 12.0), 1e-6)
    return np.asarray(coefficients), np.asarray(spread)
