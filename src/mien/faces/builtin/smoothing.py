"""Taking the tremble out of a tracked mesh without letting it lag.

The movement of the whole face (place, size, turn) and its shape are filtered apart with One-Euro filters
(Casiez, Roussel and Vogel, 2012): a moving head hardly gets any filtering, a still face a lot, and lips and
lids stay quick. The cutoffs were measured on a clip with known motion; filtering the points themselves lags
by several times the tremble it removes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.faces.canonical import MESH_COUNT, canonical
from mien.types import Points

Values = NDArray[np.float64]

DERIVATIVE_CUTOFF = 1.0
"""Hz."""
MOTION = (8.0, 40.0)
"""Minimum cutoff in Hz and beta, for centre (eye distances), log scale and angle (radians)."""
SHAPE = (1.0, 10.0)
LIPS = (2.0, 20.0)
EYES = (6.0, 40.0)


class OneEuro:
    """A One-Euro filter for N vectors; one speed, and so one cutoff, for each vector."""

    def __init__(self, minimum: float | Values, beta: float | Values) -> None:
        self.minimum = minimum
        self.beta = beta
        self._raw: Values | None = None
        self._value: Values | None = None
        self._speed: Values | None = None

    def update(self, values: Values, seconds: float, unit: float = 1.0) -> Values:
        """Filter N×D values that come ``seconds`` after the last; speeds count in ``unit`` a second."""
        if self._raw is None or self._value is None or self._speed is None:
            self._raw, self._value, self._speed = values, values, np.zeros_like(values)
            return values
        speed = (values - self._raw) / seconds
        self._speed = self._speed + _share(DERIVATIVE_CUTOFF, seconds) * (speed - self._speed)
        cutoff = self.minimum + self.beta * np.sqrt((self._speed**2).sum(-1)) / unit
        self._value = self._value + _share(cutoff, seconds)[..., None] * (values - self._value)
        self._raw = values
        return self._value


def _share(cutoff: float | Values, seconds: float) -> Values:
    """How much of a new value a low-pass filter takes over."""
    turn = 2 * math.pi * np.asarray(cutoff) * seconds
    return np.asarray(turn / (1 + turn))


@dataclass(frozen=True, slots=True)
class _Motion:
    """A similarity in the plane: ``centre + scale * exp(i angle) * shape``."""

    centre: complex
    log_scale: float
    angle: float


class MeshSmoother:
    """Filters the mesh of one track; starts afresh with a new instance."""

    def __init__(self) -> None:
        minimum, beta = _cutoffs()
        self._place = OneEuro(*MOTION)
        self._size = OneEuro(*MOTION)
        self._turn = OneEuro(*MOTION)
        self._shape = OneEuro(minimum, beta)
        self._first: NDArray[np.complex128] | None = None
        self._eyes = 1.0
        self._angle = 0.0

    def update(self, points: Points, seconds: float) -> Points:
        """Filter a 474×3 mesh that comes ``seconds`` after the last one."""
        flat = points[:, 0].astype(np.float64) + 1j * points[:, 1].astype(np.float64)
        if self._first is None:
            self._first = flat - flat.mean()
            self._eyes = max(abs(flat[33] - flat[263]), 1.0)
        motion = self._motion(flat)
        factor = np.exp(motion.log_scale + 1j * motion.angle)
        shape = (flat - motion.centre) / factor
        depth = points[:, 2] / math.exp(motion.log_scale)
        rows = np.column_stack([shape.real, shape.imag, depth]) / self._eyes
        smooth = self._shape.update(rows, seconds) * self._eyes
        return self._put_back(smooth, self._filtered(motion, seconds))

    def _motion(self, flat: NDArray[np.complex128]) -> _Motion:
        """The least-squares similarity from the first frame's points to these; the angle is unwrapped."""
        first = self._first
        assert first is not None
        centre = complex(flat.mean())
        factor = complex((np.conj(first) * (flat - centre)).sum() / (np.abs(first) ** 2).sum())
        angle = math.atan2(factor.imag, factor.real)
        self._angle += math.remainder(angle - self._angle, 2 * math.pi)
        return _Motion(centre, math.log(max(abs(factor), 1e-6)), self._angle)

    def _filtered(self, motion: _Motion, seconds: float) -> _Motion:
        unit = self._eyes * math.exp(motion.log_scale)
        place = np.array([[motion.centre.real, motion.centre.imag]])
        x, y = self._place.update(place, seconds, unit)[0].tolist()
        size = float(self._size.update(np.array([[motion.log_scale]]), seconds)[0, 0])
        turn = float(self._turn.update(np.array([[motion.angle]]), seconds)[0, 0])
        return _Motion(complex(x, y), size, turn)

    def _put_back(self, shape: Values, motion: _Motion) -> Points:
        scale = math.exp(motion.log_scale)
        flat = (shape[:, 0] + 1j * shape[:, 1]) * (scale * np.exp(1j * motion.angle)) + motion.centre
        return np.column_stack([flat.real, flat.imag, shape[:, 2] * scale]).astype(np.float32)


def _cutoffs() -> tuple[Values, Values]:
    """Minimum cutoff and beta of every mesh point."""
    data = canonical()
    rules = np.tile(np.asarray(SHAPE), (MESH_COUNT, 1))
    rules[np.concatenate([rows.ravel() for rows in data.lip_rows])] = LIPS
    rules[np.concatenate([data.groups["eye_left"], data.groups["eye_right"]])] = EYES
    rules[468:] = EYES
    return rules[:, 0], rules[:, 1]
