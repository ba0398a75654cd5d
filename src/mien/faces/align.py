"""Alignment: five landmarks to a model's crop, the warps into it, and the way back into the frame.

A matrix is 2×3 float64 and maps frame coordinates to crop coordinates: ``crop = A · (x, y, 1)``. Integer
coordinates are pixel centres, as everywhere in OpenCV. ``compat=True`` repeats FaceFusion 3.8.1's
arithmetic, where mien's own differs: RANSAC instead of least squares, plain bilinear shrinking, quarter
turns that lose a line of pixels, blending that truncates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.faces.neural.pending import PendingFace, PendingLandmarks
from mien.types import Box, Face, Frame, Mask, Points

Matrix: TypeAlias = NDArray[np.float64]
"""2×3 affine matrix, frame to crop."""

Template: TypeAlias = Literal[
    "arcface_112_v1",
    "arcface_112_v2",
    "arcface_128",
    "dfl_whole_face",
    "ffhq_512",
    "mtcnn_512",
    "styleganex_384",
]


def _template(*numbers: float) -> NDArray[np.float64]:
    points = np.array(numbers, np.float64).reshape(5, 2)
    points.setflags(write=False)
    return points


# Five points (left eye, right eye, nose, left and right mouth corner) in the unit square, as FaceFusion
# 3.8.1 has them; the arcface ones go back to InsightFace, ffhq_512 to FFHQ, dfl_whole_face to DeepFaceLab.
TEMPLATES: Mapping[str, NDArray[np.float64]] = MappingProxyType(
    {
        "arcface_112_v1": _template(
            0.35473214, 0.45658929, 0.64526786, 0.45658929, 0.50000000, 0.61154464,
            0.37913393, 0.77687500, 0.62086607, 0.77687500,
        ),
        "arcface_112_v2": _template(
            0.34191607, 0.46157411, 0.65653393, 0.45983393, 0.50022500, 0.64050536,
            0.37097589, 0.82469196, 0.63151696, 0.82325089,
        ),
        "arcface_128": _template(
            0.36167656, 0.40387734, 0.63696719, 0.40235469, 0.50019687, 0.56044219,
            0.38710391, 0.72160547, 0.61507734, 0.72034453,
        ),
        "dfl_whole_face": _template(
            0.35342266, 0.39285716, 0.62797622, 0.39285716, 0.48660713, 0.54017860,
            0.38839287, 0.68750011, 0.59821427, 0.68750011,
        ),
        "ffhq_512": _template(
            0.37691676, 0.46864664, 0.62285697, 0.46912813, 0.50123859, 0.61331904,
            0.39308822, 0.72541100, 0.61150205, 0.72490465,
        ),
        "mtcnn_512": _template(
            0.36562865, 0.46733799, 0.63305391, 0.46585885, 0.50019127, 0.61942959,
            0.39032951, 0.77598822, 0.61178945, 0.77476328,
        ),
        "styleganex_384": _template(
            0.42353745, 0.52289879, 0.57725008, 0.52319972, 0.50123859, 0.61331904,
            0.43364461, 0.68337652, 0.57015325, 0.68306005,
        ),
    }
)  # fmt: skip

RANSAC_THRESHOLD = 100.0
"""Crop pixels beyond which FaceFusion drops a point from the fit."""

_NOSE = 2


def similarity(points: ArrayLike, target: ArrayLike) -> Matrix:
    """The least-squares similarity (rotation, one scale, shift) from ``points`` to ``target``, both N×2.

    Closed form (Umeyama 1991, in complex numbers). Raises ValueError if all points coincide.
    """
    source, goal = np.asarray(points, np.float64), np.asarray(target, np.float64)
    source_mean, goal_mean = source.mean(axis=0), goal.mean(axis=0)
    z = (source - source_mean) @ np.array([1, 1j])
    w = (goal - goal_mean) @ np.array([1, 1j])
    spread = float(np.vdot(z, z).real)
    if not spread > 1e-12:
        raise ValueError("a similarity needs at least two different points")
    turn = np.vdot(z, w) / spread
    p, q = float(turn.real), float(turn.imag)
    linear = np.array([[p, -q], [q, p]])
    shift = goal_mean - linear @ source_mean
    return np.array([[p, -q, shift[0]], [q, p, shift[1]]])


def align_matrix(five: ArrayLike, template: str, size: tuple[int, int], *, compat: bool = False) -> Matrix:
    """The matrix that lays five landmarks (frame pixels) onto a template at a crop size (width, height).

    By default all five points count, whatever the crop size. With ``compat`` points further than 100 crop
    pixels from the fit are dropped, which depends on the crop size. Raises ValueError for points that all
    coincide.
    """
    goal = TEMPLATES[template] * size
    if not compat:
        return similarity(five, goal)
    matrix, _ = cv2.estimateAffinePartial2D(
        np.asarray(five, np.float64), goal, method=cv2.RANSAC, ransacReprojThreshold=RANSAC_THRESHOLD
    )
    if matrix is None:
        raise ValueError("five landmarks that coincide cannot be aligned")
    return np.asarray(matrix, np.float64)


def box_matrix(box: Box, size: tuple[int, int]) -> Matrix:
    """The matrix that stretches a box over a whole crop (width, height)."""
    width, height = size
    corners = np.array([[box.x1, box.y1], [box.x2, box.y1], [box.x1, box.y2]], np.float32)
    goal = np.array([[0, 0], [width, 0], [0, height]], np.float32)
    return np.asarray(cv2.getAffineTransform(corners, goal), np.float64)


def invert(matrix: Matrix) -> Matrix:
    """The matrix of the way back."""
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def merge(*matrices: Matrix) -> Matrix:
    """One matrix that does the work of several; the first one given is applied first."""
    result = np.eye(3)
    for matrix in matrices:
        result = np.vstack([matrix, [0.0, 0.0, 1.0]]) @ result
    return np.asarray(result[:2], np.float64)


def transform(points: ArrayLike, matrix: Matrix) -> NDArray[np.float64]:
    """N×2 points through a matrix."""
    moved: NDArray[np.float64] = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return moved


def transform_boxes(boxes: ArrayLike, matrix: Matrix) -> NDArray[np.float64]:
    """N×4 boxes (x1, y1, x2, y2) through a matrix: the upright boxes round their four moved corners."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    moved = transform(corners, matrix).reshape(-1, 4, 2)
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)


