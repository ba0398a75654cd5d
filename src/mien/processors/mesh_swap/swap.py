"""One face of one frame: move the shape, fetch the source's pixels, match them, and blend them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.faces.canonical import EYE_CORNERS, Floats, PoseFit, canonical, fit_pose, smoothstep, vertex_normals
from mien.processors.mesh_swap import colour, mask, sharpness, skin
from mien.processors.mesh_swap.colour import ColourMatch
from mien.processors.mesh_swap.geometry import STATS, Window, area, depth_of, rasterise, window_around
from mien.processors.mesh_swap.memory import COLOUR_EVERY, COLOUR_SHARE, SHARPNESS_EVERY, Memory
from mien.processors.mesh_swap.openings import Crops, close_eye, restore_mouth
from mien.processors.mesh_swap.ops import convert, shrink, split, stretch
from mien.processors.mesh_swap.shape import eye_opening, lid_shares, mouth_opening, transfer
from mien.processors.mesh_swap.source import SourceFace, closest
from mien.processors.mesh_swap.warp import FaceMap, face_map, fetch, sample
from mien.types import Frame, Points

SMALLEST = 24.0
"""Height of the face in pixels below which a swap would only be a blur."""

_TURNED = (62.0, 54.0)
"""Yaw in degrees at which the swap is gone, and from which it fades."""
_EYE_CLOSES = (0.3, 0.1)
"""Shares of the lids between which an eye becomes a line."""
_FARTHEST = 1e6
_OVAL_TOP, _OVAL_BOTTOM = 10, 152


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """The sliders of the swap."""

    identity: float = 0.7
    """0: the source's texture on the target's shape; 1: as much of its shape as the expression allows."""
    feather: float = 0.06
    """Width of the soft rim, share of the face's size."""
    forehead: float = 0.5
    """How far up the forehead the swap reaches; 1: to the hairline."""


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """The face to be replaced, with its new shape."""

    mesh: Floats
    fit: PoseFit
    window: Window
    placed: Floats
    """474×3, pixels of the frame."""
    mouth: float
    """Opening of the mouth."""
    lids: tuple[float, float]
    """How far the eyes are open: 0 closed, 1 open."""

    def shut(self, closed: float) -> float:
        """How shut the mouth is: 1 below an opening of ``closed``."""
        return float(smoothstep(0.14, closed, self.mouth))


def swap_face(
    image: Frame, mesh: Points, sources: Sequence[SourceFace], settings: MeshSettings, memory: Memory
) -> bool:
    """Replace one face in ``image`` (H×W×3 BGR, changed in place); tells whether anything was changed.

    ``mesh`` is 474×3 in pixels of the image. Faces under 24 px, turned by more than about 60 degrees, outside
    the picture, or with a mesh that is no face are left alone.
    """
    fit = _usable(mesh)
    window = window_around(mesh, (image.shape[1], image.shape[0])) if fit is not None else None
    if fit is None or window is None:
        return False
    source = closest(sources, fit.pose, memory.source)
    memory.use(source)
    target = _reshape(mesh, fit, window, source, memory, settings.identity)
    crop = image[window.slices].copy()
    result, alpha = _render(crop, target, source, settings, memory)
    alpha *= float(smoothstep(*_TURNED, abs(fit.pose.yaw)))
    memory.frames += 1
    image[window.slices] = cv2.blendLinear(result, crop, alpha, 1.0 - alpha)
    return True


def _usable(mesh: Points) -> PoseFit | None:
    """The pose of a mesh that can be worked on, else None."""
    if not np.isfinite(mesh).all() or np.abs(mesh).max() > _FARTHEST:
        return None
    if np.linalg.norm(mesh[_OVAL_BOTTOM, :2] - mesh[_OVAL_TOP, :2]) < SMALLEST:
        return None
    try:
        fit = fit_pose(mesh)
    except (ValueError, np.linalg.LinAlgError):
        return None
    return fit if abs(fit.pose.yaw) < _TURNED[0] else None


def _reshape(
    mesh: Points, fit: PoseFit, window: Window, source: SourceFace, memory: Memory, identity: float
) -> _Target:
    shape = fit.pose_free(mesh)
    lids = lid_shares(shape, memory.see_eyes(eye_opening(shape)))
    placed = fit.place(transfer(source.shape, shape, lids, identity))
    return _Target(np.asarray(mesh, np.float32), fit, window, placed, mouth_opening(shape), lids)


