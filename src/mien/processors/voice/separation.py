"""Takes the voice out of music and noise with an MDX network, in blocks: memory does not grow with the length.

The networks see complex spectra of 256 columns, 1024 samples apart, of both channels; they were trained at 44.1 kHz
(windows of 7680 samples, of whose 3841 bins the lower 3072 are kept).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.neural.session import only_output
from mien.inference.session import Session

Stereo: TypeAlias = NDArray[np.float32]
"""N×2, -1 to 1."""

WINDOW = 7680
HOP = 1024
KEPT_BINS = 3072
COLUMNS = 256
PIECE = (COLUMNS - 1) * HOP
"""Samples that one run of the network takes."""
TRIM = WINDOW // 2
"""Samples at both ends of a piece whose windows are not whole: they are computed and thrown away."""
YIELD = PIECE - 2 * TRIM
"""Samples that one run gives."""

TRAINED_RATE = 44100
FACEFUSION_RATE = 48000
FACEFUSION_CHUNK = 240 * 1024
FACEFUSION_STEP = 180 * 1024

_SHAPE = (1, 4, KEPT_BINS, COLUMNS)


@dataclass(frozen=True, slots=True)
class VoiceExtractor:
    """A loaded network."""

    name: str
    session: Session

    def __post_init__(self) -> None:
        """Raise ModelCorrupt for a network that takes something else."""
        inputs = self.session.inputs
        if len(inputs) != 1 or not inputs[0].fits(_SHAPE):
            raise ModelCorrupt(
                f"The model file of {self.name} does not take spectra of {KEPT_BINS} bins and {COLUMNS} columns: "
                "it is not the model that it should be; fetch it again."
            )

    def voice(self, piece: Stereo) -> Stereo:
        """The voice in the middle of a piece of PIECE×2 samples: YIELD×2. Raises ModelCorrupt."""
        spectra = spectrum(piece.T)  # 2×3841×256
        kept = spectra[:, :KEPT_BINS]
        planes = np.stack([kept.real, kept.imag], axis=1).reshape(_SHAPE).astype(np.float32)
        output = only_output(self.name, self.session.run([planes]), _SHAPE)
        parts = output.reshape(2, 2, KEPT_BINS, COLUMNS)
        whole = np.zeros_like(spectra)
        whole[:, :KEPT_BINS] = parts[:, 0] + 1j * parts[:, 1]
        return np.ascontiguousarray(signal(whole)[:, TRIM:-TRIM].T)


def separated(blocks: Iterable[Stereo], extractor: VoiceExtractor) -> Iterator[Stereo]:
    """The voice of a sound that comes in blocks of any length; as many samples come out as went in.

    Neighbouring pieces overlap by twice TRIM, so that every sample comes out of whole windows.
    """
    waiting = np.zeros((TRIM, 2), np.float32)
    owed = 0
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        owed += len(block)
        while len(waiting) >= PIECE:
            yield extractor.voice(waiting[:PIECE])
            waiting = waiting[YIELD:]
            owed -= YIELD
    while owed > 0:
        yield extractor.voice(_padded(waiting[:PIECE], PIECE))[:owed]
        waiting = waiting[YIELD:]
        owed -= YIELD


def separated_in_chunks(blocks: Iterable[Stereo], extractor: VoiceExtractor) -> Iterator[Stereo]:
    """FaceFusion's way: chunks with silence round them, averaged where they overlap."""
    waiting = np.zeros((0, 2), np.float32)
    before = np.zeros((0, 2), np.float32)
    """What the last chunk says of the first samples that wait."""
    for block in _with_end(blocks):
        waiting = np.concatenate([waiting, block]) if block is not None else waiting
        while len(waiting) >= FACEFUSION_CHUNK or (block is None and len(waiting)):
            chunk = waiting[:FACEFUSION_CHUNK]
            alone = np.zeros((PIECE, 2), np.float32)
            alone[TRIM : TRIM + len(chunk)] = chunk
            voice = extractor.voice(alone)[: len(chunk)]
            voice[: len(before)] = (voice[: len(before)] + before) / 2
            yield voice[:FACEFUSION_STEP]
            before, waiting = voice[FACEFUSION_STEP:], waiting[FACEFUSION_STEP:]


def _with_end(blocks: Iterable[Stereo]) -> Iterator[Stereo | None]:
    yield from blocks
    yield None


def _padded(piece: Stereo, length: int) -> Stereo:
    return np.concatenate([piece, np.zeros((length - len(piece), 2), np.float32)])


def _window() -> NDArray[np.float32]:
    """A symmetric Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1)), np.float32)


def spectrum(rows: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Spectra of rows of PIECE samples, silence before and behind: rows×3841×256."""
    padded = np.pad(rows, ((0, 0), (TRIM, TRIM)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, ::HOP]
    return np.asarray(np.fft.rfft(windows * _window()).transpose(0, 2, 1), np.complex64)


def signal(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """The samples of spectra, by overlapping windows: the inverse of ``spectrum``, rows×PIECE."""
    window = _window()
    columns = np.fft.irfft(spectra.transpose(0, 2, 1), WINDOW) * window
    total = np.zeros((len(spectra), PIECE + WINDOW), np.float32)
    weight = np.zeros(PIECE + WINDOW, np.float32)
    for column in range(COLUMNS):
        begin = column * HOP
        total[:, begin : begin + WINDOW] += columns[:, column]
        weight[begin : begin + WINDOW] += window * window
    inside = slice(TRIM, TRIM + PIECE)
    return np.asarray(total[:, inside] / weight[inside], np.float32)
