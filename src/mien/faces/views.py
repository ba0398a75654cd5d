"""The 68- and 5-point views of a mesh, for masks, selectors and warps that are made for those.

Order of the 68 points: iBUG/300-W. Jaw 0–16 from ear to ear, brows 17–26, nose bridge 27–30 and base 31–35,
eyes 36–47, outer lip 48–59, inner lip 60–67. Each point lies between two points of the mesh: the jaw and the
lips at equal distances along the mean face's contour, all others on the mesh point that annotators mean.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mien.faces.canonical import canonical
from mien.types import Box, Landmarks, Points

BETWEEN: dict[int, tuple[int, int, float]] = {
    **{0: (127, 127, 0.0), 1: (234, 93, 0.4), 2: (93, 132, 0.8), 3: (58, 58, 0.0), 4: (172, 136, 0.25)},
    **{5: (136, 150, 0.5), 6: (149, 149, 0.0), 7: (176, 148, 0.5), 8: (152, 152, 0.0)},
    **{17: (70, 46, 0.3), 18: (63, 53, 0.3), 19: (105, 52, 0.3), 20: (66, 65, 0.3), 21: (107, 55, 0.3)},
    **{27: (168, 168, 0.0), 28: (6, 197, 0.7), 29: (195, 5, 0.4), 30: (4, 4, 0.0)},
    **{31: (98, 97, 0.25), 32: (97, 97, 0.0), 33: (2, 2, 0.0)},
    **{36: (33, 33, 0.0), 37: (160, 160, 0.0), 38: (158, 158, 0.0), 39: (133, 133, 0.0)},
    **{40: (153, 153, 0.0), 41: (144, 144, 0.0)},
    **{48: (61, 61, 0.0), 49: (40, 39, 0.4), 50: (37, 37, 0.0), 51: (0, 0, 0.0)},
    **{57: (17, 17, 0.0), 58: (181, 84, 0.5), 59: (91, 91, 0.0)},
    **{60: (78, 78, 0.0), 61: (81, 81, 0.0), 62: (13, 13, 0.0), 66: (14, 14, 0.0), 67: (178, 178, 0.0)},
}
"""Points of the left half and the midline: between which two mesh points, and how far to the second."""

MIRROR_68: tuple[int, ...] = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)
"""The partner of each of the 68 points on the other side of the face."""


def sixty_eight(mesh: Points) -> Points:
    """The 68 points (68×2) of a mesh of at least 468 points."""
    first, second, share = _table()
    return (mesh[first, :2] * (1 - share) + mesh[second, :2] * share).astype(np.float32)


def five_of_68(points: Points) -> Points:
    """Eye centres (mean of six lid points each), nose tip and mouth corners (5×2) of 68 points."""
    eyes = [points[36:42].mean(0), points[42:48].mean(0)]
    return np.stack([*eyes, points[30], points[48], points[54]]).astype(np.float32)


def landmarks_of_mesh(mesh: Points) -> Landmarks:
    """All landmark sets of a face that is known by its mesh (474×3)."""
    points = sixty_eight(mesh)
    five = five_of_68(points)
    return Landmarks(five=five, five_of_68=five, sixty_eight=points, sixty_eight_of_five=points, mesh=mesh)


def box_of_mesh(mesh: Points) -> Box:
    """The upright rectangle around the mesh: forehead to chin, ear to ear."""
    (x1, y1), (x2, y2) = mesh[:468, :2].min(0).tolist(), mesh[:468, :2].max(0).tolist()
    return Box(x1, y1, x2, y2)


def quarter_turn(roll: float) -> int:
    """The nearest of 0, 90, 180, 270 to an eye line's angle in degrees; halfway goes to the smaller."""
    angle = roll % 360.0
    return min((0, 90, 180, 270, 360), key=lambda turn: (abs(turn - angle), turn)) % 360


@cache
def _table() -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    rows = dict(BETWEEN)
    mirror = canonical().mirror
    for index, (first, second, share) in BETWEEN.items():
        rows.setdefault(MIRROR_68[index], (int(mirror[first]), int(mirror[second]), share))
    columns = np.asarray([rows[index] for index in range(68)], np.float32)
    table = columns[:, 0].astype(np.int32), columns[:, 1].astype(np.int32), columns[:, 2:]
    for array in table:
        array.setflags(write=False)
    return table
