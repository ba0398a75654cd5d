"""The maths of LivePortrait: key-points from a motion, and the limits in which a motion stays believable.

Key-points and expressions are 21×3 float32 (x right, y down, z), angles are degrees. A batch dimension exists only
at the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

POINTS = 21

KeyPoints: TypeAlias = NDArray[np.float32]
"""21×3."""
Angles: TypeAlias = tuple[float, float, float]
"""Pitch, yaw, roll in degrees."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What the motion extractor tells of one face."""

    angles: Angles
    scale: float
    translation: NDArray[np.float32]
    """3 numbers."""
    expression: KeyPoints
    points: KeyPoints
    """The person's key-points without expression and pose."""

    def key_points(self, expression: KeyPoints | None = None, angles: Angles | None = None) -> KeyPoints:
        """The key-points as they stand in the picture, or with another expression or head pose."""
        turn = rotation(self.angles if angles is None else angles)
        moved = self.points @ turn.T + (self.expression if expression is None else expression)
        return np.asarray(self.scale * moved + self.translation, np.float32)


def rotation(angles: Angles) -> NDArray[np.float32]:
    """3×3: first about x by pitch, then about y by yaw, then about z by roll, right-handed."""
    pitch, yaw, roll = np.radians(angles)
    cos, sin = np.cos, np.sin
    about_x = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
    about_y = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
    about_z = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, np.float32)


def limited(expression: KeyPoints) -> KeyPoints:
    """An expression within what real faces show."""
    return np.asarray(np.clip(expression, LOWEST, HIGHEST), np.float32)


ANGLE_RANGES: tuple[tuple[float, float], ...] = ((-30.0, 30.0), (-60.0, 60.0), (-20.0, 20.0))
"""Pitch, yaw, roll to which an edit may turn a head (FaceFusion 3.8.1)."""


def limited_angles(edited: Angles, original: Angles) -> Angles:
    """Edited angles within the ranges, which are widened for a head that stands beyond them already."""
    pitch, yaw, roll = (
        float(np.clip(value, min(own, low), max(own, high)))
        for value, own, (low, high) in zip(edited, original, ANGLE_RANGES, strict=True)
    )
    return pitch, yaw, roll


def _table(*numbers: float) -> KeyPoints:
    table = np.array(numbers, np.float32).reshape(POINTS, 3)
    table.setflags(write=False)
    return table


# Least and largest expression of each key-point that FaceFusion 3.8.1 lets through.
LOWEST = _table(
    -0.0288067125, -0.0812731311, -0.00170541159,
    -0.0488598682, -0.0332196616, -0.000167431499,
    -0.0675425082, -0.0428681746, -0.000198950816,
    -0.0723103955, -0.0328503326, -0.000731324719,
    -0.0387073644, -0.0601546466, -0.000550269964,
    -0.0638048723, -0.223840728, -0.000713261834,
    -0.0302710701, -0.039319545, -8.2408651e-06,
    -0.0295799859, -0.0539318882, -0.000174219604,
    -0.0292359516, -0.0153050944, -6.30460854e-05,
    -0.00556493877, -0.0234344602, -0.000126858242,
    -0.0437593013, -0.0277768299, -0.0270503685,
    -0.0176926646, -0.0191676542, -0.000115090821,
    -0.00834268332, -0.0039977557, -3.27481248e-05,
    -0.0340162888, -0.0281868968, -0.000196679524,
    -0.029185541, -0.0397511162, -2.81230678e-05,
    -0.0150395725, -0.0249494594, -9.42573533e-05,
    -0.0167938769, -0.0200953931, -0.000400750607,
    -0.0186435618, -0.0248535164, -0.0274416432,
    -0.00461211195, -0.0121660791, -0.000293173041,
    -0.0410017073, -0.074382402, -0.0442762971,
    -0.0190370996, -0.0374363363, -0.0134740388,
)  # fmt: skip
HIGHEST = _table(
    0.0446682945, 0.0708772913, 0.000408344204,
    0.0214308221, 0.0615894832, 4.85319615e-05,
    0.0302363783, 0.0445043296, 1.28298725e-05,
    0.0305869691, 0.0379812494, 0.000657040102,
    0.0445670523, 0.039725922, 0.000710966764,
    0.0943699256, 0.0985926315, 0.00020255195,
    0.0161131397, 0.0292906128, 3.44733417e-06,
    0.0523825921, 0.107065082, 0.000661510974,
    0.00285718683, 0.00832320191, 0.000239314613,
    0.0257947259, 0.0160935968, 2.41853559e-05,
    0.0490833223, 0.034390308, 0.0322353356,
    0.0144766076, 0.0339248963, 0.000142291479,
    0.000875749043, 0.00682212645, 2.76097053e-05,
    0.0186958015, 0.0384016186, 7.33085908e-05,
    0.0201714113, 0.0490544215, 2.34028921e-05,
    0.0246518422, 0.0329151377, 3.4857163e-05,
    0.0222457591, 0.0121796541, 0.000156396593,
    0.0172109623, 0.0301626958, 0.0136556877,
    0.0183460284, 0.0161141958, 0.000287440169,
    0.0357594155, 0.180554688, 0.0275554154,
    0.021745095, 0.0866811201, 0.0334241726,
)  # fmt: skip
