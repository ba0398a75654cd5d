"""Jobs on real media over the built-in models: what goes wrong elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from mien.cli.main import run
from mien.cli.program import Program
from mien.cli.showcase import with_sound, write_chord
from mien.media.probe import probe
from mien.media.writer import VideoSpec, VideoWriter

if TYPE_CHECKING:
    from mien.models.store import ModelStore

Mien = Callable[..., int]
COVER = ("--processors", "face_anonymizer", "--output-video-preset", "ultrafast")


@pytest.fixture
def mien(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builtin_store: ModelStore) -> Mien:
    if "face_anonymizer" not in Program().processors():
        pytest.skip("the package is not installed, so that its processors are not known")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_WORK_DIR", str(tmp_path / "parts"))
    return lambda *words: run([str(word) for word in words], Program())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds of grey with a chord."""
    with VideoWriter(tmp_path / "silent.mp4", VideoSpec(96, 64, Fraction(1, 25), Fraction(25))) as writer:
        for index in range(50):
            writer.write(np.full((64, 96, 3), 40 + 3 * index, np.uint8), index)
    write_chord(tmp_path / "chord.wav")
    with_sound(tmp_path / "silent.mp4", tmp_path / "chord.wav", tmp_path / "clip.mp4")
    return tmp_path / "clip.mp4"


def test_two_trims_of_one_clip_are_joined_with_their_sound(mien: Mien, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "it's 100% [joined].mp4"
    assert mien("job-create", "cut") == 0
    for start, end, quality in ((0, 5, 80), (10, 50, 60)):
        trim = ("--trim-frame-start", start, "--trim-frame-end", end, "--output-video-quality", quality)
        assert mien("job-add-step", "cut", "-t", clip, "-o", output, *COVER, *trim) == 0
    assert mien("job-submit", "cut") == 0
    assert mien("job-run", "cut") == 0
    info = probe(output)
    assert info.video is not None
    assert info.video.frame_count == 45
    assert info.audio is not None
    assert info.duration == pytest.approx(45 / 25, abs=0.06)


def test_a_second_step_sees_the_whole_of_a_new_file_of_the_same_name(
    mien: Mien, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    assert mien("job-create", "two") == 0
    first = ("-t", clip, "-o", tmp_path / "sub" / "clip.mp4", "--trim-frame-end", 10)
    assert mien("job-add-step", "two", *first, *COVER) == 0
    assert mien("job-add-step", "two", "-t", clip, "-o", tmp_path / "all.mp4", *COVER) == 0
    assert mien("job-submit", "two") == 0
    assert mien("job-run", "two") == 0
    counts = [probe(path).video for path in (tmp_path / "sub" / "clip.mp4", tmp_path / "all.mp4")]
    assert [video.frame_count for video in counts if video] == [10, 50]


def test_a_lower_rate_keeps_the_length_and_the_sound_is_there(mien: Mien, clip: Path, tmp_path: Path) -> None:
    words = ("headless-run", "-t", clip, "-o", tmp_path / "o.mp4", *COVER, "--output-video-fps", 10)
    assert mien(*words) == 0
    info = probe(tmp_path / "o.mp4")
    assert info.duration == pytest.approx(2.0, abs=0.11)
    assert info.audio is not None


def test_a_picture_without_a_face_is_refused_or_copied(mien: Mien, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.full((64, 96), 90, np.uint8))
    words = ("headless-run", "-t", grey, "-o", tmp_path / "o.png", "--processors", "face_anonymizer")
    assert mien(*words) == 1
    assert not (tmp_path / "o.png").exists()
    assert mien(*words, "--workflow-no-face", "keep") == 0
    assert np.array_equal(cv2.imread(str(tmp_path / "o.png")), cv2.imread(str(grey)))


def test_a_benchmark_measures_whole_runs(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    words = ("benchmark", "--benchmark-cycle-count", 1, "--processors", "face_anonymizer", "--json")
    assert mien(*words, "--benchmark-mode", "cold") == 0
    report = json.loads(capsys.readouterr().out)
    (row,) = report["results"]
    assert row["cycle_count"] == 1
    assert row["frames"] == 50
    assert row["relative_fps"] > 0
    assert {"models", "analyse", "process", "join"} <= row["stages"].keys()