def _render(
    crop: Frame, target: _Target, source: SourceFace, settings: MeshSettings, memory: Memory
) -> tuple[Frame, Floats]:
    """The swapped crop (BGR) and its opacity, both of the crop's size."""
    window = target.window
    columns, rows = window.grid_size()
    grid_points = window.to_grid(target.placed, columns, rows)
    seen = smoothstep(0.0, 0.22, vertex_normals(target.placed)[:, 2]) * _forehead(settings.forehead)
    mapping = face_map(source, grid_points, target.placed, seen, target.shut(0.05), (columns, rows))
    oval = area(target.placed, canonical().groups["oval"])
    pixels, ratio = fetch(source, mapping, oval, (window.width, window.height))
    match, hair = _measured(crop, pixels, target, source, mapping, memory)
    pixels = colour.apply(match, pixels)
    if memory.sharpening is None or memory.frames % SHARPNESS_EVERY == 0:
        luma = convert(crop, cv2.COLOR_BGR2GRAY)
        memory.sharpening = sharpness.decide(np.ascontiguousarray(pixels[..., 0]), luma, ratio)
    sharpness.apply(pixels, memory.sharpening)
    result = convert(pixels, cv2.COLOR_YCrCb2BGR)
    _restore_openings(result, crop, target)
    clear = _clear(crop, hair, mapping)
    alpha = mask.alpha(mapping, window, settings.feather, sample(source.alpha, mapping), clear)
    return result, stretch(alpha, (window.width, window.height))


def _restore_openings(result: Frame, crop: Frame, target: _Target) -> None:
    origin = np.array([target.window.x, target.window.y, 0], np.float32)
    crops = Crops(result, crop, target.placed - origin, target.mesh - origin, target.window.full)
    restore_mouth(crops, target.shut(0.04))
    for side, share in zip(EYE_CORNERS, target.lids, strict=True):
        close_eye(crops, side, float(smoothstep(*_EYE_CLOSES, share)))


def _forehead(reach: float) -> Floats:
    """Opacity of each vertex up the forehead."""
    lower = (0.5 - reach) * 500.0
    return smoothstep(-745.0 + lower, -505.0 + lower, canonical().points_full[:, 1])


def _measured(
    crop: Frame, pixels: Frame, target: _Target, source: SourceFace, mapping: FaceMap, memory: Memory
) -> tuple[ColourMatch, Floats]:
    """Colour match and occlusion map (64×64) from ``memory``, measured anew when that is due."""
    if memory.colour is not None and memory.skin is not None and memory.frames % COLOUR_EVERY:
        return memory.colour, memory.skin
    data = canonical()
    weights = np.stack([data.skin, data.central, data.occ], axis=1)
    points = target.window.to_grid(target.placed, STATS, STATS)
    cells, _ = rasterise(points, depth_of(target.placed), data.surface_triangles, weights, (STATS, STATS))
    plain, central, hair = split(np.maximum(cells, 0.0))
    size = (STATS, STATS)
    small = shrink(crop, size)
    visible = stretch(mapping.seen, size)
    target_skin = skin.skin_map(small, central, visible)
    source_skin = stretch(sample(source.skin, mapping), size)
    eroded = np.asarray(cv2.erode(plain, np.ones((3, 3), np.uint8)), np.float32)
    weight = eroded * visible * source_skin * target_skin
    mapped = shrink(pixels, size)
    match = colour.measure(mapped, convert(small, cv2.COLOR_BGR2YCrCb), weight)
    memory.colour = match if memory.colour is None else memory.colour.blended(match, COLOUR_SHARE)
    memory.skin = hair * (1.0 - target_skin)
    return memory.colour, memory.skin


def _clear(crop: Frame, hidden: Floats, mapping: FaceMap) -> Floats:
    """1 - occlusion of the target on the grid, along the edges of the picture."""
    rows, columns = mapping.x.shape
    clear = 1.0 - stretch(hidden, (columns, rows))
    guide = shrink(convert(crop, cv2.COLOR_BGR2GRAY), (columns, rows)) * np.float32(1 / 255)
    return np.clip(skin.guided_filter(guide, clear, 3, 5e-4), 0.0, 1.0)
