"""Drawing faces: FaceFusion's items in its colours and order, and those that the mesh adds.

Colours are BGR. Strokes grow with the frame, so that the drawing reads the same at any size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.faces.align import align_matrix, invert, transform, warp
from mien.faces.canonical import IRIS_POINTS, MESH_COUNT, canonical, fit_pose
from mien.faces.masks import Masker, combine
from mien.faces.options import MaskOptions, four_sides
from mien.types import Box, Face, Frame, Pose

RED, GREEN, CYAN, ORANGE = (0, 0, 255), (0, 255, 0), (255, 255, 0), (0, 165, 255)
LIGHT_RED, WHITE, BLUE, GREY = (100, 100, 255), (255, 255, 255), (255, 96, 0), (200, 200, 200)
PANEL = (24, 24, 24)

CROP = (512, 512)
"""Size of the crop whose mask is drawn."""
FARTHEST = 1e5
"""Coordinates beyond it come from a broken measurement and are not drawn."""
DENSE_FROM = 160
"""Faces less high than this many pixels get the outlines of the mesh only."""

CONTOURS = ("oval", "lips_outer", "lips_inner", "eye_left", "eye_right")

Color = tuple[int, int, int]


def stroke(frame: Frame) -> int:
    """Width of lines: 1 for small frames, 4 for 1080p, 10 at most."""
    return min(10, max(1, round(int(frame.shape[0]) / 270)))


def _fine(frame: Frame) -> int:
    return max(1, stroke(frame) // 2)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What to draw."""

    items: Sequence[str]
    masker: Masker

    def draw(self, image: Frame, face: Face) -> None:
        """Draw one face into the image itself; what is not known of it, or is not finite, is left out."""
        for item, paint in PAINTERS.items():
            if item in self.items:
                paint(image, face, self)
        lines = [line for item, write in WRITERS.items() if item in self.items for line in write(face)]
        if lines:
            _label(image, face.box, lines)


def _bounding_box(image: Frame, face: Face, drawing: Drawing) -> None:
    corners = _pixels([face.box.as_tuple()[:2], face.box.as_tuple()[2:]])
    if len(corners) < 2:
        return
    (x1, y1), (x2, y2) = corners.tolist()
    cv2.rectangle(image, (x1, y1), (x2, y2), RED, stroke(image))
    top_left, top_right, bottom_left, bottom_right = (x1, y1), (x2, y1), (x1, y2), (x2, y2)
    crowns = {
        0: (top_left, top_right),
        90: (top_right, bottom_right),
        180: (bottom_left, bottom_right),
        270: (top_left, bottom_left),
    }
    cv2.line(image, *crowns[face.angle % 360], LIGHT_RED, stroke(image) + 1)


def outline_masker(options: MaskOptions) -> Masker:
    """The masks of a step as far as they need no network, without a soft edge: their contour is what is drawn."""
    return Masker(
        types=tuple(kind for kind in options.types if kind in ("box", "area")),
        blur=0.0,
        padding=four_sides(options.padding),
        areas=options.areas,
    )


