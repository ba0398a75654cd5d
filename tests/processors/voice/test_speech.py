from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from mien.errors import UnsupportedMedia
from mien.processors.voice.mel import FACEFUSION, TRAINED
from mien.processors.voice.separation import VoiceExtractor
from mien.processors.voice.speech import Speech, fourier_resampled, read_speech, silence
from tests.media.clips import make_clip, make_sound
from tests.processors.standin_run import StandIns


def numbered(count: int) -> Speech:
    """Each column has a loudness of its own, rising from -4 to 4."""
    levels = np.linspace(-3.9, 3.9, count)
    return Speech(np.tile(10 ** ((levels - 2.4) / 1.6), (80, 1)).astype(np.float32), TRAINED)


def column(speech: Speech, window: np.ndarray, position: int) -> int:
    """Which column of the speech stands at a position of a window."""
    levels = speech.front.levels(speech.bands[:1])[0]
    return int(np.abs(levels - window[0, position]).argmin())


@pytest.fixture(scope="module")
def extractor(standins: StandIns) -> VoiceExtractor:
    return VoiceExtractor("kim_vocal_2", standins.session("kim_vocal_2"))


@pytest.mark.parametrize("time", [0.0, 0.2, 1.0, 2.5, 10.0])
def test_windows_begin_with_their_frame(time: float) -> None:
    speech = numbered(1000)
    window = speech.at(time)
    assert window.shape == (80, 16)
    assert [column(speech, window, place) for place in (0, 15)] == [round(time * 80), round(time * 80) + 15]


def test_windows_may_lead() -> None:
    speech = numbered(1000)
    assert column(speech, speech.at(2.0, lead=0.5), 0) == 120


@pytest.mark.parametrize("rate", [10, 23.976, 25, 29.97, 60, 240])
def test_any_frame_rate(rate: float) -> None:
    speech = numbered(1000)
    for number in (0, 7, int(rate * 3)):
        expected = int(np.floor(number / rate * 80 + 1e-6))
        assert column(speech, speech.at(number / rate), 0) == expected


def test_before_and_behind_the_sound_there_is_silence() -> None:
    speech = numbered(100)
    assert (speech.at(-5.0) == -4).all()
    assert (speech.at(9.0) == -4).all()
    part = speech.at(0.0, lead=0.1)
    assert (part[:, :8] == -4).all()
    assert column(speech, part, 8) == 0
    end = speech.at(1.2)
    assert column(speech, end, 3) == 99
    assert (end[:, 4:] == -4).all()


def test_speech_goes_on_beyond_seven_minutes() -> None:
    """FaceFusion's numbers of columns wrap at 32768, after 409.6 seconds."""
    bands = np.zeros((80, 40_000), np.float32)
    bands[:, 36_000:] = 0.5
    assert (Speech(bands, TRAINED).at(460.0) > 1).all()
    compat = Speech(bands, FACEFUSION)
    assert (compat.at_frame(460 * 25, 25.0) == -4).all()
    assert (compat.at_frame(200 * 25, 25.0) == -4).all()


def test_facefusions_windows_end_at_frames_and_are_moved_to_the_front() -> None:
    speech = numbered(400)
    assert column(speech, speech.at_frame(0, 25.0), 0) == 0
    # Ends 0, 3, 6, 9, 12 are dropped, so number 0 has the end 16 and number 3 the end 25.
    assert column(speech, speech.at_frame(3, 25.0), 15) == 24
    assert (speech.at_frame(10_000, 25.0) == -4).all()
    assert (speech.at_frame(-1, 25.0) == -4).all()


@pytest.mark.parametrize("compat", [False, True])
def test_a_sound_is_heard_where_it_is(tmp_path: Path, extractor: VoiceExtractor, compat: bool) -> None:
    path = make_sound(tmp_path / "voice.wav", seconds=2.0)
    speech = read_speech(path, extractor, compat=compat)
    assert speech.bands.shape == (80, 161)
    # The pitch rises by 200 Hz a second from 300 Hz: the loudest band follows.
    loudest = speech.bands[:, 20:140].argmax(axis=0)
    filters = speech.front.filters()
    for at in (0, 60, 119):
        hertz = 300 + 200 * (at + 20) / 80
        assert filters[loudest[at]] @ (np.abs(np.arange(401) * 20 - hertz) < 45) > 0


def test_quiet_voices_are_brought_to_full_loudness(tmp_path: Path, extractor: VoiceExtractor) -> None:
    """The stand-in lets half through, which must not matter."""
    speech = read_speech(make_sound(tmp_path / "voice.wav", seconds=1.0), extractor)
    assert 1.0 < TRAINED.levels(speech.bands).max() < 3.0


def write_wave(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def test_hiss_is_not_taken_for_a_voice(tmp_path: Path, extractor: VoiceExtractor) -> None:
    """FaceFusion brings whatever is left to full loudness, and lips move to it."""
    hiss = write_wave(tmp_path / "hiss.wav", np.random.default_rng(0).integers(-2, 3, 16000))
    own, theirs = (read_speech(hiss, extractor, compat=compat) for compat in (False, True))
    assert own.at(0.3).max() < -1
    assert theirs.at_frame(6, 25.0).max() > -1


@pytest.mark.parametrize("compat", [False, True])
def test_silence_is_silence(tmp_path: Path, extractor: VoiceExtractor, compat: bool) -> None:
    """FaceFusion divides by the loudest sample, which is 0."""
    path = write_wave(tmp_path / "quiet.wav", np.zeros(16000))
    speech = read_speech(path, extractor, compat=compat)
    assert (speech.at(0.2) == -4).all()
    assert (speech.at_frame(2, 25.0) == silence(speech.front)).all()


def test_no_more_is_read_than_the_video_needs(tmp_path: Path, extractor: VoiceExtractor) -> None:
    speech = read_speech(make_sound(tmp_path / "voice.wav", seconds=5.0), extractor, seconds=1.0)
    assert 80 <= speech.bands.shape[1] <= 82


def test_a_file_without_sound_is_refused(tmp_path: Path, extractor: VoiceExtractor) -> None:
    clip = make_clip(tmp_path / "mute.mp4", audio=None)
    with pytest.raises(UnsupportedMedia, match="no sound"):
        read_speech(clip, extractor)


def test_resampling_cuts_what_the_lower_rate_cannot_hold() -> None:
    t = np.arange(4800) / 48000
    low, high = np.sin(2 * np.pi * 1000 * t), np.sin(2 * np.pi * 12000 * t)
    found = fourier_resampled((low + high).astype(np.float32), 48000, 16000)
    expected = np.sin(2 * np.pi * 1000 * np.arange(1600) / 16000)
    assert np.abs(found - expected).max() < 1e-4
    assert fourier_resampled(np.zeros(0, np.float32), 48000, 16000).size == 0
