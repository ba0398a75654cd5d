"""The eye network: it corrects lids and brows of the mesh, and sees the iris.

Without it the mesh keeps closed and winking eyes half open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mien.faces.builtin.region import Region, crop, place
from mien.faces.canonical import EYE_CORNERS, IRIS_POINTS, canonical, with_resting_eyes
from mien.types import Frame, Points

if TYPE_CHECKING:
    from mien.inference.session import Session

Side = Literal["left", "right"]

EYE_SIZE = 64
"""Side of the network's input."""
EYE_SHARE = 2.3
"""Side of the region as a share of the distance between the eye's corners."""
FAR_EYE_LOST = 48.0
"""Degrees of yaw from which the far eye is left to the mesh."""
FAR_EYE_FADE = 16.0
"""Degrees over which trust in the far eye falls from 1 to 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """One eye as the network sees it, in frame pixels."""

    lids: Points
    """71×2: the points of ``groups["eye71"]`` (for the eye on the right: of their mirror partners)."""
    iris: Points
    """5×2: centre, then four points of the rim."""


class EyeModel:
    """The eye network; no state between calls."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def refine(self, image: Frame, points: Points, yaw: float) -> Points:
        """Correct the eyes of a 468×3 mesh and add the six iris points: 474×3, frame pixels."""
        mesh = with_resting_eyes(points)
        for side in EYE_CORNERS:
            trust = far_eye_trust(side, yaw)
            if trust > 0:
                _blend(mesh, side, self.look(image, points, side), trust)
        return mesh

    def look(self, image: Frame, points: Points, side: str) -> Eye:
        """Run the network on one eye of a mesh."""
        region = eye_region(points, side)
        lids, iris = sorted(
            self.session.run([crop(image, region, EYE_SIZE)[None]]), key=lambda out: -out.size
        )
        place_back = (place(part.reshape(-1, 3)[:, :2], region, EYE_SIZE) for part in (lids, iris))
        return Eye(*place_back)


def eye_region(points: Points, side: str) -> Region:
    """The square around an eye, turned with its corners; the eye on the image's right is seen mirrored."""
    outer, inner = (points[index, :2].astype(np.float64) for index in EYE_CORNERS[side])
    left, right = (outer, inner) if side == "left" else (inner, outer)
    dx, dy = (right - left).tolist()
    x, y = ((left + right) / 2).tolist()
    return Region(
        x, y, max(EYE_SHARE * math.hypot(dx, dy), 1.0), math.atan2(dy, dx), mirrored=side == "right"
    )


def far_eye_trust(side: str, yaw: float) -> float:
    """How far the network is believed: 1 for the near eye; the far eye fades out as the head turns away."""
    far = side == ("left" if yaw > 0 else "right")
    return min(max((FAR_EYE_LOST - abs(yaw)) / FAR_EYE_FADE, 0.0), 1.0) if far else 1.0


def iris_points(mesh: Points, side: str, iris: Points) -> NDArray[np.float32]:
    """Outer rim, centre and inner rim (3×3) of an iris, held inside the eye opening of ``mesh``.

    Everything is measured along the line from the outer to the inner corner and across it.
    """
    outer, inner = (mesh[index, :2].astype(np.float64) for index in EYE_CORNERS[side])
    width = max(float(np.linalg.norm(inner - outer)), 1e-6)
    axis = (inner - outer) / width
    across = np.array([-axis[1], axis[0]])
    seen = (iris - outer) @ np.column_stack([axis, across])
    u = float(np.clip(seen[0, 0], 0.22 * width, 0.78 * width))
    radius = float(np.abs(seen[1:, 0] - seen[0, 0]).max())
    radius = min(np.clip(radius, 0.10 * width, 0.26 * width), 0.8 * u, 0.8 * (width - u))
    along = np.array([u - radius, u, u + radius])
    low, high = _opening(mesh, side, outer, np.column_stack([axis, across]), along)
    v = np.clip(seen[0, 1], low[1] + (high[1] - low[1]) / 4, high[1] - (high[1] - low[1]) / 4)
    height = np.clip(np.full(3, v), low, high)
    flat = outer + along[:, None] * axis + height[:, None] * across
    depth = mesh[canonical().groups[f"eye_{side}"], 2].mean()
    return np.column_stack([flat, np.full(3, depth)]).astype(np.float32)


def _opening(
    mesh: Points,
    side: str,
    origin: NDArray[np.float64],
    frame: NDArray[np.float64],
    along: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two lids' heights (lower value, higher value) at places along the corner line."""
    contour = (mesh[canonical().groups[f"eye_{side}"], :2] - origin) @ frame
    first, second = contour[:9], np.concatenate([contour[8:], contour[:1]])[::-1]
    heights = [np.interp(along, *_rising(chain)) for chain in (first, second)]
    return np.minimum(*heights), np.maximum(*heights)


def _rising(chain: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.maximum.accumulate(chain[:, 0]), chain[:, 1]


def _blend(mesh: Points, side: str, eye: Eye, trust: float) -> None:
    """Move the points of one eye from the mesh's opinion towards the eye network's."""
    data = canonical()
    indices = data.groups["eye71"]
    if side == "right":
        indices = data.mirror[indices]
    mesh[indices, :2] += trust * (eye.lids - mesh[indices, :2])
    extra = list(IRIS_POINTS[side])
    mesh[extra] += trust * (iris_points(mesh, side, eye.iris) - mesh[extra])
