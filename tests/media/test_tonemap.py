import numpy as np
import pytest

from mien.media.tonemap import ToneMapper


def pq(nits: float) -> int:
    """16-bit PQ code of a luminance, by SMPTE ST 2084."""
    power = (nits / 10000) ** 0.1593017578125
    return round(65535 * ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def gray(code: int) -> np.ndarray:
    return np.full((2, 2, 3), code, np.uint16)


def test_black_white_and_what_lies_between() -> None:
    mapped = [
        int(ToneMapper(16)(gray(pq(nits)))[0, 0, 1]) for nits in (0, 1, 10, 50, 100, 203, 400, 1000, 4000)
    ]
    assert mapped[0] == 0
    assert mapped[-1] == mapped[-2] == 255
    assert mapped == sorted(mapped)
    assert 222 <= mapped[5] <= 240  # diffuse white
    # Below the knee light is only scaled: 50 of 203 cd/m², gamma 2.4.
    assert mapped[3] == pytest.approx(255 * (50 / 203) ** (1 / 2.4), abs=2)


def test_hlg_mid_tones_and_ends() -> None:
    mapped = [int(ToneMapper(18)(gray(round(65535 * code)))[0, 0, 1]) for code in (0, 0.25, 0.5, 0.75, 1)]
    assert mapped[0] == 0
    assert mapped[-1] == 255
    assert mapped == sorted(mapped)
    assert 215 <= mapped[3] <= 245  # HLG's reference white is at 75 %


@pytest.mark.parametrize("transfer", [16, 18])
def test_gray_stays_gray_and_colours_stay_themselves(transfer: int) -> None:
    mapper = ToneMapper(transfer)
    for code in (5000, 20000, 35000, 50000, 65535):
        pixel = mapper(gray(code))[0, 0]
        assert int(pixel.max()) - int(pixel.min()) <= 2
    image = gray(20000)
    image[..., 2] = 38000
    blue, green, red = (int(n) for n in mapper(image)[0, 0])
    assert red > green + 40
    assert abs(blue - green) < red - green


def test_shape_and_type() -> None:
    out = ToneMapper(16)(np.zeros((5, 7, 3), np.uint16))
    assert (out.shape, out.dtype, out.flags.c_contiguous) == ((5, 7, 3), np.uint8, True)
