"""The 468-point face mesh and the iris model: where to look, what they see, put back into the frame.

Regions, crops and the list of refined points follow the published model graphs (MediaPipe, face_landmark and
iris_landmark); the rules for iris points and for how far the far eye is trusted were measured on turned
heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.faces.builtin.iris import EyeModel
from mien.faces.builtin.region import Region, crop, place, region_of_points
from mien.faces.canonical import BASE_COUNT, fit_pose, with_resting_eyes
from mien.faces.views import box_of_mesh, landmarks_of_mesh, quarter_turn
from mien.types import Face, Frame, Points, Pose

if TYPE_CHECKING:
    from mien.faces.builtin.blazeface import Detection
    from mien.inference.session import Session

MESH_SIZE = 192
"""Side of the mesh network's input."""
PRESENCE = 0.5
"""Below this there is no face in the region."""
STILL_PASSES = 3
"""Looks at a still picture: one from the detection, two more from the mesh of the look before."""
REGION_SHARE = 1.5
"""Side of the region as a share of the face's longer side."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """One face as the mesh network sees it."""

    points: Points
    """474×3 frame pixels; z is scaled like x, smaller is nearer. 468–473 are iris points."""
    presence: float
    """0 to 1. Stays high on masks and drawings, so it says nothing about what covers a face."""
    pose: Pose

    def region(self) -> Region:
        """Where to look for the same face in the next frame."""
        return region_of_mesh(self.points)


class MeshModel:
    """The mesh network and, on top, the eye network; no state between calls."""

    def __init__(self, mesh: Session, iris: Session | None) -> None:
        self.session = mesh
        self.eyes = EyeModel(iris) if iris is not None else None

    def look(self, image: Frame, region: Region) -> tuple[Points, float]:
        """Run the network once on a region of a BGR frame: 468×3 points in frame pixels, and the presence."""
        picture = crop(image, region, MESH_SIZE)
        outputs = self.session.run([picture[None]])
        points, presence = sorted(outputs, key=lambda output: -output.size)
        logit = float(np.clip(presence.reshape(-1)[0], -80.0, 80.0))
        return place(points.reshape(-1, 3)[:BASE_COUNT], region, MESH_SIZE), 1.0 / (1.0 + math.exp(-logit))

    def still(self, image: Frame, detection: Detection, least: float = PRESENCE) -> Mesh | None:
        """The mesh of a detected face; None if it turns out to be no face (presence under ``least``)."""
        region = region_of_detection(detection)
        for _ in range(STILL_PASSES):
            points, presence = self.look(image, region)
            if presence < least or not _spread(points):
                return None
            region = region_of_mesh(points)
        return self.refined(image, points, presence)

    def follow(self, image: Frame, region: Region) -> Mesh | None:
        """The mesh of a face that was at ``region`` in the frame before; None if it is lost."""
        points, presence = self.look(image, region)
        if presence < PRESENCE or not _spread(points):
            return None
        return self.refined(image, points, presence)

    def refined(self, image: Frame, points: Points, presence: float) -> Mesh:
        """Let the eye network correct the eyes and add the iris points; the pose is that of the result."""
        pose = fit_pose(points).pose
        if self.eyes is None:
            return Mesh(with_resting_eyes(points), presence, pose)
        return Mesh(self.eyes.refine(image, points, pose.yaw), presence, pose)


def face_of(mesh: Mesh, score: float, track: int | None = None) -> Face:
    """The record of a face that is known by its mesh; ``score`` is the detector's."""
    return Face(
        box=box_of_mesh(mesh.points),
        score=score,
        landmarks=landmarks_of_mesh(mesh.points),
        landmark_score=mesh.presence,
        angle=quarter_turn(mesh.pose.roll),
        pose=mesh.pose,
        track=track,
    )


def region_of_detection(detection: Detection) -> Region:
    """The square to look at first: around the box, turned with the line between the eyes."""
    (x1, y1), (x2, y2) = detection.points[:2].tolist()
    x, y = detection.box.center
    side = REGION_SHARE * max(detection.box.width, detection.box.height)
    return Region(x, y, max(side, 1.0), math.atan2(y2 - y1, x2 - x1))


def region_of_mesh(points: Points) -> Region:
    """The square around a mesh, turned with the line between the outer eye corners."""
    (x1, y1), (x2, y2) = points[33, :2].tolist(), points[263, :2].tolist()
    return region_of_points(points[:BASE_COUNT, :2], math.atan2(y2 - y1, x2 - x1), REGION_SHARE)


def _spread(points: NDArray[np.float32]) -> bool:
    """False for a mesh that has collapsed or run away, whatever its presence says."""
    return bool(np.isfinite(points).all() and np.ptp(points[:, :2], axis=0).min() > 1e-3)