def _mask(image: Frame, face: Face, drawing: Drawing) -> None:
    """The contour of the mask that the swappers of FaceFusion's models use."""
    if len(_pixels(face.landmarks.five_of_68)) < 5:
        return
    masker = drawing.masker
    try:
        matrix = align_matrix(face.landmarks.five_of_68, "arcface_128", CROP, compat=masker.compat)
    except (ValueError, np.linalg.LinAlgError):
        return
    crop = warp(image, matrix, CROP, compat=masker.compat)
    parts = masker.before(crop, lambda: transform(face.landmarks.sixty_eight[:, :2], matrix))
    parts += masker.after(crop)
    if not parts:
        return
    mask = (combine(parts) * 255).astype(np.uint8)
    size = (image.shape[1], image.shape[0])
    on_frame = cv2.threshold(cv2.warpAffine(mask, invert(matrix), size), 100, 255, cv2.THRESH_BINARY)[1]
    contours, _ = cv2.findContours(on_frame, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    color = _color(face, face.landmarks.five, face.landmarks.five_of_68)
    cv2.drawContours(image, contours, -1, color, stroke(image))


def _five(image: Frame, face: Face, drawing: Drawing) -> None:
    _dots(image, face.landmarks.five, RED if face.observed else ORANGE)


def _five_of_68(image: Frame, face: Face, drawing: Drawing) -> None:
    _dots(image, face.landmarks.five_of_68, _color(face, face.landmarks.five, face.landmarks.five_of_68))


def _sixty_eight(image: Frame, face: Face, drawing: Drawing) -> None:
    color = _color(face, face.landmarks.sixty_eight, face.landmarks.sixty_eight_of_five)
    _dots(image, face.landmarks.sixty_eight, color)


def _sixty_eight_of_five(image: Frame, face: Face, drawing: Drawing) -> None:
    _dots(image, face.landmarks.sixty_eight_of_five, CYAN if face.observed else ORANGE)


def _mesh(image: Frame, face: Face, drawing: Drawing) -> None:
    """Edges of all triangles, and eyes, brows, lips and the oval over them."""
    mesh = _whole_mesh(face)
    if mesh is None:
        return
    points = np.round(mesh[:, :2] * 16).astype(np.int32)
    data = canonical()
    if np.ptp(mesh[:, 1]) >= DENSE_FROM:
        thin = image.copy()
        cv2.polylines(thin, list(points[data.edges]), False, GREY, 1, cv2.LINE_AA, 4)
        cv2.addWeighted(thin, 0.45, image, 0.55, 0, dst=image)
    color = GREEN if face.observed else ORANGE
    shapes = [points[data.groups[name]] for name in CONTOURS]
    brows = [cv2.convexHull(points[data.groups[name]]) for name in ("brow_left", "brow_right")]
    cv2.polylines(image, [*shapes, *brows], True, color, _fine(image), cv2.LINE_AA, 4)


def _iris(image: Frame, face: Face, drawing: Drawing) -> None:
    mesh = _whole_mesh(face)
    if mesh is None:
        return
    for rim, centre, other in IRIS_POINTS.values():
        x, y = np.round(mesh[centre, :2] * 16).astype(int).tolist()
        radius = float(np.hypot(*(mesh[rim, :2] - mesh[other, :2]))) / 2
        cv2.circle(image, (x, y), max(round(radius * 16), 16), CYAN, _fine(image), cv2.LINE_AA, 4)
        cv2.circle(image, (x, y), 16 * _fine(image), CYAN, -1, cv2.LINE_AA, 4)


def _pose(image: Frame, face: Face, drawing: Drawing) -> None:
    """Three axes from the tip of the nose: red to the right, green down, blue where the nose points."""
    pose, nose = _pose_of(face), _pixels(face.landmarks.five_of_68[2:3])
    if pose is None or not len(nose):
        return
    length = max(0.5 * face.box.height, 8.0)
    for column, color in zip(_axes(pose), (RED, GREEN, BLUE), strict=True):
        end = _pixels([nose[0] + length * column])
        if len(end):
            cv2.arrowedLine(image, tuple(nose[0]), tuple(end[0]), color, stroke(image), cv2.LINE_AA, 0, 0.15)


PAINTERS: Mapping[str, Callable[[Frame, Face, Drawing], None]] = {
    "face-mesh": _mesh,
    "bounding-box": _bounding_box,
    "face-mask": _mask,
    "face-landmark-5": _five,
    "face-landmark-5/68": _five_of_68,
    "face-landmark-68": _sixty_eight,
    "face-landmark-68/5": _sixty_eight_of_five,
    "iris": _iris,
    "head-pose": _pose,
}
"""In the order of drawing."""


def _track_text(face: Face) -> list[str]:
    return [] if face.track is None else [f"#{face.track}" + ("" if face.observed else " (filled in)")]


def _presence_text(face: Face) -> list[str]:
    return [f"found {face.score:.2f}  landmarks {face.landmark_score:.2f}"]


def _pose_text(face: Face) -> list[str]:
    pose = _pose_of(face)
    return [] if pose is None else [f"yaw {pose.yaw:+.0f}  pitch {pose.pitch:+.0f}  roll {pose.roll:+.0f}"]


WRITERS: Mapping[str, Callable[[Face], list[str]]] = {
    "track-id": _track_text,
    "presence": _presence_text,
    "head-pose": _pose_text,
}


def _label(image: Frame, box: Box, lines: Sequence[str]) -> None:
    """Write lines on a dark panel above the box, or wherever next to it there is room inside the frame."""
    corner = _pixels([(box.x1, box.y1), (box.x2, box.y2)])
    if len(corner) < 2:
        return
    scale = min(max(image.shape[0] / 1000, 0.35), 2.0)
    weight, gap = max(1, round(scale * 1.3)), round(8 * scale)
    sizes = [cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)[0] for line in lines]
    step = max(size[1] for size in sizes) + gap
    width, height = max(size[0] for size in sizes) + 2 * gap, len(lines) * step + gap
    x = int(np.clip(corner[0, 0], 0, max(image.shape[1] - width, 0)))
    y = corner[0, 1] - height - stroke(image)
    y = int(np.clip(y if y >= 0 else corner[1, 1] + stroke(image), 0, max(image.shape[0] - height, 0)))
    under = image[y : y + height, x : x + width]
    under[:] = (under * 0.25 + np.array(PANEL) * 0.75).astype(np.uint8)
    for row, line in enumerate(lines, 1):
        place = (x + gap, y + row * step)
        cv2.putText(image, line, place, cv2.FONT_HERSHEY_SIMPLEX, scale, WHITE, weight, cv2.LINE_AA)


