"""What the sliders of the face editor do to an expression, a head pose and the openings of eyes and lips.

Key-points are counted from 0; coefficients are FaceFusion 3.8.1's, for a slider at 1. A slider below 0 has a table
of its own where the movement down is not the movement up turned round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.processors.live_portrait.motion import Angles, KeyPoints, limited, limited_angles

if TYPE_CHECKING:
    from mien.processors.face_editor import FaceEditorOptions

Move: TypeAlias = tuple[int, int, float]
"""Key-point, axis (0 x, 1 y, 2 z), coefficient."""
X, Y, Z = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Moves:
    """The movements of one slider above 0, and at or below it."""

    above: tuple[Move, ...]
    below: tuple[Move, ...]


def _both(*moves: Move) -> Moves:
    return Moves(moves, moves)


MOVES: Mapping[str, Moves] = MappingProxyType(
    {
        "eye_gaze_horizontal": Moves(
            above=((11, X, 0.015), (15, X, 0.020)),
            below=((11, X, 0.020), (15, X, 0.015)),
        ),
        "eye_gaze_vertical": _both(
            (1, Y, 0.0025), (2, Y, -0.0025), (11, Y, -0.010), (13, Y, -0.005), (15, Y, -0.010), (16, Y, -0.005)
        ),
        "mouth_grim": Moves(
            above=((17, Z, -0.005), (19, Z, 0.01), (20, Y, -0.06), (20, Z, -0.03)),
            below=((19, Y, -0.05), (19, Z, -0.02), (20, Z, -0.03)),
        ),
        "mouth_position_horizontal": _both((19, X, 0.05), (20, X, 0.04)),
        "mouth_position_vertical": Moves(
            above=((19, Y, -0.04), (20, Y, -0.02)),
            below=((19, Y, -0.05), (20, Y, -0.04)),
        ),
        "mouth_pout": Moves(
            above=((19, Y, -0.022), (19, Z, 0.025), (20, Z, -0.002)),
            below=((19, Y, 0.022), (19, Z, 0.025), (20, Z, -0.002)),
        ),
        "mouth_purse": Moves(
            above=((19, Y, -0.04), (19, Z, -0.02)),
            below=((14, Y, -0.02), (17, Z, 0.01), (19, Z, -0.015), (20, Z, -0.002)),
        ),
        "mouth_smile": Moves(
            above=(
                (20, Y, -0.015), (14, Y, -0.025), (17, Y, 0.01), (17, Z, 0.004), (3, Y, -0.0045), (7, Y, -0.0045),
            ),
            below=(
                (14, Y, -0.02), (17, Y, 0.003), (19, Y, 0.02), (19, Z, -0.005), (20, Z, 0.01), (3, Y, 0.0045),
                (7, Y, 0.0045),
            ),
        ),
        "eyebrow_direction": Moves(
            above=((1, Y, 0.015), (2, Y, -0.020)),
            below=((1, X, -0.015), (2, X, 0.020), (1, Y, 0.005), (2, Y, -0.005)),
        ),
    }
)  # fmt: skip

TURNS: Mapping[str, float] = MappingProxyType({"head_pitch": -20.0, "head_yaw": -60.0, "head_roll": 15.0})
"""Degrees for a slider at 1, in the order of the angles."""

EYES_OPEN = 0.6
LIPS_OPEN = 1.0
"""Ratios at which eyes and lips stand open for a slider above 0; below 0 they are shut."""

# Upper lid, lower lid, inner and outer corner of each eye, among the 68 landmarks. FaceFusion measures the second pair
# of lid points crosswise (37 to 40 and 43 to 46), which takes part of the width for height.
LIDS = ((37, 41, 39, 36), (43, 47, 45, 42))
LIDS_CROSSWISE = ((37, 40, 39, 36), (43, 46, 45, 42))
LIPS = (62, 66, 54, 48)


def edited_expression(expression: KeyPoints, options: FaceEditorOptions) -> KeyPoints:
    """The expression with the sliders' movements, within the limits of real faces."""
    changed = expression.copy()
    for name, moves in MOVES.items():
        value = getattr(options, name)
        for point, axis, share in moves.above if value > 0 else moves.below:
            changed[point, axis] += np.float32(share * value)
    return limited(changed)


def edited_angles(angles: Angles, options: FaceEditorOptions) -> Angles:
    """The head pose with the sliders' turns, within its limits."""
    pitch, yaw, roll = (
        angle + degrees * getattr(options, name)
        for angle, (name, degrees) in zip(angles, TURNS.items(), strict=True)
    )
    return limited_angles((pitch, yaw, roll), angles)


def ratio(points: NDArray[np.float32], indices: tuple[int, int, int, int]) -> float:
    """Height over width of an opening: distance top to bottom over left to right of four of the 68 landmarks."""
    top, bottom, left, right = (points[index].astype(np.float64) for index in indices)
    return float(np.linalg.norm(top - bottom) / (np.linalg.norm(left - right) + 1e-6))


def eye_numbers(points: NDArray[np.float32], slider: float, *, compat: bool) -> tuple[float, ...]:
    """What the eye retargeter is told: how far both eyes are open, and how far they should be."""
    lids = LIDS_CROSSWISE if compat else LIDS
    return (*(ratio(points, eye) for eye in lids), 0.0 if slider < 0 else EYES_OPEN)


def lip_numbers(points: NDArray[np.float32], slider: float) -> tuple[float, ...]:
    """What the lip retargeter is told: how far the lips are open, and how far they should be."""
    return ratio(points, LIPS), 0.0 if slider < 0 else LIPS_OPEN