def scale_five(five: ArrayLike, factor: float) -> NDArray[np.float64]:
    """Five landmarks, spread by a factor round the nose."""
    points = np.asarray(five, np.float64)
    nose = points[_NOSE]
    return np.asarray(nose + factor * (points - nose), np.float64)


def scale_face(face: Face, x: float, y: float) -> Face:
    """The same face in a frame of another size (factors for x and y).

    Landmarks that the face has not computed yet are computed, and scaled, when they are read.
    """
    if x == 1.0 and y == 1.0:
        return face
    factor, box = np.array([x, y], np.float32), face.box

    def fill(name: str) -> dict[str, Points]:
        return {name: getattr(face.landmarks, name) * factor}

    marks = PendingLandmarks.of(face.landmarks.five * factor, fill)
    if face.landmarks.mesh is not None:
        mesh = face.landmarks.mesh * np.array([x, y, (x + y) / 2], np.float32)
        marks = replace(marks, mesh=mesh)
    return PendingFace.of(
        Box(box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y),
        face.score,
        marks,
        lambda name: {name: getattr(face, name)},
        pose=face.pose,
        track=face.track,
        observed=face.observed,
    )


def warp(image: NDArray[Any], matrix: Matrix, size: tuple[int, int], *, compat: bool = False) -> NDArray[Any]:
    """The crop (width, height) of an image under a matrix; beyond the image its border pixels go on.

    Bilinear. A face that shrinks to half or less is first reduced by averaging, so that nothing aliases (not
    with ``compat``: FaceFusion asks OpenCV for area averaging, which its affine warp silently replaces by
    bilinear).
    """
    if not compat:
        image, matrix = _reduced(image, matrix, size)
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def warp_black(
    image: NDArray[Any], matrix: Matrix, size: tuple[int, int], *, compat: bool = False
) -> NDArray[Any]:
    """As ``warp``, with black (0) beyond the image: for crops by box and for masks."""
    if not compat:
        image, matrix = _reduced(image, matrix, size)
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)


