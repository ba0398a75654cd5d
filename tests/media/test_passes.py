"""FFmpeg's passes over pictures: sizes, formats, losses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import CorruptMedia
from mien.media import passes
from mien.media.orientation import Orientation

LOSSLESS = ["png", "bmp", "tiff"]


def _smooth(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.dstack((x, y, 255 - (x + y) / 2)).astype(np.uint8)


def _opacity(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


@pytest.mark.parametrize("format", LOSSLESS)
def test_a_lossless_format_in_its_own_size_stays_as_it_is(format: str) -> None:
    image = _smooth()
    again, alpha = passes.load(passes.passed(passes.store(image, None, format), format, (96, 64), 10))
    assert np.array_equal(again, image)
    assert alpha is None


@pytest.mark.parametrize("format", ["png", "tiff", "webp"])
def test_opacity_goes_along(format: str) -> None:
    data = passes.store(_smooth(), _opacity(), format)
    _, alpha = passes.load(passes.passed(data, format, (48, 32), 100))
    assert alpha is not None
    assert alpha.shape == (32, 48)
    assert np.abs(alpha.astype(int) - _opacity(48, 32)).max() <= 6


def test_full_opacity_is_not_stored() -> None:
    data = passes.store(_smooth(), np.full((64, 96), 255, np.uint8), "png")
    assert passes.load(data)[1] is None


@pytest.mark.parametrize("format", [*LOSSLESS, "jpeg", "webp"])
@pytest.mark.parametrize("size", [(192, 128), (50, 34)])
def test_every_format_is_scaled(format: str, size: tuple[int, int]) -> None:
    image, _ = passes.load(passes.passed(passes.store(_smooth(), None, format), format, size, 100))
    assert image.shape == (size[1], size[0], 3)
    assert np.abs(image.astype(int) - _smooth(*size)).mean() < 3


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_a_lower_quality_makes_a_smaller_and_worse_picture(format: str) -> None:
    noisy = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    data = passes.store(noisy, None, format)
    fine, coarse = (passes.passed(data, format, (96, 64), quality) for quality in (100, 10))
    assert len(coarse) < len(fine) / 2
    losses = [np.abs(passes.load(each)[0].astype(int) - noisy).mean() for each in (fine, coarse)]
    assert losses[0] < losses[1]


def test_jpeg_keeps_its_subsampling() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2, 2] = 255
    done, buffer = cv2.imencode(
        ".jpg", image, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    )
    assert done
    again, _ = passes.load(passes.passed(buffer.tobytes(), "jpeg", (64, 64), 100))
    assert again[:, ::2, 2].mean() - again[:, 1::2, 2].mean() > 200


def test_a_turned_picture_comes_out_upright() -> None:
    data = passes.store(_smooth(), None, "jpeg")
    clockwise = Orientation(transpose=True, flip_x=True)
    image, _ = passes.load(passes.passed(data, "jpeg", (64, 96), 100, orientation=clockwise))
    upright = cv2.rotate(_smooth(), cv2.ROTATE_90_CLOCKWISE)
    assert np.abs(image.astype(int) - upright).mean() < 3


def test_another_format_can_be_written() -> None:
    data = passes.passed(passes.store(_smooth(), None, "png"), "png", (96, 64), 90, output="jpeg")
    assert data[:2] == b"\xff\xd8"


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(CorruptMedia):
        passes.passed(b"\xff\xd8nonsense", "jpeg", (8, 8), 100)


def test_scaled_keeps_the_layout() -> None:
    image = np.dstack((_smooth(), _opacity()))
    assert passes.scaled(_smooth(), 48, 32).shape == (32, 48, 3)
    assert passes.scaled(image, 48, 32).shape == (32, 48, 4)
