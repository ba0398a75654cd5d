"""Mel spectra of speech: 80 bands, 80 columns a second, and the numbers that lip networks read in them.

Two front ends. ``TRAINED`` is the one with which Wav2Lip and EDTalk were trained: overlapping triangles of equal
area on Slaney's mel scale (Slaney 1998, Auditory Toolbox), magnitudes without scaling, levels relative to 20 dB.
``FACEFUSION`` is that of FaceFusion 3.8.1: triangles that do not overlap, on another mel scale, with peaks near 1, and
magnitudes divided by the sum of the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16000
WINDOW = 800
HOP = 200
BANDS = 80
COLUMNS_PER_SECOND = RATE // HOP
LOWEST, HIGHEST = 55.0, 7600.0
"""Hertz."""
EMPHASIS = 0.97
BINS = WINDOW // 2 + 1
FLOOR = 1e-5
"""Smallest level that counts: -100 dB."""
FULL = 4.0
"""Networks read -4 (silence) to 4."""


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """How magnitudes become bands, and bands become what a network reads."""

    filters: Callable[[], NDArray[np.float32]]
    """80×401."""
    scale: float
    """What magnitudes are multiplied by."""
    offset: float
    """What a level of 1 reads as."""

    def levels(self, bands: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bands as a network reads them: logarithmic, -4 to 4."""
        return np.asarray(
            (1.6 * np.log10(np.maximum(bands, FLOOR)) + self.offset).clip(-FULL, FULL), np.float32
        )


def columns(blocks: Iterable[NDArray[np.float32]], front: FrontEnd) -> Iterator[NDArray[np.float32]]:
    """Mel spectra (80×K) of speech at 16 kHz that comes in blocks of N samples.

    Column c is centred on sample 200·c; before and behind the speech there is silence.
    """
    waiting = np.zeros(WINDOW // 2, np.float32)
    last = np.float32(0)
    for block in blocks:
        if not len(block):
            continue
        before = np.concatenate([[last], block[:-1]])
        last = block[-1]
        waiting = np.concatenate([waiting, (block - np.float32(EMPHASIS) * before).astype(np.float32)])
        count = (len(waiting) - WINDOW) // HOP + 1
        if count > 0:
            yield _bands(waiting, count, front)
            waiting = waiting[count * HOP :]
    waiting = np.concatenate([waiting, np.zeros(WINDOW // 2, np.float32)])
    missing = max(len(waiting) - WINDOW, 0)
    count = -(-missing // HOP) + 1
    yield _bands(np.pad(waiting, (0, (count - 1) * HOP + WINDOW - len(waiting))), count, front)


def _bands(samples: NDArray[np.float32], count: int, front: FrontEnd) -> NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[: (count - 1) * HOP + 1 : HOP]
    magnitudes = np.abs(np.fft.rfft(windows * _window())) * front.scale
    return np.asarray(front.filters() @ magnitudes.T, np.float32)


def _window() -> NDArray[np.float64]:
    """A periodic Hann window; its sum is 400."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


@cache
def trained_filters() -> NDArray[np.float32]:
    """Overlapping triangles of area 1 (per hertz), corners at equal distances on Slaney's mel scale."""
    low, high = _slaney(np.array([LOWEST, HIGHEST]))
    corners = _slaney_hertz(np.linspace(low, high, BANDS + 2))
    frequencies = np.arange(BINS) * RATE / WINDOW
    left, middle, right = (corners[start : start + BANDS, None] for start in (0, 1, 2))
    rising, falling = (frequencies - left) / (middle - left), (right - frequencies) / (right - middle)
    return _frozen(np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left))


def _slaney(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear below 1000 Hz (15 mel), logarithmic above: 27 mel to the factor 6.4."""
    return np.where(
        hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4)
    )


def _slaney_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


@cache
def facefusion_filters() -> NDArray[np.float32]:
    """Triangles that fill the bins between neighbouring corners, so that no two overlap."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (LOWEST, HIGHEST))
    hertz = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    corners = np.floor((WINDOW + 1) * hertz / RATE).astype(int)
    filters = np.zeros((BANDS, BINS))
    for band in range(BANDS):
        begin, end = corners[band], corners[band + 1]
        filters[band, begin:end] = _triangle(end - begin)
    return _frozen(filters)


def _triangle(length: int) -> NDArray[np.float64]:
    """A triangle of so many samples; one in the middle is 1."""
    half = (length + length % 2) / 2
    return np.asarray(1 - np.abs(np.arange(length) - (length - 1) / 2) / half, np.float64)


def _frozen(filters: NDArray[np.float64]) -> NDArray[np.float32]:
    result = filters.astype(np.float32)
    result.setflags(write=False)
    return result


TRAINED = FrontEnd(trained_filters, scale=1.0, offset=2.4)
FACEFUSION = FrontEnd(facefusion_filters, scale=2 / WINDOW, offset=3.2)
