from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.processors.voice import mel
from mien.processors.voice.mel import FACEFUSION, TRAINED, FrontEnd

# Bins at which FaceFusion's filters begin.
BINS = (
    2,
    3,
    5,
    6,
    7,
    8,
    10,
    11,
    12,
    14,
    15,
    17,
    18,
    20,
    22,
    23,
    25,
    27,
    29,
    31,
    33,
    35,
    37,
    39,
    41,
    44,
    46,
    48,
    51,
    54,
)
LAST_BINS = (312, 323, 334, 345, 356)


def whole(samples: np.ndarray, front: FrontEnd = TRAINED, step: int | None = None) -> np.ndarray:
    step = step or max(len(samples), 1)
    blocks = [samples[begin : begin + step] for begin in range(0, len(samples), step)]
    return np.concatenate(list(mel.columns(blocks, front)), axis=1)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 0.2, count).astype(np.float32)


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(16000 * seconds)) / 16000)).astype(np.float32)


def test_the_filters_of_facefusion_do_not_overlap() -> None:
    filters = mel.facefusion_filters()
    assert filters.shape == (80, 401)
    assert ((filters > 0).sum(axis=0) <= 1).all()
    begins = (filters > 0).argmax(axis=1)
    assert tuple(begins[: len(BINS)]) == BINS
    assert tuple(begins[-len(LAST_BINS) :]) == LAST_BINS
    assert filters[1, 3:5].tolist() == [0.5, 0.5]
    assert filters[2, 5] == 1
    assert filters[0, 2] == 1


def test_the_filters_of_the_training_overlap_and_have_equal_areas() -> None:
    filters = mel.trained_filters()
    assert filters.shape == (80, 401)
    assert ((filters > 0).sum(axis=0) <= 2).all()
    assert ((filters[:, 4:375] > 0).sum(axis=0) >= 1).all()
    # The area under a triangle is 1; with 20 Hz a bin the wide ones come near.
    assert filters[40:].sum(axis=1) * 20 == pytest.approx(np.ones(40), abs=0.03)
    assert not filters.flags.writeable
    # The lowest filters, as librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600) has them.
    assert filters.max() == pytest.approx(0.026878776, abs=1e-7)


@pytest.mark.parametrize("front", [TRAINED, FACEFUSION])
@pytest.mark.parametrize("hertz", [200.0, 900.0, 3000.0])
def test_a_tone_is_in_its_band(front: FrontEnd, hertz: float) -> None:
    bands = whole(tone(hertz), front)
    loudest = bands[:, 40].argmax()
    assert front.filters()[loudest, round(hertz / 20)] > 0


def test_a_full_scale_voice_reads_as_trained() -> None:
    """A tone of amplitude 0.5 in the middle of the levels, silence at the bottom."""
    levels = TRAINED.levels(whole(tone(1000.0)))
    assert 1.5 < levels[:, 40].max() < 3.2
    assert (TRAINED.levels(whole(np.zeros(1600, np.float32))) == -4).all()
    assert TRAINED.levels(np.array([1e9], np.float32)) == 4
    # 20·log10(1) - 20 dB, of -100 to 0 dB spread over -4 to 4.
    assert TRAINED.levels(np.array([1.0], np.float32)) == pytest.approx(8 * 0.8 - 4)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 4000), step=st.integers(1, 1500))
def test_blocks_of_any_length_give_the_same_columns(count: int, step: int) -> None:
    samples = noise(count)
    found = whole(samples, TRAINED, step)
    assert found.shape == (80, -(-count // 200) + 1)
    assert np.abs(found - whole(samples)).max() < 1e-5


def test_columns_are_centred_on_their_samples() -> None:
    samples = np.zeros(16000, np.float32)
    samples[8000] = 1
    energy = whole(samples).sum(axis=0)
    assert energy.argmax() == 40
    assert energy[39] == pytest.approx(energy[41], rel=0.01)
