"""Small pictures of faces."""

from __future__ import annotations

import numpy as np
import pytest

from mien.faces.chips import crop
from mien.types import Box, Frame
from tests.faces.conftest import make_face


@pytest.fixture
def image() -> Frame:
    image = np.zeros((400, 600, 3), np.uint8)
    image[100:200, 300:380] = (0, 0, 255)
    return image


@pytest.mark.parametrize("size", [32, 128, 512])
def test_a_crop_is_square_with_the_face_in_its_middle(image: Frame, size: int) -> None:
    chip = crop(image, make_face((300, 100, 380, 200)), size, margin=0.5)
    assert chip.shape == (size, size, 3)
    rows, columns = np.nonzero(chip[:, :, 2] > 127)
    assert [rows.min() / size, (rows.max() + 1) / size] == pytest.approx([0.25, 0.75], abs=1.5 / size)
    assert [columns.min() / size, (columns.max() + 1) / size] == pytest.approx([0.3, 0.7], abs=1.5 / size)


def test_what_lies_outside_repeats_the_rim(image: Frame) -> None:
    image[:, :8] = (0, 255, 0)
    chip = crop(image, Box(-40, 100, 40, 200), 64)
    assert (chip[:, :10, 1] == 255).all()
    assert crop(image, Box(-500, -500, -400, -400), 64).shape == (64, 64, 3)


def test_a_small_crop_of_a_large_face_does_not_alias() -> None:
    image = np.indices((512, 512)).sum(0) % 2 * 255
    chip = crop(np.repeat(image[:, :, None], 3, 2).astype(np.uint8), Box(100, 100, 400, 400), 32)
    assert chip.min() > 100
    assert chip.max() < 155
