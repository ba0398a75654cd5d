"""The mean face: 468 points measured over several portraits, its triangles, groups, weights and pose fit.

Coordinates of the mean face: x right, y down, z away from the camera; the origin lies between the eyes and
the eye centres are 1000 apart. A mesh of a face in a picture has the same points in pixels, and six more:
468–470 are outer rim, centre and inner rim of the iris on the image's left, 471–473 those on the right. A
renderer that needs its own copies of the inner lip (to colour the mouth opening apart from the lips) finds
them at 474–493. Left and right are always those of the image.

The data never changes while a program runs, so it is read once and every array is read-only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Points, Pose

Floats: TypeAlias = NDArray[np.float32]
Indices: TypeAlias = NDArray[np.int32]

BASE_COUNT = 468
MESH_COUNT = 474
"""Mesh points with the three iris points of each eye."""
RENDER_COUNT = 494
"""MESH_COUNT and the copies of the 20 inner-lip points."""

NORMAL_ROUNDS = 4
"""How often vertex normals are averaged over their neighbours."""

EYE_CORNERS = {"left": (33, 133), "right": (263, 362)}
"""Outer and inner corner of the eye on the image's left and right."""
IRIS_POINTS = {"left": (468, 469, 470), "right": (471, 472, 473)}
"""Outer rim, centre and inner rim."""


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """The mean face and everything that follows from it; all arrays are read-only."""

    points: Floats
    """468×3, mean face."""
    points_full: Floats
    """474×3, with iris points that look straight ahead."""
    mirror: Indices
    """474: index of each point's partner on the other side; its own index on the midline."""
    skin_triangles: Indices
    """852×3: the face without eyes and mouth opening; a positive cross product faces the camera."""
    eye_triangles: Indices
    """40×3: both eyes, lids to iris points."""
    surface_triangles: Indices
    """892×3: skin, then eyes."""
    mouth_triangles: Indices
    """18×3: the strip over the mouth opening, on the mesh's own inner-lip points."""
    mouth_triangles_copied: Indices
    """The same strip on the copies 474–493."""
    lip_copies: Indices
    """20: the mesh point of which 474 + k is a copy (order of ``groups["lips_inner"]``)."""
    lip_rows: tuple[Indices, Indices, Indices]
    """Four rows each, from the inner to the outer lip: upper lip 4×9, lower lip 4×9, corners 4×2."""
    groups: Mapping[str, Indices]
    """oval, lips_outer, lips_inner, eye_left, eye_right, brow_left, brow_right (left and right as seen in the
    image; closed polygons in order), nose, rigid, eye71, skin_zero, central_skin."""
    skin: Floats
    """474: 1 on plain skin; 0 at and around eyes, brows, lips and nostrils."""
    central: Floats
    """474: 1 where skin is sure in every face, else 0."""
    dist: Floats
    """474: distance inside the oval of the mean face, in eye distances (1000 units); 0 for iris points."""
    occ: Floats
    """474: how likely hair covers the point: forehead, temples, rims of the cheeks."""
    fore: Floats
    """474: fades from 1 to 0 up the forehead towards the hairline."""
    edges: Indices
    """E×2: edges of skin and eye triangles, lower index first."""
    normals: Floats
    """474×892: sums face normals at each vertex, then smooths over neighbours (``vertex_normals``)."""


@dataclass(frozen=True, slots=True, eq=False)
class PoseFit:
    """The similarity that puts the mean face onto a mesh: scale * mean @ rotation.T + translation."""

    scale: float
    rotation: NDArray[np.float64]
    """3×3."""
    translation: NDArray[np.float64]
    """3."""
    pose: Pose

    def pose_free(self, points: Points) -> Floats:
        """Take the pose out of N×3 picture points: the shape in units of the mean face, from the front."""
        return (((points - self.translation) @ self.rotation) / self.scale).astype(np.float32)

    def place(self, shape: Points) -> Floats:
        """Put N×3 points of the mean face's frame back into the picture."""
        return (self.scale * (shape @ self.rotation.T) + self.translation).astype(np.float32)


