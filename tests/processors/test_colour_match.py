from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.processors.colour_match import match_colour, match_colour_by_likeness
from mien.types import Frame
from tests.processors.faces_made import noise


def coarse(image: Frame, side: int = 8) -> np.ndarray:
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(float)


def smooth(seed: int, side: int) -> Frame:
    cells = np.random.default_rng(seed).integers(60, 190, (4, 4, 3), np.uint8)
    return np.asarray(cv2.resize(cells, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("source_side", [200, 256, 384])
def test_the_target_gets_the_coarse_colours_of_the_source(compat: bool, source_side: int) -> None:
    source = smooth(1, source_side)
    target = (smooth(2, 256) // 2 + noise(256, 256) // 4 + 30).astype(np.uint8)
    matched = match_colour(source, target, compat=compat)
    assert matched.shape == target.shape
    before = np.abs(coarse(source) - coarse(target)).mean()
    after = np.abs(coarse(source) - coarse(matched)).mean()
    assert after < 2 < before


def test_detail_of_the_target_stays() -> None:
    target = noise(256, 256) // 2 + 60
    matched = match_colour(smooth(1, 256), target)
    detail = lambda image: image.astype(float) - cv2.GaussianBlur(image, (0, 0), 2)  # noqa: E731
    inside = (slice(20, -20), slice(20, -20))
    assert np.corrcoef(detail(target)[inside].ravel(), detail(matched)[inside].ravel())[0, 1] > 0.99


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([224, 256, 384]))
def test_one_pass_does_what_four_passes_do(seed: int, side: int) -> None:
    source, target = smooth(seed, side), smooth(seed + 5000, side)
    once, often = match_colour(source, target), match_colour(source, target, compat=True)
    off = np.abs(once.astype(int) - often)
    assert off.max() <= 4
    assert off.mean() <= 2  # what four passes lose, each cutting off fractions


@pytest.mark.parametrize("compat", [False, True])
def test_a_picture_like_itself_stays(compat: bool) -> None:
    image = noise(224, 224)
    off = np.abs(match_colour_by_likeness(image, image, compat=compat).astype(int) - image)
    assert off.max() <= 1


def test_unlike_colours_are_taken_over_by_half() -> None:
    red = np.zeros((224, 224, 3), np.uint8)
    red[...] = (0, 0, 200)
    green = np.zeros((224, 224, 3), np.uint8)
    green[...] = (0, 200, 0)
    mixed = match_colour_by_likeness(red, green)
    assert np.abs(mixed.astype(int) - (0, 100, 100)).max() <= 1  # two single colours correlate by about 0
