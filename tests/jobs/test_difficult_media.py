"""Jobs on media that go wrong elsewhere. Every frame carries its number, which stays readable."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.cli.main import run
from mien.cli.program import Program
from mien.media.pcm import read_sound
from mien.media.probe import probe
from mien.media.reader import VideoReader
from tests.media.clips import draw, frame_number, make_clip

pytest.importorskip("onnx")
from tests.standins.redrawing import ddcolor

Mien = Callable[..., int]
COLOR = ("--processors", "frame_colorizer", "--frame-colorizer-size", "192x192")
"""Paints everything in one hue and leaves it as bright as it was."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    ddcolor(folder / "ddcolor.onnx", 20, -20)
    return folder


@pytest.fixture
def mien(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mien:
    if "frame_colorizer" not in Program().processors():
        pytest.skip("the package is not installed, so that its processors are not known")
    monkeypatch.setenv("MIEN_MODELS_DIR", str(models))
    monkeypatch.setenv("MIEN_MODELS_VERIFY", "off")
    monkeypatch.setenv("MIEN_OFFLINE", "on")
    monkeypatch.setenv("MIEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MIEN_SEGMENT_SECONDS", "0.5")
    monkeypatch.chdir(tmp_path)
    return lambda *words: run([str(word) for word in words], Program())


def seen(path: str | Path) -> tuple[list[float], list[int]]:
    """When each frame is shown, and its number."""
    with VideoReader(Path(path)) as reader:
        rows = [(frame.time, frame_number(frame.image)) for frame in reader]
    return [time for time, _ in rows], [number for _, number in rows]


def pitch(path: str | Path, begin: float) -> float:
    """The strongest frequency, in Hz, of a quarter of a second of sound; 0 for silence."""
    wave = np.concatenate([block[:, 0] for block in read_sound(Path(path), 8000)])
    part = wave[round(begin * 8000) :][:2000]
    if np.sqrt(np.mean(part**2)) < 0.05:
        return 0.0
    return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part)), 16000)))) / 2


def expected_pitch(begin: float) -> float:
    """That of ``clips.sine``, whose phase is 300·t + 100·t²."""
    return 300 + 200 * (begin + 0.125)


def test_the_second_step_of_a_chain_sees_the_length_of_the_first_result(mien: Mien) -> None:
    make_clip(Path("clip.mp4"), frames=40, audio="aac")
    Path("out").mkdir()
    assert mien("job-create", "chain") == 0
    trim = ("--trim-frame-start", 8, "--trim-frame-end", 32)
    assert mien("job-add-step", "chain", "-t", "clip.mp4", "-o", "out/clip.mp4", *COLOR, *trim) == 0
    assert mien("job-remix-step", "chain", 0, "-o", "out/second.mp4", *COLOR, "--trim-frame-start", 4) == 0
    assert mien("job-add-step", "chain", "-t", "clip.mp4", "-o", "out/whole.mp4", *COLOR) == 0
    assert mien("job-submit", "chain") == 0
    assert mien("job-run", "chain") == 0
    assert seen("out/clip.mp4")[1] == [*range(8, 32)]
    assert seen("out/second.mp4")[1] == [*range(12, 32)]
    assert seen("out/whole.mp4")[1] == [*range(40)]
    for name, begin, frames in (("clip", 8, 24), ("second", 12, 20), ("whole", 0, 40)):
        assert probe(Path(f"out/{name}.mp4")).duration == pytest.approx(frames / 25, abs=0.05)
        assert pitch(f"out/{name}.mp4", 0.2) == pytest.approx(expected_pitch(begin / 25 + 0.2), abs=8)


def test_the_sound_of_an_mp4_is_heard_without_any_option(mien: Mien) -> None:
    make_clip(Path("clip.mkv"), frames=30, audio="flac")
    assert mien("headless-run", "-t", "clip.mkv", "-o", "out.mp4", *COLOR) == 0
    assert pitch("out.mp4", 0.5) == pytest.approx(expected_pitch(0.5), abs=8)


