"""The real program over the built-in models: swaps, and what it refuses, each with one sentence and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from mien.cli.main import run
from mien.cli.program import Program
from mien.cli.showcase import make_clip
from mien.media.images import read_image
from mien.media.probe import probe
from mien.safety.marking import read_marks
from mien.types import Box

if TYPE_CHECKING:
    from mien.models.store import ModelStore

Mien = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def portraits(builtin_store: ModelStore) -> tuple[Path, Path]:
    if not Program().processors():
        pytest.skip("the package is not installed, so that its processors are not known")
    return builtin_store.path("sample_astronaut"), builtin_store.path("sample_hopper")


@pytest.fixture
def mien(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mien:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_WORK_DIR", str(tmp_path / "work-area"))
    return lambda *words: run([str(word) for word in words], Program())


def test_a_swap_changes_the_face_and_nothing_else(
    mien: Mien, portraits: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    source, target = portraits
    output = tmp_path / "out.png"
    assert mien("swap", source, target, "-o", output, "--face-swapper-model", "mesh", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["kind"], result["faces"]) == ("image", 1)
    assert mien("faces", target, "--json") == 0
    (face,) = json.loads(capsys.readouterr().out)["faces"]
    x1, y1, x2, y2 = (round(edge) for edge in face["box"])
    change = cv2.absdiff(cv2.imread(str(output)), cv2.imread(str(target))).max(axis=2)
    assert change[y1:y2, x1:x2].mean() > 8
    margin = round(0.4 * (y2 - y1))
    change[max(y1 - margin, 0) : y2 + margin, max(x1 - margin, 0) : x2 + margin] = 0
    assert change.max() <= 2


def test_faces_are_drawn_into_a_copy(mien: Mien, portraits: tuple[Path, Path], tmp_path: Path) -> None:
    before = cv2.imread(str(portraits[1]))
    assert mien("faces", portraits[1], "--draw", tmp_path / "drawn.png", "--quiet") == 0
    after = cv2.imread(str(tmp_path / "drawn.png"))
    assert after.shape == before.shape
    assert 0.001 < (cv2.absdiff(after, before).max(axis=2) > 30).mean() < 0.2


def _png(path: Path, width: int, height: int) -> Path:
    path.write_bytes(cv2.imencode(".png", np.full((height, width, 3), 90, np.uint8))[1].tobytes())
    return path


def _huge(path: Path) -> Path:
    """A PNG whose header promises 20,000 × 20,000 pixels."""
    data = bytearray(_png(path, 8, 8).read_bytes())
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def _cut(path: Path, whole: Path) -> Path:
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    return path


def _text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


REFUSED: dict[str, tuple[Callable[[Path, Path], Path], int]] = {
    "missing": (lambda folder, portrait: folder / "none.jpg", 11),
    "empty": (lambda folder, portrait: _text(folder / "empty.jpg", ""), 13),
    "a folder": (lambda folder, portrait: folder, 11),
    "text": (lambda folder, portrait: _text(folder / "text.png", "hello"), 12),
    "truncated": (lambda folder, portrait: _cut(folder / "cut.jpg", portrait), 13),
    "playlist": (lambda folder, portrait: _text(folder / "list.mp4", "#EXTM3U\nfile:///etc/passwd\n"), 15),
    "no face": (lambda folder, portrait: _png(folder / "plain.png", 320, 240), 16),
    "one pixel": (lambda folder, portrait: _png(folder / "pixel.png", 1, 1), 16),
    "huge": (lambda folder, portrait: _huge(folder / "huge.png"), 14),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("role", ["source", "target"])
def test_what_cannot_be_worked_on_is_refused(
    mien: Mien, portraits: tuple[Path, Path], tmp_path: Path, capsys: Capture, case: str, role: str
) -> None:
    make, code = REFUSED[case]
    (tmp_path / "in").mkdir()
    bad = make(tmp_path / "in", portraits[1])
    before = _names(tmp_path)
    ending = bad.suffix or ".png"
    files = (bad, portraits[1]) if role == "source" else (portraits[1], bad)
    output = tmp_path / f"out{ending if role == 'target' else '.png'}"
    assert mien("swap", *files, "-o", output, "--quiet", "--face-swapper-model", "mesh") == code
    err = capsys.readouterr().err
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    assert bad.name in err
    assert _names(tmp_path) == before


def test_outputs_that_cannot_be_written_are_refused(
    mien: Mien, portraits: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    source, target = portraits
    own = tmp_path / "own.jpg"
    own.write_bytes(target.read_bytes())
    link = tmp_path / "link.jpg"
    os.link(own, link)
    before = _names(tmp_path)
    for output, code in (
        (tmp_path / "none" / "o.png", 21),
        (own / "o.png", 21),
        (own, 23),
        (link, 23),
        (tmp_path / "o.xyz", 12),
    ):
        assert mien("swap", source, own, "-o", output, "--quiet") == code
        err = capsys.readouterr().err
        assert err.startswith("mien: ")
        assert err.count("\n") == 1
    assert _names(tmp_path) == before
    assert own.read_bytes() == target.read_bytes()


def _names(folder: Path) -> set[str]:
    """All files in the folder; the work area may keep empty folders."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_demo_shows_everything(
    mien: Mien, portraits: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    assert mien("demo", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    files = [tmp_path / name for name in report["files"]]
    assert [path.name for path in files] == [
        "contact-sheet.png",
        "astronaut-on-hopper.jpg",
        "hopper-on-astronaut.jpg",
        "clip.mp4",
        "clip-swapped.mp4",
    ]
    clip, swapped = probe(files[3]), probe(files[4])
    assert clip.video is not None
    assert swapped.video is not None
    assert (clip.width, clip.height, clip.video.frame_count) == (640, 480, 125)
    assert swapped.video.frame_count == 125
    assert clip.audio is not None
    assert swapped.audio == clip.audio
    assert read_marks(files[0]) is not None
    assert cv2.imread(str(files[0])).shape[1] > 1000


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupted_video_goes_on_where_it_stopped(portraits: tuple[Path, Path], tmp_path: Path) -> None:
    clip, output, area = tmp_path / "clip.mp4", tmp_path / "out.mp4", tmp_path / "area"
    make_clip(read_image(portraits[0]).pixels, Box(170, 70, 275, 200), clip)
    command = [
        sys.executable,
        "-m",
        "mien",
        "swap",
        str(portraits[1]),
        str(clip),
        "-o",
        str(output),
        "--json",
    ]
    command += ["--face-swapper-model", "mesh", "--temp-path", str(area), "--trim-frame-end", "70"]
    environment = {**os.environ, "MIEN_SEGMENT_SECONDS": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(area.rglob("seg*.*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out)["error"]["code"] == "canceled"
    assert "Traceback" not in err
    assert not output.exists()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert result["resumed_segments"] >= 1
    assert result["frames"] == 70
    assert not [path for path in area.rglob("*") if path.is_file() and path.suffix not in (".lock", ".json")]
