from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.processors.tiling import Enhance, TileSize, enlarge, enlarge_as_upstream, starts
from mien.types import Frame
from tests.processors.faces_made import noise

SIZE = TileSize(64, 8, 4)
Way = Callable[[Frame, TileSize, int, Enhance], Frame]


def repeated(scale: int) -> Enhance:
    """Enlarges each pixel for itself: where tiles lie does not show."""
    return lambda tiles: [tile.repeat(scale, axis=0).repeat(scale, axis=1) for tile in tiles]


def blurred(tiles: Sequence[Frame]) -> Sequence[Frame]:
    """As a network with zero padding: beyond the tile it sees black."""
    return [np.asarray(cv2.blur(tile, (7, 7), borderType=cv2.BORDER_CONSTANT), np.uint8) for tile in tiles]


def uneven(tiles: Sequence[Frame]) -> Sequence[Frame]:
    """A network whose brightness varies with the tile: every second one is 40 levels lighter."""
    return [np.full_like(tile, 100 + 40 * (int(tile[:, :, 0].max()) % 2)) for tile in tiles]


@given(st.integers(1, 3000), st.integers(8, 300), st.data())
def test_windows_cover_all_and_overlap_enough(length: int, window: int, data: st.DataObject) -> None:
    fade = data.draw(st.integers(0, window // 2))
    begins = starts(length, window, fade)
    assert begins[0] == 0
    if length <= window:
        assert begins == (0,)
        return
    assert begins[-1] + window == length
    assert all(0 < after - before <= window - fade for before, after in pairwise(begins))
    needed = -(-(length - fade) // (window - fade))
    assert len(begins) == needed


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([1, 2, 4]), st.integers(1, 5))
def test_a_network_that_is_exact_everywhere_leaves_no_trace_of_tiles(
    height: int, width: int, scale: int, batch: int
) -> None:
    image = noise(height, width)
    expected = image.repeat(scale, axis=0).repeat(scale, axis=1)
    assert np.array_equal(enlarge(image, SIZE, scale, repeated(scale), batch=batch), expected)
    assert np.array_equal(enlarge_as_upstream(image, SIZE, scale, repeated(scale)), expected)


def test_borders_are_as_bright_as_the_rest() -> None:
    white = np.full((150, 170, 3), 255, np.uint8)
    assert enlarge(white, SIZE, 1, blurred).min() == 255
    upstream = enlarge_as_upstream(white, SIZE, 1, blurred)
    assert upstream[:2].max() < 255
    assert upstream[:, -2:].max() < 255


def test_seams_are_faded() -> None:
    image = np.zeros((50, 400, 3), np.uint8)
    image[:, ::100] = 1  # some tiles see a one, others do not
    step = lambda made: int(np.abs(np.diff(made[25, :, 0].astype(int))).max())  # noqa: E731
    assert step(enlarge_as_upstream(image, SIZE, 1, uneven)) == 40
    assert 0 < step(enlarge(image, SIZE, 1, uneven)) <= 40 / SIZE.pad


def test_fades_cross_in_both_directions() -> None:
    """Where four tiles meet, the shares of all four change evenly from one pixel to the next."""
    image = noise(100, 100)  # two by two tiles, 12 pixels of each over the other
    values = iter((0, 60, 120, 240))
    made = enlarge(image, SIZE, 1, lambda tiles: [np.full_like(tile, next(values)) for tile in tiles])
    share = np.clip((np.arange(100) - 44 + 0.5) / 12, 0, 1)
    top, bottom = share * 60, 120 + share * 120
    expected = top + (bottom - top) * share[:, None]
    assert np.abs(made[..., 0] - expected).max() <= 1.5  # three roundings


def test_beyond_the_frame_a_tile_sees_the_frame_mirrored() -> None:
    image = noise(60, 90)
    seen: list[Frame] = []

    def look(tiles: Sequence[Frame]) -> Sequence[Frame]:
        seen.extend(tile.copy() for tile in tiles)
        return tiles

    enlarge(image, SIZE, 1, look)
    assert np.array_equal(seen[0][4:, 4:][:56, :56], image[:56, :56])
    assert np.array_equal(seen[0][:4, 4:60], image[3::-1, :56])
    assert np.array_equal(seen[0][4:60, :4], image[:56, 3::-1])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (56, 56), (57, 56), (500, 2)])
def test_odd_shapes(height: int, width: int) -> None:
    image = noise(height, width)
    assert np.array_equal(enlarge(image, SIZE, 2, repeated(2)), image.repeat(2, axis=0).repeat(2, axis=1))


def test_tiles_come_in_groups() -> None:
    groups: list[int] = []

    def count(tiles: Sequence[Frame]) -> Sequence[Frame]:
        assert all(tile.shape == (64, 64, 3) for tile in tiles)
        groups.append(len(tiles))
        return tiles

    enlarge(noise(50, 300), SIZE, 1, count, batch=4)
    assert groups == [4, 3]


@pytest.mark.parametrize("way", [enlarge, enlarge_as_upstream])
def test_memory_is_that_of_the_result_and_some_tiles(way: Way) -> None:
    image = np.zeros((600, 4000, 3), np.uint8)
    tracemalloc.start()
    try:
        result = way(image, SIZE, 2, repeated(2))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    tiles = 64 * 64 * 3 * 4
    # Upstream's way copies the padded frame; ours keeps one line of fades.
    frame = image.nbytes * 1.3 if way is enlarge_as_upstream else SIZE.payload * 2 * result.shape[1] * 3
    assert peak < result.nbytes + frame + 20 * tiles