def test_a_lower_rate_leaves_frames_out_and_keeps_moments(mien: Mien) -> None:
    make_clip(Path("clip.mp4"), frames=50, audio="aac")
    assert mien("headless-run", "-t", "clip.mp4", "-o", "out.mp4", *COLOR, "--output-video-fps", 10) == 0
    times, numbers = seen("out.mp4")
    assert times == pytest.approx([index / 10 for index in range(20)], abs=0.001)
    assert np.abs(np.array(numbers) / 25 - times).max() <= 0.04
    assert pitch("out.mp4", 1.5) == pytest.approx(expected_pitch(1.5), abs=8)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_is_upright(mien: Mien, rotation: int) -> None:
    make_clip(Path("clip.mp4"), frames=15, rotation=rotation)
    assert mien("headless-run", "-t", "clip.mp4", "-o", "out.mp4", *COLOR) == 0
    assert seen("out.mp4")[1] == [*range(15)]
    video = probe(Path("out.mp4")).video
    assert video is not None
    assert (video.width, video.height, video.rotation) == (320, 240, 0)


def test_a_video_of_high_dynamic_range_becomes_an_ordinary_one(mien: Mien) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1}
    make_clip(Path("clip.mp4"), frames=15, encoder="libx265", pixel_format="yuv420p10le", tags=tags)
    assert mien("headless-run", "-t", "clip.mp4", "-o", "out.mp4", *COLOR) == 0
    assert seen("out.mp4")[1] == [*range(15)]
    video = probe(Path("out.mp4")).video
    assert video is not None
    assert (video.color.transfer, video.color.matrix) == (1, 1)
    with VideoReader(Path("out.mp4")) as reader:
        first = next(iter(reader)).image
    assert np.ptp(cv2.cvtColor(first[30:], cv2.COLOR_BGR2GRAY)) > 40, "black or flat"


def test_irregular_times_are_kept(mien: Mien) -> None:
    gaps = np.random.default_rng(3).integers(200, 2000, 40)
    times = [0, *np.cumsum(gaps).tolist()]
    make_clip(Path("clip.mp4"), times=times, audio="aac")
    assert mien("headless-run", "-t", "clip.mp4", "-o", "out.mp4", *COLOR) == 0
    found, numbers = seen("out.mp4")
    assert numbers == [*range(41)]
    assert found == pytest.approx([time / 12800 for time in times], abs=1e-4)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_grey_picture_can_be_painted(mien: Mien, bits: int) -> None:
    grey = cv2.cvtColor(draw(5), cv2.COLOR_BGR2GRAY)
    cv2.imwrite("grey.png", grey if bits == 8 else grey.astype(np.uint16) * 257)
    assert mien("headless-run", "-t", "grey.png", "-o", "out.png", *COLOR) == 0
    found = cv2.imread("out.png")
    assert found.shape == (240, 320, 3)
    assert frame_number(found) == 5
    assert np.ptp(found[200, 100].astype(int)) > 20


@pytest.mark.parametrize("name", ["it's 100% [a]*? ünï 名", '-dash "q" $HOME;x'])
def test_names_need_no_care(mien: Mien, name: str) -> None:
    """As target and as the output of two steps that are joined; with a leading dash it is written behind ``=``."""
    make_clip(Path(f"{name}.mp4"), frames=6)
    assert mien("job-create", "names") == 0
    for _ in range(2):
        words = (f"--target-path={name}.mp4", f"--output-path={name}-out.mp4", *COLOR)
        assert mien("job-add-step", "names", *words) == 0
    assert mien("job-submit", "names") == 0
    assert mien("job-run", "names") == 0
    assert seen(f"{name}-out.mp4")[1] == [*range(6), *range(6)]
    assert sorted(path.name for path in Path().iterdir() if path.is_file()) == sorted(
        [f"{name}.mp4", f"{name}-out.mp4"]
    )


def test_clips_of_one_name_do_not_meet(mien: Mien) -> None:
    """Elsewhere temporary files go by the base name of the target."""
    for folder, frames in (("a", 10), ("b", 20)):
        Path(folder).mkdir()
        make_clip(Path(folder) / "clip.mp4", frames=frames, rate=Fraction(25))
    pattern, output = "?/clip.mp4", "{index}-{target_name}{target_extension}"
    assert mien("batch-run", "-t", pattern, "-o", output, *COLOR) == 0
    assert seen("0-clip.mp4")[1] == [*range(10)]
    assert seen("1-clip.mp4")[1] == [*range(20)]
