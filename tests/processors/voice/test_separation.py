from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mien.errors import ModelCorrupt
from mien.inference.session import TensorSpec
from mien.processors.voice.separation import (
    COLUMNS,
    FACEFUSION_CHUNK,
    FACEFUSION_STEP,
    KEPT_BINS,
    PIECE,
    YIELD,
    VoiceExtractor,
    separated,
    separated_in_chunks,
    signal,
    spectrum,
)

SHAPE = (None, 4, KEPT_BINS, COLUMNS)


class Network:
    """Lets everything through, or only the left channel."""

    def __init__(self, *, left_only: bool = False, shape: tuple[Any, ...] = SHAPE) -> None:
        self.inputs = (TensorSpec("input", shape, np.dtype(np.float32)),)
        self.left_only = left_only
        self.fed: list[np.ndarray] = []

    def run(self, feeds: Any) -> list[np.ndarray]:
        self.fed.append(feeds[0])
        result = feeds[0].copy()
        if self.left_only:
            result[:, 2:] = 0
        return [result]


def extractor(**how: Any) -> VoiceExtractor:
    network: Any = Network(**how)
    return VoiceExtractor("voice", network)


def music(count: int) -> np.ndarray:
    """Two channels below 15 kHz: what the kept bins can hold."""
    t = np.arange(count) / 44100
    left = 0.4 * np.sin(2 * np.pi * 220 * t) * np.sin(2 * np.pi * 0.7 * t)
    return np.stack([left, 0.3 * np.sin(2 * np.pi * 3000 * t)], axis=1).astype(np.float32)


def blocks(sound: np.ndarray, step: int) -> Iterator[np.ndarray]:
    for begin in range(0, len(sound), step):
        yield sound[begin : begin + step]


def test_signals_come_back_from_their_spectra() -> None:
    rows = np.random.default_rng(0).normal(size=(2, PIECE)).astype(np.float32)
    spectra = spectrum(rows)
    assert spectra.shape == (2, 3841, COLUMNS)
    assert np.abs(signal(spectra) - rows).max() < 1e-5


@pytest.mark.parametrize("how", [separated, separated_in_chunks])
@pytest.mark.parametrize("count", [0, 1, 5000, YIELD, YIELD + 1, 2 * YIELD + 77, FACEFUSION_CHUNK + 9])
def test_as_much_comes_out_as_went_in(how: Any, count: int) -> None:
    sound = music(count)
    parts = list(how(blocks(sound, 70000), extractor()))
    found = np.concatenate([*parts, np.zeros((0, 2), np.float32)])
    assert found.shape == sound.shape
    if how is separated and count > 8000:
        # The upper bins are cut off, which shows only where the sound begins and ends abruptly.
        assert np.abs(found[4000:-4000] - sound[4000:-4000]).max() < 2e-3
    elif count > 8000:
        assert np.corrcoef(found.ravel(), sound.ravel())[0, 1] > 0.999


def test_blocks_of_any_length_give_the_same_voice() -> None:
    sound = music(300_000)
    large = np.concatenate(list(separated([sound], extractor())))
    small = np.concatenate(list(separated(blocks(sound, 4321), extractor())))
    assert (large == small).all()


def test_pieces_join_without_a_seam() -> None:
    """FaceFusion puts silence round each chunk, which shows in what a network makes of its ends."""
    sound = music(3 * YIELD)
    network = extractor()
    found = np.concatenate(list(separated(blocks(sound, 9999), network)))
    fed: Any = network.session
    assert len(fed.fed) == 3
    seam = slice(YIELD - 2000, YIELD + 2000)
    assert np.abs(found[seam] - sound[seam]).max() < 1e-3
    # The second piece begins within the first one's sound.
    assert np.abs(fed.fed[1][..., 0]).max() > 1


def test_facefusions_chunks_overlap() -> None:
    network = extractor()
    list(separated_in_chunks([music(FACEFUSION_STEP + 10)], network))
    fed: Any = network.session
    assert len(fed.fed) == 2
    assert fed.fed[0].shape == (1, 4, KEPT_BINS, COLUMNS)


def test_channels_stay_apart() -> None:
    sound = music(20000)
    found = np.concatenate(list(separated([sound], extractor(left_only=True))))
    assert np.abs(found[:, 1]).max() < 1e-6
    assert np.abs(found[5000:15000, 0] - sound[5000:15000, 0]).max() < 2e-3


class Passing(VoiceExtractor):
    """Takes everything for voice, at once."""

    def voice(self, piece: np.ndarray) -> np.ndarray:
        return piece[: len(piece) - (PIECE - YIELD)]


def test_a_long_sound_needs_no_more_memory() -> None:
    """Ten minutes (200 MB) go through in pieces."""

    def long() -> Iterator[np.ndarray]:
        for _ in range(100):
            yield np.zeros((264_600, 2), np.float32)

    network: Any = Network()
    tracemalloc.start()
    count = sum(len(part) for part in separated(long(), Passing("voice", network)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 26_460_000
    assert peak < 20e6


@pytest.mark.parametrize("shape", [(1, 4, 3072, 128), (1, 3, 3072, 256), (1, 3, 64, 64)])
def test_a_foreign_model_file_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelCorrupt, match="3072 bins and 256 columns"):
        extractor(shape=shape)


def test_a_model_that_gives_something_else_is_refused() -> None:
    class Wrong(Network):
        def run(self, feeds: Any) -> list[np.ndarray]:
            return [feeds[0][:, :2]]

    wrong: Any = Wrong()
    with pytest.raises(ModelCorrupt, match="wrong shape"):
        list(separated([music(10)], VoiceExtractor("voice", wrong)))