def _dots(image: Frame, points: NDArray[np.float32], color: Color) -> None:
    if not np.any(points):
        return
    for x, y in _pixels(points).tolist():
        cv2.circle(image, (x, y), stroke(image), color, -1)


def _color(face: Face, one: NDArray[np.float32], other: NDArray[np.float32]) -> Color:
    """Green; cyan where one set of points is the other; orange where the face was filled in."""
    if not face.observed:
        return ORANGE
    return CYAN if np.array_equal(one, other) else GREEN


def _pixels(points: ArrayLike) -> NDArray[np.int32]:
    """The drawable ones of some points (N×2), truncated to whole pixels."""
    values = np.asarray(points, np.float64)[:, :2]
    with np.errstate(invalid="ignore"):
        usable = (np.abs(values) < FARTHEST).all(axis=1)
    return values[usable].astype(np.int32)


def _whole_mesh(face: Face) -> NDArray[np.float32] | None:
    mesh = face.landmarks.mesh
    if mesh is None or len(mesh) < MESH_COUNT or len(_pixels(mesh)) < len(mesh):
        return None
    return mesh


def _pose_of(face: Face) -> Pose | None:
    mesh = _whole_mesh(face)
    if face.pose is not None or mesh is None:
        return face.pose
    try:
        return fit_pose(mesh).pose
    except (ValueError, np.linalg.LinAlgError):
        return None


def _axes(pose: Pose) -> NDArray[np.float64]:
    """Unit axes of the head in the picture, 3×2: to the right, down, out of the nose."""
    yaw, pitch, roll = np.radians((pose.yaw, pose.pitch, pose.roll))
    z = np.array([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    # The x axis leans by the roll and is square to z, which fixes its depth.
    flat = np.array([np.cos(roll), np.sin(roll)])
    x = np.append(flat, -(flat @ z[:2]) / (z[2] if abs(z[2]) > 1e-3 else 1e-3))
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    return np.stack([x[:2], y[:2], -z[:2]])
