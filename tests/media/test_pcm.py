from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mien.errors import CorruptMedia, InputMissing, UnsupportedMedia
from mien.media.pcm import read_sound, resampled
from tests.media.clips import make_clip, make_sound, sine


def whole(path: Path, rate: int, *how: object, **more: object) -> np.ndarray:
    return np.concatenate(list(read_sound(path, rate, *how, **more)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "encoder"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.m4a", "aac")])
def test_samples_are_those_of_the_file(tmp_path: Path, name: str, encoder: str) -> None:
    found = whole(make_sound(tmp_path / name, encoder=encoder, seconds=1.0), 48000)
    expected = sine(1.0).T
    assert abs(len(found) - 48000) <= (1024 if encoder == "aac" else 0)
    assert found.dtype == np.float32
    middle = slice(10000, 40000)
    off = np.abs(found[middle] - expected[middle])
    assert (off.mean() < 0.02) if encoder == "aac" else (off.max() < 1e-4)


def test_another_rate_keeps_the_time(tmp_path: Path) -> None:
    found = whole(make_sound(tmp_path / "a.wav", seconds=1.0), 44100)
    assert abs(len(found) - 44100) <= 2
    expected = sine(1.0, 44100).T
    assert np.abs(found[500:43000] - expected[500:43000]).max() < 0.01


def test_mono_and_whole_numbers(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "a.wav", seconds=0.5)
    mono, both = whole(path, 48000, "mono", "int16"), whole(path, 48000, "stereo", "int16")
    assert mono.shape == (24000, 1)
    assert mono.dtype == np.int16
    assert np.abs(mono[:, 0] - both.mean(axis=1)).max() <= 1.5
    assert both[:, 0].max() > 12000


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3, 99.0])
def test_no_more_is_read_than_asked_for(tmp_path: Path, seconds: float) -> None:
    path = make_sound(tmp_path / "a.wav", seconds=0.5)
    blocks = list(read_sound(path, 48000, seconds=seconds))
    assert sum(map(len, blocks)) == min(round(seconds * 48000), 24000)


def test_the_sound_of_a_video(tmp_path: Path) -> None:
    found = whole(make_clip(tmp_path / "a.mp4", audio="auto"), 16000, "mono")
    assert len(found) > 5000


def test_files_without_sound_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="no sound"):
        whole(make_clip(tmp_path / "a.mp4", audio=None), 16000)
    with pytest.raises(InputMissing):
        whole(tmp_path / "none.wav", 16000)
    (tmp_path / "torn.flac").write_bytes(b"fLaC" + bytes(range(200)))
    with pytest.raises(CorruptMedia):
        whole(tmp_path / "torn.flac", 16000)


def test_a_torn_file_gives_what_is_left(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "a.flac", encoder="flac", seconds=1.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = whole(path, 48000)
    assert 10000 < len(found) < 40000
    assert np.abs(found[1000:9000] - sine(1.0).T[1000:9000]).max() < 1e-3


@pytest.mark.parametrize("step", [100, 7777, 44100])
def test_blocks_are_resampled_as_one_sound(step: int) -> None:
    t = np.arange(44100) / 44100
    tone = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    blocks = [tone[begin : begin + step] for begin in range(0, len(tone), step)]
    found = np.concatenate(list(resampled(blocks, 44100, 16000)))
    assert abs(len(found) - 16000) <= 2
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(found[200:15000] - expected[200:15000]).max() < 2e-3


def test_nothing_is_resampled_to_nothing() -> None:
    assert sum(map(len, resampled([], 44100, 16000))) == 0
    assert sum(map(len, resampled([np.zeros(0, np.float32)], 44100, 16000))) == 0


def test_gaps_are_filled_with_silence(tmp_path: Path) -> None:
    path = tmp_path / "gap.mka"
    wave = sine(1.0)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=48000)
        stream.codec_context.layout = "stereo"
        for begin in range(0, 48000, 2400):
            packed = (wave[:, begin : begin + 2400].T * 32767).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), "s16", "stereo")
            frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
            frame.pts = begin if begin < 24000 else begin + 24000
            container.mux(stream.encode(frame))
    found = whole(path, 48000)
    expected = np.concatenate([wave.T[:24000], np.zeros((24000, 2)), wave.T[24000:]])
    assert abs(len(found) - 72000) < 100
    off = np.abs(found[:71900] - expected[:71900]).max(axis=1)
    # Matroska's times are whole milliseconds.
    assert (off > 0.02).mean() < 0.01
