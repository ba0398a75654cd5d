"""Painted faces of which every point is known: skin, eyes, brows, lips and teeth drawn over the mean face."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.canonical import Floats, canonical
from mien.types import Frame

SKIN = (140, 170, 220)
LIPS = (90, 80, 190)
TEETH = (245, 245, 245)


def mesh(
    size: float = 200.0,
    center: tuple[float, float] = (160.0, 150.0),
    *,
    yaw: float = 0.0,
    roll: float = 0.0,
    mouth: float = 0.0,
    lids: float = 1.0,
) -> Floats:
    """The mean face ``size`` px high, turned (degrees), with its mouth opened by units and its lids scaled."""
    data = canonical()
    shape = data.points_full.copy()
    for upper, lower in _lids():
        middle = (shape[upper, 1] + shape[lower, 1]) / 2
        shape[upper, 1] = middle + lids * (shape[upper, 1] - middle)
        shape[lower, 1] = middle + lids * (shape[lower, 1] - middle)
    upper_lip, lower_lip = data.lip_rows[0], data.lip_rows[1]
    shape[lower_lip[0], 1] = shape[upper_lip[0], 1] + mouth * np.sin(np.linspace(0.15, np.pi - 0.15, 9))
    for share, row in zip((0.3, 0.6, 1.0), range(1, 4), strict=True):
        shape[lower_lip[row], 1] = shape[lower_lip[0], 1] + share * 150.0
    a, b = np.radians(yaw), np.radians(roll)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    scale = size / float(np.ptp(data.points[:, 1]))
    placed = scale * shape @ (tilt @ turn).T + np.array([*center, 0.0])
    return placed.astype(np.float32)


def picture(
    points: Floats,
    width: int = 320,
    height: int = 320,
    *,
    skin: tuple[int, int, int] = SKIN,
    background: tuple[int, int, int] = (90, 60, 30),
    noise: float = 2.0,
) -> Frame:
    """Paint the face of a mesh (BGR), with slow light across it and a little grain."""
    image = np.full((height, width, 3), background, np.uint8)
    groups = canonical().groups
    _fill(image, points[groups["oval"]], skin)
    for side in ("left", "right"):
        _fill(image, points[groups[f"brow_{side}"]], (40, 50, 60))
        _fill(image, points[groups[f"eye_{side}"]], (235, 235, 235))
    for side, centre in (("left", 469), ("right", 472)):
        eye = np.zeros(image.shape[:2], np.uint8)
        _fill(eye, points[groups[f"eye_{side}"]], (255,))
        iris = np.zeros_like(eye)
        radius = max(1.0, float(np.linalg.norm(points[centre, :2] - points[centre - 1, :2])))
        cv2.circle(iris, _pixel(points[centre]), round(radius), 255, -1, cv2.LINE_AA)
        image[(eye > 127) & (iris > 127)] = (40, 30, 20)
    _fill(image, points[groups["lips_outer"]], LIPS)
    opening = float(np.linalg.norm(points[13, :2] - points[14, :2]))
    _fill(image, points[groups["lips_inner"]], TEETH if opening > 4 else (40, 30, 90))
    light = np.linspace(-15.0, 15.0, width, dtype=np.float32)[None, :, None]
    grain = np.random.default_rng(7).normal(0.0, noise, image.shape)
    return np.clip(image + light + grain, 0, 255).astype(np.uint8)


def _lids() -> list[tuple[int, int]]:
    left = [(246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155)]
    mirror = canonical().mirror
    return left + [(int(mirror[upper]), int(mirror[lower])) for upper, lower in left]


def _fill(image: NDArray[np.uint8], contour: Floats, colour: tuple[int, ...]) -> None:
    corners = np.rint(np.clip(contour[:, :2], -3000, 3000) * 16).astype(np.int32)
    cv2.fillPoly(image, [corners], colour, cv2.LINE_AA, 4)


def _pixel(point: Floats) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