@cache
def canonical() -> Canonical:
    """Return the mean face, read on first use."""
    raw = json.loads(files("mien.faces").joinpath("data/mesh.json").read_text())
    points = np.asarray(raw["canonical"], np.float32)
    groups = _groups(raw["groups"])
    skin_triangles = np.asarray(raw["triangles_skin"], np.int32)
    mouth = np.asarray(raw["triangles_mouth"], np.int32)
    mirror = np.asarray([*raw["mirror"], *_IRIS_MIRROR], np.int32)
    eyes = _eye_triangles(mirror)
    surface = np.concatenate([skin_triangles, eyes])
    edges = _edges(surface)
    dist = _distance_inside(points, groups["oval"])
    fields: dict[str, Any] = {
        "points": points,
        "points_full": with_resting_eyes(points),
        "mirror": mirror,
        "skin_triangles": skin_triangles,
        "eye_triangles": eyes,
        "surface_triangles": surface,
        "mouth_triangles": mouth,
        "mouth_triangles_copied": _copied(mouth, groups["lips_inner"]),
        "lip_copies": groups["lips_inner"].copy(),
        "lip_rows": tuple(np.asarray(rows, np.int32) for rows in raw["groups"]["lip_rows"]),
        "groups": groups,
        "edges": edges,
        "normals": _normal_matrix(surface, edges),
        **_weights(points, groups, dist),
    }
    return Canonical(**{name: _frozen(value) for name, value in fields.items()})


def smoothstep(start: float, end: float, x: Any) -> NDArray[np.float32]:
    """Rise smoothly from 0 at ``start`` to 1 at ``end``; falls where ``start`` is the larger one."""
    t = np.clip((np.asarray(x, np.float32) - start) / (end - start), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def fit_pose(points: Points) -> PoseFit:
    """Fit the mean face to a mesh (at least 468×3, pixels) by its rigid points, all with equal weight.

    Umeyama's least-squares similarity. The points must not all coincide (ValueError).
    """
    data = canonical()
    rigid = data.groups["rigid"]
    return similarity(data.points[rigid].astype(np.float64), points[rigid, :3].astype(np.float64))


def similarity(model: NDArray[np.float64], measured: NDArray[np.float64]) -> PoseFit:
    """Find the similarity from N×3 model to N×3 measured points by least squares (Umeyama 1991)."""
    model_mean, measured_mean = model.mean(0), measured.mean(0)
    a, b = model - model_mean, measured - measured_mean
    u, d, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = (u * sign) @ vt
    scale = float((d * sign).sum() / (a * a).sum())
    if not np.isfinite(scale) or scale <= 0:
        raise ValueError("a pose cannot be fitted to points that coincide")
    return PoseFit(scale, rotation, measured_mean - scale * (rotation @ model_mean), _pose(rotation))


def vertex_normals(points: Points) -> Floats:
    """Unit normals (474×3) of a mesh of at least 474 points, smoothed; positive z faces the camera."""
    data = canonical()
    a, b, c = (points[data.surface_triangles[:, k], :3].T for k in range(3))
    (ux, uy, uz), (vx, vy, vz) = b - a, c - a
    faces = np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], axis=1)
    normals = data.normals @ faces.astype(np.float32)
    length = np.sqrt((normals * normals).sum(1, keepdims=True))
    return np.asarray(normals / np.maximum(length, 1e-6), np.float32)


def with_resting_eyes(points: Points) -> Floats:
    """Add six iris points to 468×3 points, looking ahead: .32, .5, .68 of the way between the corners."""
    extra = []
    for outer, inner in EYE_CORNERS.values():
        contour = _EYE_CONTOURS[outer]
        for share in (0.32, 0.5, 0.68):
            point = points[outer] * (1 - share) + points[inner] * share
            extra.append([point[0], point[1], points[contour, 2].mean()])
    return np.concatenate([points[:BASE_COUNT], np.asarray(extra, np.float32)]).astype(np.float32)


def with_lip_copies(points: Points) -> Floats:
    """Append the 20 copies of the inner lip to 474 points (or 474 rows of any values): 494 rows."""
    return np.concatenate([points[:MESH_COUNT], points[canonical().lip_copies]]).astype(np.float32)