def _reduced(image: NDArray[Any], matrix: Matrix, size: tuple[int, int]) -> tuple[NDArray[Any], Matrix]:
    """The part of the image that a crop sees, averaged down by a whole factor, and its matrix."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    factor = int(1 / scale) if scale > 0 else 1
    if factor < 2:
        return image, matrix
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [size[0], 0], size, [0, size[1]]], np.float64)
    seen = transform(corners, invert(matrix))
    margin = 2 * factor
    x1, y1 = np.clip(np.floor(seen.min(axis=0)) - margin, 0, (width - 1, height - 1)).astype(int)
    x2, y2 = np.clip(np.ceil(seen.max(axis=0)) + margin, (x1 + 1, y1 + 1), (width, height)).astype(int)
    # Whole blocks only, or the last one would be stretched; the rest that is cut off is under one block wide.
    columns, rows = max((x2 - x1) // factor, 1), max((y2 - y1) // factor, 1)
    part = image[y1 : min(y1 + rows * factor, height), x1 : min(x1 + columns * factor, width)]
    small = cv2.resize(part, (int(columns), int(rows)), interpolation=cv2.INTER_AREA)
    sx, sy = part.shape[1] / columns, part.shape[0] / rows
    # Pixel centre j of the small picture lies at x1 + (j + 0.5) * sx - 0.5 of the image.
    to_image = np.array([[sx, 0.0, x1 + sx / 2 - 0.5], [0.0, sy, y1 + sy / 2 - 0.5]])
    return small, merge(to_image, matrix)


def rotation(width: int, height: int, angle: int, *, compat: bool = False) -> tuple[Matrix, tuple[int, int]]:
    """Matrix and size (width, height) of a picture turned counter-clockwise by 0, 90, 180 or 270 degrees.

    With ``compat`` the turn is round (width/2, height/2), which shifts the content by one pixel where it
    should not.
    """
    if compat:
        return _rotation_by_opencv(width, height, angle)
    right, bottom = width - 1.0, height - 1.0
    table: dict[int, list[list[float]]] = {
        0: [[1, 0, 0], [0, 1, 0]],
        90: [[0, 1, 0], [-1, 0, right]],
        180: [[-1, 0, right], [0, -1, bottom]],
        270: [[0, -1, bottom], [1, 0, 0]],
    }
    size = (width, height) if angle in (0, 180) else (height, width)
    return np.array(table[angle], np.float64), size


def _rotation_by_opencv(width: int, height: int, angle: int) -> tuple[Matrix, tuple[int, int]]:
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1), np.float64)
    new_width, new_height = np.abs(matrix[:, :2]) @ (width, height)
    matrix[:, 2] += ((new_width - width) * 0.5, (new_height - height) * 0.5)
    return matrix, (int(new_width), int(new_height))


_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def turn(image: Frame, angle: int, *, compat: bool = False) -> tuple[Frame, Matrix]:
    """A picture turned counter-clockwise by 0, 90, 180 or 270 degrees, and the matrix of the turn."""
    matrix, size = rotation(image.shape[1], image.shape[0], angle, compat=compat)
    if angle == 0:
        return image, matrix
    if compat:
        return np.asarray(cv2.warpAffine(image, matrix, size), np.uint8), matrix
    return np.asarray(cv2.rotate(image, _TURNS[angle]), np.uint8), matrix


def paste_area(
    matrix: Matrix, crop_size: tuple[int, int], frame_size: tuple[int, int], *, compat: bool = False
) -> tuple[tuple[int, int, int, int], Matrix]:
    """The rectangle (x1, y1, x2, y2) of a frame (width, height) under a crop; the matrix from crop to it.

    The rectangle is empty (x1 ≥ x2 or y1 ≥ y2) for a crop beside the frame. With ``compat`` corners are
    rounded, which can cut half a pixel; otherwise the rectangle holds all of the crop.
    """
    inverse = invert(matrix)
    width, height = crop_size
    corners = transform([[0, 0], [width, 0], [width, height], [0, height]], inverse)
    low, high = corners.min(axis=0), corners.max(axis=0)
    low, high = (np.rint(low), np.rint(high)) if compat else (np.floor(low), np.ceil(high))
    x1, y1 = (int(value) for value in np.clip(low, 0, frame_size))
    x2, y2 = (int(value) for value in np.clip(high, 0, frame_size))
    inverse[:, 2] -= (x1, y1)
    return (x1, y1, x2, y2), inverse


def paste_back(
    frame: Frame, crop: NDArray[Any], mask: Mask, matrix: Matrix, *, compat: bool = False
) -> tuple[int, int, int, int]:
    """Blend a processed crop (H×W×3, 0…255, any number type) into ``frame``, in place, by ``mask`` (H×W).

    Returns the changed rectangle (x1, y1, x2, y2), empty for a crop beside the frame. Blended values are
    rounded; with ``compat`` they are truncated.
    """
    size = (crop.shape[1], crop.shape[0])
    area, inverse = paste_area(matrix, size, (frame.shape[1], frame.shape[0]), compat=compat)
    x1, y1, x2, y2 = area
    if x1 >= x2 or y1 >= y2:
        return x1, y1, x1, y1
    region_size = (x2 - x1, y2 - y1)
    share = np.clip(warp_black(mask, inverse, region_size, compat=compat), 0, 1)[:, :, None]
    region = frame[y1:y2, x1:x2]
    if compat:
        pasted = warp(crop, inverse, region_size, compat=True)
        region[:] = (region * (1 - share) + pasted * share).astype(frame.dtype)
        return area
    moved = warp(crop.astype(np.float32), inverse, region_size)
    moved -= region
    moved *= share
    moved += region
    region[:] = np.clip(moved + 0.5, 0, 255).astype(np.uint8)
    return area
