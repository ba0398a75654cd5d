"""The source face, made ready once: shape, smaller versions, what of it is seen, and where it is skin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.faces.canonical import Floats, canonical, fit_pose, smoothstep, vertex_normals, with_lip_copies
from mien.processors.mesh_swap import skin
from mien.processors.mesh_swap.geometry import Window, area, depth_of, rasterise, window_around
from mien.processors.mesh_swap.ops import Size, convert, gaussian, grey, shrink, split
from mien.types import Frame, Points, Pose

CELLS = 96
"""Grid of the source's skin map and opacity."""

_SMALLEST_MIP = 64
_LARGEST = 2048
"""Longer side of a source's crop; more would cost memory that no target of a usual size can show."""
_LARGEST_ENLARGED = 1400
"""Longer side up to which doublings are kept: made once, they are cheaper than smooth reading in every frame."""
_MIRROR_PENALTY = 6.0
_HYSTERESIS = 8.0
"""Degrees by which another source must be nearer before it takes over in a video (chosen, not measured)."""


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """The source's crop at one size: a pixel at x of the crop lies at ``(x + .5) * scale - edge`` here."""

    pixels: Frame
    """YCrCb."""
    scale: float
    edge: float


@dataclass(frozen=True, slots=True, eq=False)
class SourceFace:
    """One source face, cropped; ``points`` (494×3, lip copies included) are pixels of its crop."""

    size: Size
    """(width, height) of the crop."""
    versions: Mapping[int, Version]
    """The crop (0), its halvings (1, 2, …), and, as far as they stay small, its doublings (-1, -2)."""
    points: Floats
    shape: Floats
    """474×3, pose-free."""
    pose: Pose
    seen: Floats
    """494: how well each point faces the camera, 0…1."""
    area: float
    """Square pixels inside the oval."""
    alpha: Floats
    """96×96 over the crop: 0 where hair or glasses over the rim must not be carried over."""
    skin: Floats
    """96×96 over the crop."""
    mirrored: bool = False


def prepare_source(image: Frame, mesh: Points) -> tuple[SourceFace, SourceFace] | None:
    """Make a source ready, as it is and mirrored; None when its mesh is no face or lies outside the picture.

    ``image`` H×W×3 BGR, ``mesh`` 474×3 in its pixels.
    """
    mirrored = mesh[canonical().mirror].copy()
    mirrored[:, 0] = image.shape[1] - 1 - mirrored[:, 0]
    straight = _prepare(image, mesh, mirrored=False)
    flipped = _prepare(np.ascontiguousarray(image[:, ::-1]), mirrored, mirrored=True)
    return None if straight is None or flipped is None else (straight, flipped)


def closest(sources: Sequence[SourceFace], pose: Pose, current: SourceFace | None = None) -> SourceFace:
    """The source whose head is turned most like ``pose``; ``current`` stays while it is nearly as good."""
    best = min(sources, key=lambda source: _turn(source, pose))
    if current is not None and _turn(current, pose) <= _turn(best, pose) + _HYSTERESIS:
        return current
    return best


def _turn(source: SourceFace, pose: Pose) -> float:
    turn = abs(source.pose.yaw - pose.yaw) + 0.6 * abs(source.pose.pitch - pose.pitch)
    return turn + _MIRROR_PENALTY * source.mirrored


def _prepare(image: Frame, mesh: Points, *, mirrored: bool) -> SourceFace | None:
    height, width = image.shape[:2]
    if not np.isfinite(mesh).all():
        return None
    window = window_around(mesh, (width, height))
    if window is None:
        return None
    try:
        fit = fit_pose(mesh)
    except (ValueError, np.linalg.LinAlgError):
        return None
    crop, points = _cropped(image, mesh, window)
    seen = smoothstep(0.18, 0.50, vertex_normals(mesh)[:, 2]) * _inside(points, crop.shape)
    alpha, skin_map = _opacity(crop, points, seen)
    return SourceFace(
        size=(crop.shape[1], crop.shape[0]),
        versions=_versions(convert(crop, cv2.COLOR_BGR2YCrCb)),
        points=with_lip_copies(points),
        shape=fit.pose_free(mesh),
        pose=fit.pose,
        seen=np.append(seen, seen[canonical().lip_copies]).astype(np.float32),
        area=max(area(points, canonical().groups["oval"]), 1.0),
        alpha=alpha,
        skin=skin_map,
        mirrored=mirrored,
    )


def _cropped(image: Frame, mesh: Points, window: Window) -> tuple[Frame, Floats]:
    """The window of a picture, at most ``_LARGEST`` long, and the mesh in its pixels."""
    crop = np.ascontiguousarray(image[window.slices])
    points = mesh - np.array([window.x, window.y, 0], np.float32)
    if max(crop.shape) > _LARGEST:
        share = _LARGEST / max(crop.shape)
        crop = shrink(crop, (max(8, round(window.width * share)), max(8, round(window.height * share))))
        scale = np.array([crop.shape[1] / window.width, crop.shape[0] / window.height, share], np.float32)
        centre = np.array([0.5, 0.5, 0.0], np.float32)
        points = (points + centre) * scale - centre
    return crop, np.asarray(points, np.float32)


def _inside(points: Floats, shape: tuple[int, ...]) -> Floats:
    """1 for points inside the crop, 0 for those that the picture's edge cuts off."""
    x, y = points[:, 0], points[:, 1]
    return ((x >= 0) & (y >= 0) & (x <= shape[1] - 1) & (y <= shape[0] - 1)).astype(np.float32)


def _versions(crop: Frame) -> dict[int, Version]:
    versions = {0: Version(crop, 1.0, 0.5)}
    level, pixels = 0, crop
    while min(pixels.shape[:2]) > _SMALLEST_MIP:
        level, pixels = level + 1, np.asarray(cv2.pyrDown(pixels), np.uint8)
        # pyrDown centres its pixel i on pixel 2i of the larger picture; resize, below, keeps the edges in place.
        versions[level] = Version(pixels, 0.5**level, 0.5 * 0.5**level)
    height, width = crop.shape[:2]
    for level, factor in ((-1, 2), (-2, 4)):
        if factor * max(height, width) <= _LARGEST_ENLARGED:
            larger = cv2.resize(crop, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC)
            versions[level] = Version(np.asarray(larger, np.uint8), float(factor), 0.5)
    return versions


def _opacity(crop: Frame, points: Floats, seen: Floats) -> tuple[Floats, Floats]:
    """Opacity and skin map of the source, both 96×96 over its crop."""
    data = canonical()
    scale = np.array([CELLS / crop.shape[1], CELLS / crop.shape[0]], np.float32)
    grid_points = (points[:, :2] + 0.5) * scale - 0.5
    weights = np.stack([seen, data.central, data.occ], axis=1)
    cells, _ = rasterise(grid_points, depth_of(points), data.surface_triangles, weights, (CELLS, CELLS))
    visible, central, hair = split(np.maximum(cells, 0.0))
    small = shrink(crop, (CELLS, CELLS))
    skin_map = skin.skin_map(small, central, visible)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    alpha = np.asarray(cv2.erode(1.0 - hair * (1.0 - skin_map), disc), np.float32)
    alpha = gaussian(skin.guided_filter(grey(small), alpha, 4, 1e-3), 1.5)
    return np.clip(alpha, 0.0, 1.0), skin_map