_IRIS_MIRROR = (471, 472, 473, 468, 469, 470)
_UPPER_CHAIN = (33, 246, 161, 160, 159, 158, 157, 173, 133)
_LOWER_CHAIN = (33, 7, 163, 144, 145, 153, 154, 155, 133)
_EYE_CONTOURS = {
    33: [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
    263: [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
}


def _groups(raw: Mapping[str, Any]) -> dict[str, Indices]:
    """Index groups under names as seen in the image; the file names sides as the person has them."""
    sides = {"eye_left": "eye_right", "brow_left": "brow_right"}
    sides |= {right: left for left, right in sides.items()}
    return {
        sides.get(name, name): _frozen(np.asarray(indices, np.int32))
        for name, indices in raw.items()
        if name != "lip_rows"
    }


def _eye_triangles(mirror: Indices) -> Indices:
    """Connect the lids with the iris points: ten triangles for each half of each eye."""
    rim_outer, centre, rim_inner = IRIS_POINTS["left"]
    upper, lower = (_eye_half(chain, rim_outer, centre, rim_inner) for chain in (_UPPER_CHAIN, _LOWER_CHAIN))
    left = np.concatenate([upper, lower[:, ::-1]])
    return np.concatenate([left, mirror[left][:, ::-1]]).astype(np.int32)


def _eye_half(c: tuple[int, ...], ro: int, m: int, ri: int) -> NDArray[np.int64]:
    rows = [(c[0], c[1], ro), (c[1], c[2], ro), (c[2], c[3], ro), (c[3], m, ro), (c[3], c[4], m)]
    rows += [(c[4], c[5], m), (c[5], ri, m), (c[5], c[6], ri), (c[6], c[7], ri), (c[7], c[8], ri)]
    return np.asarray(rows)


def _copied(triangles: Indices, inner_lip: Indices) -> Indices:
    renamed = np.arange(RENDER_COUNT, dtype=np.int32)
    renamed[inner_lip] = np.arange(MESH_COUNT, RENDER_COUNT)
    return renamed[triangles]


def _edges(triangles: Indices) -> Indices:
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int32)


def _distance_inside(points: Floats, oval: Indices) -> Floats:
    contour = np.ascontiguousarray(points[oval, :2])
    return np.asarray(
        [cv2.pointPolygonTest(contour, (float(x), float(y)), True) for x, y in points[:, :2]], np.float32
    )


def _weights(points: Floats, groups: Mapping[str, Indices], dist: Floats) -> dict[str, Floats]:
    """Weights of each vertex on the mean face; the iris points, which no skin touches, get 0."""
    skin = np.ones(BASE_COUNT, np.float32)
    skin[groups["skin_zero"]] = 0.0
    central = np.zeros(BASE_COUNT, np.float32)
    central[groups["central_skin"]] = 1.0
    inside = np.maximum(dist, 0.0) / 1000.0
    across, down = np.abs(points[:, 0]), points[:, 1]
    rim = smoothstep(0.16, 0.03, inside) * smoothstep(1500, 1200, down)
    occ = np.maximum(smoothstep(-335, -485, down), np.clip(smoothstep(780, 960, across) + rim, 0.0, 1.0))
    fore = smoothstep(-745, -505, down)
    named = {"skin": skin, "central": central, "dist": inside, "occ": occ, "fore": fore}
    return {name: np.append(values, np.zeros(6)).astype(np.float32) for name, values in named.items()}


def _normal_matrix(triangles: Indices, edges: Indices) -> Floats:
    """Area-weighted sum of face normals, then rounds of averaging over a point and its neighbours."""
    sums = np.zeros((MESH_COUNT, len(triangles)))
    for corner in range(3):
        sums[triangles[:, corner], np.arange(len(triangles))] = 1.0
    near = np.eye(MESH_COUNT)
    near[edges[:, 0], edges[:, 1]] = near[edges[:, 1], edges[:, 0]] = 1.0
    near /= near.sum(1, keepdims=True)
    return (np.linalg.matrix_power(near, NORMAL_ROUNDS) @ sums).astype(np.float32)


def _pose(rotation: NDArray[np.float64]) -> Pose:
    """Angles of ``Rz(roll) Ry(yaw) Rx(pitch)``: yaw and pitch are those of the head without its roll."""
    roll = np.arctan2(rotation[1, 0], rotation[0, 0])
    c, s = np.cos(roll), np.sin(roll)
    upright = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ rotation
    yaw = np.arctan2(upright[0, 2], upright[2, 2])
    pitch = np.arcsin(np.clip(-upright[1, 2], -1.0, 1.0))
    return Pose(*(float(np.degrees(angle)) for angle in (yaw, pitch, roll)))


def _frozen(value: Any) -> Any:
    """Make arrays, alone or in a tuple, read-only."""
    for array in value if isinstance(value, tuple) else (value,):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return value
