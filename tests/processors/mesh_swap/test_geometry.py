from __future__ import annotations

import numpy as np
import pytest

from mien.faces.canonical import canonical
from mien.processors.mesh_swap.geometry import (
    STATS,
    UNCOVERED,
    area,
    depth_of,
    rasterise,
    window_around,
)

from . import faces


def test_rasteriser_interpolates_at_cell_centres() -> None:
    columns, rows = 60, 40
    corners = np.float32([[5.3, 4.1], [55.2, 6.7], [20.6, 35.9]])
    values = np.stack([corners[:, 0] / columns, corners[:, 1] / rows, np.ones(3)], axis=1).astype(np.float32)
    depth = np.float32([0.0, 1.0, 0.5])
    cells, _ = rasterise(corners, depth, np.int32([[0, 1, 2]]), values, (columns, rows))
    y, x = np.nonzero(cells[..., 2] > 0)
    assert len(y) > 500
    assert np.abs(cells[y, x, 0] * columns - x).max() < 0.6, "within the 2 % by which depth bends the lines"
    assert np.abs(cells[y, x, 1] * rows - y).max() < 0.6
    assert (cells[0, 0] == UNCOVERED).all()


def test_nearer_triangle_wins() -> None:
    corners = np.float32([[0, 0], [40, 0], [0, 40], [0, 0], [40, 0], [0, 40]])
    depth = np.float32([0.8] * 3 + [0.1] * 3)
    values = np.repeat(np.float32([[0.2, 0.2, 0.2], [0.9, 0.9, 0.9]]), 3, axis=0)
    cells, depths = rasterise(corners, depth, np.int32([[3, 4, 5], [0, 1, 2]]), values, (32, 32))
    assert cells[5, 5, 0] == pytest.approx(0.9, abs=1e-3)
    assert depths[5, 5] == pytest.approx(0.1, abs=1e-3)


def test_window_stays_inside_the_picture_and_knows_where_it_is_cut() -> None:
    points = faces.mesh(200.0, (10.0, 300.0))
    window = window_around(points, (320, 320))
    assert window is not None
    assert window.x == 0
    assert window.y + window.height == 320
    assert window.cut == (False, True, True, False)
    assert window.full > window.height


@pytest.mark.parametrize("center", [(-200.0, 100.0), (100.0, 900.0), (320.0 + 98.0, 100.0)])
def test_no_window_for_faces_outside(center: tuple[float, float]) -> None:
    assert window_around(faces.mesh(200.0, center), (320, 320)) is None


def test_grid_is_never_finer_than_pixels() -> None:
    window = window_around(faces.mesh(30.0, (50.0, 50.0)), (100, 100))
    assert window is not None
    assert window.grid_size() == (window.width, window.height)


def test_grid_coordinates_follow_pixel_centres() -> None:
    window = window_around(faces.mesh(), (320, 320))
    assert window is not None
    first = np.float32([[window.x - 0.5, window.y - 0.5]])
    last = np.float32([[window.x + window.width - 0.5, window.y + window.height - 0.5]])
    assert window.to_grid(first, STATS, STATS) == pytest.approx(np.float32([[-0.5, -0.5]]), abs=1e-3)
    assert window.to_grid(last, STATS, STATS) == pytest.approx(np.float32([[STATS - 0.5] * 2]), abs=1e-3)


def test_depth_and_area() -> None:
    points = faces.mesh()
    depth = depth_of(points)
    assert (depth.min(), depth.max()) == (0.0, 1.0)
    twice = points * 2
    oval = canonical().groups["oval"]
    assert area(twice, oval) == pytest.approx(4 * area(points, oval), rel=1e-3)
