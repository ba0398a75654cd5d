import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.processors.neural_swap.boost import join, split


@pytest.mark.parametrize(("size", "k"), [(4, 1), (4, 2), (2, 3), (8, 4)])
def test_sub_pictures_hold_every_kth_pixel(size: int, k: int) -> None:
    crop = np.arange(size * k * size * k * 3).reshape(size * k, size * k, 3)
    parts = split(crop, size)
    assert parts.shape == (k * k, size, size, 3)
    for a in range(k):
        for b in range(k):
            assert np.array_equal(parts[a * k + b], crop[a::k, b::k])


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.randoms(use_true_random=False))
def test_join_undoes_split(size: int, k: int, channels: int, random: object) -> None:
    crop = np.random.default_rng(k).integers(0, 256, (size * k, size * k, channels), np.uint8)
    assert np.array_equal(join(split(crop, size)), crop)
