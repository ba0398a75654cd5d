"""The speech in a sound file as a lip network reads it, at any time of a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.media.pcm import read_sound, resampled
from mien.processors.voice import mel
from mien.processors.voice.mel import BANDS, COLUMNS_PER_SECOND, FACEFUSION, TRAINED, FrontEnd
from mien.processors.voice.separation import (
    FACEFUSION_RATE,
    TRAINED_RATE,
    Stereo,
    VoiceExtractor,
    separated,
    separated_in_chunks,
)

SPAN = 16
"""Columns that a lip network sees at once: 0.2 s."""
QUIETEST = 0.01
"""Loudest sample (of 1) of a voice that is still brought to full loudness; less is hiss and what music leaves."""


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """The mel spectrum of a voice; 26 kB a second."""

    bands: NDArray[np.float32]
    """80×M, the loudest sample of the voice being 1 unless it is hardly to be heard."""
    front: FrontEnd

    def at(self, time: float, lead: float = 0.0) -> NDArray[np.float32]:
        """What a network reads for the frame at a time (seconds): 80×16; silence before and behind the sound.

        The 16 columns begin ``lead`` seconds before the frame.
        """
        # A little is added so that a time that is a column's, but for rounding, gets that column.
        start = int(np.floor((time - lead) * COLUMNS_PER_SECOND + 1e-6))
        window = np.zeros((BANDS, SPAN), np.float32)
        low, high = max(start, 0), min(start + SPAN, self.bands.shape[1])
        if low < high:
            window[:, low - start : high - start] = self.bands[:, low:high]
        return self.front.levels(window)

    def at_frame(self, number: int, rate: float) -> NDArray[np.float32]:
        """FaceFusion's choice for a frame: 80×16.

        Windows end at the frames, those that would begin before the sound are left out, which moves the rest to the
        front; numbers of columns wrap at 32768, so that nothing fits after 409.6 seconds.
        """
        ends = np.arange(0, self.bands.shape[1], COLUMNS_PER_SECOND / rate).astype(np.int64).astype(np.int16)
        ends = ends[ends >= SPAN]
        if not 0 <= number < len(ends):
            return silence(self.front)
        return self.front.levels(self.bands[:, ends[number] - SPAN : ends[number]])


def silence(front: FrontEnd) -> NDArray[np.float32]:
    """What a network reads where nobody speaks: 80×16."""
    return front.levels(np.zeros((BANDS, SPAN), np.float32))


def read_speech(
    path: Path, extractor: VoiceExtractor, *, seconds: float | None = None, compat: bool = False
) -> Speech:
    """Decode a sound, take its voice out, and compute the mel spectrum; in blocks.

    ``seconds``: how much of the sound is needed; FaceFusion (``compat``) always takes all of it, at 48 kHz although
    the networks were trained at 44.1 kHz, and resamples all of it at once. Raises what reading and the network raise.
    """
    loudest, front = _Loudest(), FACEFUSION if compat else TRAINED
    voice = _all_at_once(path, extractor) if compat else _in_blocks(path, extractor, seconds)
    bands = np.concatenate(list(mel.columns(loudest.watch(voice), front)), axis=1)
    # Bands are as loud as the samples, so they can be brought to full loudness when its measure is known.
    measure = (loudest.value or 1) if compat else max(loudest.value, QUIETEST)
    return Speech(np.asarray(bands / np.float32(measure), np.float32), front)


def _in_blocks(path: Path, extractor: VoiceExtractor, seconds: float | None) -> Iterator[NDArray[np.float32]]:
    sound = read_sound(path, TRAINED_RATE, "stereo", "float32", seconds=seconds)
    return resampled(_mono(separated(sound, extractor)), TRAINED_RATE, mel.RATE)


def _all_at_once(path: Path, extractor: VoiceExtractor) -> Iterator[NDArray[np.float32]]:
    blocks = read_sound(path, FACEFUSION_RATE, "stereo", "int16")
    sound = (np.asarray(block / np.float32(32767), np.float32) for block in blocks)
    whole = np.concatenate([*_mono(separated_in_chunks(sound, extractor)), np.zeros(0, np.float32)])
    voice = fourier_resampled(whole, FACEFUSION_RATE, mel.RATE)
    yield from np.array_split(voice, len(voice) // (60 * mel.RATE) + 1)


def fourier_resampled(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Sound at a lower rate by cutting off its spectrum, the sound being taken for periodic."""
    count = round(len(samples) * wanted / rate)
    if count == 0:
        return np.zeros(0, np.float32)
    spectrum = np.fft.rfft(samples.astype(np.float64))[: count // 2 + 1]
    if count % 2 == 0:
        spectrum[-1] *= 2
    return np.asarray(np.fft.irfft(spectrum, count) * (count / len(samples)), np.float32)


def _mono(blocks: Iterable[Stereo]) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        yield block.mean(axis=1, dtype=np.float32)


class _Loudest:
    """Keeps the largest absolute value of what passes through."""

    def __init__(self) -> None:
        self.value = 0.0

    def watch(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        for block in blocks:
            if len(block):
                self.value = max(self.value, float(np.abs(block).max()))
            yield block
