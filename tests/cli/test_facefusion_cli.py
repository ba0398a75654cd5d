"""What FaceFusion's own tests check of its command line, seen from outside: exit codes, job files and outputs.

The models are stand-ins that see a green disc as a face, so that the tests run on a machine that has none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.cli.main import run
from mien.cli.program import Program
from mien.media.images import read_image
from mien.media.probe import probe
from mien.media.reader import VideoReader
from mien.media.writer import VideoSpec, VideoWriter
from tests.media.clips import make_sound

pytest.importorskip("onnx")
from tests.standins.defaults import write_defaults
from tests.standins.face_analysis import draw_face

SIZE = (426, 226)
Mien = Callable[..., int]
DEBUG = ("--processors", "face_debugger")
PROCESSORS = (
    "age_modifier",
    "background_remover",
    "deep_swapper",
    "expression_restorer",
    "face_debugger",
    "face_editor",
    "face_enhancer",
    "face_swapper",
    "frame_colorizer",
    "frame_enhancer",
    "lip_syncer",
)
MORE = {"face_editor": ("--face-editor-mouth-smile", "1")}
"""Options without which a processor changes nothing."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_defaults(folder)
    return folder


def picture(tint: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    draw_face(image, (200, 113), tint)
    return image


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source picture, a sound, and a target as picture and as video of ten frames."""
    folder = tmp_path_factory.mktemp("examples")
    cv2.imwrite(str(folder / "source.jpg"), picture(60))
    for name in ("target.jpg", "target-batch-1.jpg", "target-batch-2.jpg"):
        cv2.imwrite(str(folder / name), picture(), [cv2.IMWRITE_JPEG_QUALITY, 98])
    with VideoWriter(folder / "target.mp4", VideoSpec(*SIZE, Fraction(1, 25), Fraction(25))) as writer:
        for index in range(10):
            writer.write(picture(), index)
    make_sound(folder / "source.wav", seconds=1.0)
    return folder


@pytest.fixture
def environment(models: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if not set(PROCESSORS) <= set(Program().processors()):
        pytest.skip("the package is not installed, so that its processors are not known")
    (tmp_path / "out").mkdir()
    return {
        "MIEN_MODELS_DIR": str(models),
        "MIEN_MODELS_VERIFY": "off",
        "MIEN_OFFLINE": "on",
        "MIEN_CACHE_DIR": str(models.parent / "cache"),
    }


@pytest.fixture
def mien(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mien:
    """Runs a command line in an empty folder with a folder ``out``."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda *words: run([str(word) for word in words], Program())


def job(id: str, status: str) -> Path:
    return Path(".jobs") / status / f"{id}.json"


def steps(id: str) -> int:
    (path,) = Path(".jobs").glob(f"*/{id}.json")
    return len(json.loads(path.read_text())["steps"])


def files(examples: Path, kind: str = "jpg", *, output: str = "out/o") -> tuple[object, ...]:
    return ("-s", examples / "source.jpg", "-t", examples / f"target.{kind}", "-o", f"{output}.{kind}")


def force_failed(id: str) -> None:
    """What FaceFusion's tests do to the file of a queued job."""
    data = json.loads(job(id, "queued").read_text())
    for step in data["steps"]:
        step["status"] = "failed"
    job(id, "queued").unlink()
    job(id, "failed").write_text(json.dumps(data))


def test_list(mien: Mien) -> None:
    assert mien("job-list", "drafted") == 1
    assert mien("job-create", "list") == 0
    assert mien("job-list", "drafted") == 0
    assert mien("job-list", "queued") == 1


def test_create(mien: Mien) -> None:
    assert mien("job-create", "create") == 0
    assert job("create", "drafted").is_file()
    assert mien("job-create", "create") == 1


def test_submit(mien: Mien, examples: Path) -> None:
    assert mien("job-submit", "submit") == 1
    assert mien("job-create", "submit") == 0
    assert mien("job-submit", "submit") == 1
    assert mien("job-add-step", "submit", *files(examples)) == 0
    assert mien("job-submit", "submit") == 0
    assert job("submit", "queued").is_file()
    assert mien("job-submit", "submit") == 1


def test_submit_all(mien: Mien, examples: Path) -> None:
    assert mien("job-submit-all", "--halt-on-error") == 1
    for id in ("all-1", "all-2"):
        assert mien("job-create", id) == 0
    assert mien("job-submit-all", "--halt-on-error") == 1
    for id in ("all-1", "all-2"):
        assert mien("job-add-step", id, *files(examples)) == 0
    assert mien("job-submit-all", "--halt-on-error") == 0
    assert job("all-1", "queued").is_file()
    assert job("all-2", "queued").is_file()
    assert mien("job-submit-all", "--halt-on-error") == 1


def test_delete(mien: Mien) -> None:
    assert mien("job-delete", "delete") == 1
    assert mien("job-create", "delete") == 0
    assert mien("job-delete", "delete") == 0
    assert not job("delete", "drafted").exists()
    assert mien("job-delete", "delete") == 1


def test_delete_all(mien: Mien) -> None:
    assert mien("job-delete-all", "--halt-on-error") == 1
    for id in ("all-1", "all-2"):
        assert mien("job-create", id) == 0
    assert mien("job-delete-all", "--halt-on-error") == 0
    assert not list(Path(".jobs").glob("*/*.json"))
    assert mien("job-delete-all", "--halt-on-error") == 1


def test_add_step(mien: Mien, examples: Path) -> None:
    assert mien("job-add-step", "add", *files(examples)) == 1
    assert not list(Path(".jobs").glob("*/add.json"))
    assert mien("job-create", "add") == 0
    assert mien("job-add-step", "add", *files(examples)) == 0
    assert steps("add") == 1


def test_remix_step(mien: Mien, examples: Path) -> None:
    source = ("-s", examples / "source.jpg", "-o", "out/o.jpg")
    assert mien("job-remix-step", "remix", 0, *source) == 1
    assert mien("job-create", "remix") == 0
    assert mien("job-add-step", "remix", *files(examples)) == 0
    for count, index in ((2, "0"), (3, "-1")):
        assert mien("job-remix-step", "remix", index, *source) == 0
        assert steps("remix") == count


def test_insert_step(mien: Mien, examples: Path) -> None:
    assert mien("job-insert-step", "insert", 0, *files(examples)) == 1
    assert mien("job-create", "insert") == 0
    assert mien("job-add-step", "insert", *files(examples)) == 0
    for count, index in ((2, "0"), (3, "-1")):
        assert mien("job-insert-step", "insert", index, *files(examples)) == 0
        assert steps("insert") == count


def test_remove_step(mien: Mien, examples: Path) -> None:
    assert mien("job-remove-step", "remove", 0) == 1
    assert mien("job-create", "remove") == 0
    for _ in range(2):
        assert mien("job-add-step", "remove", *files(examples)) == 0
    assert mien("job-remove-step", "remove", 0) == 0
    assert steps("remove") == 1
    assert mien("job-remove-step", "remove", "-1") == 0
    assert mien("job-remove-step", "remove", "-1") == 1
    assert steps("remove") == 0


def test_run(mien: Mien, examples: Path) -> None:
    assert mien("job-run", "run") == 1
    assert mien("job-create", "run") == 0
    assert mien("job-add-step", "run", *DEBUG, *files(examples)) == 0
    assert mien("job-run", "run") == 1
    assert mien("job-submit", "run") == 0
    assert mien("job-run", "run") == 0
    assert mien("job-run", "run") == 1
    assert Path("out/o.jpg").is_file()


def two_jobs(mien: Mien, examples: Path) -> None:
    """One of a picture, one of two steps that write the same video."""
    assert mien("job-create", "picture") == 0
    assert mien("job-create", "video") == 0
    assert mien("job-add-step", "picture", *DEBUG, *files(examples)) == 0
    for _ in range(2):
        assert mien("job-add-step", "video", *DEBUG, *files(examples, "mp4"), "--trim-frame-end", 1) == 0
    assert mien("job-run-all", "--halt-on-error") == 1
    assert mien("job-retry-all", "--halt-on-error") == 1
    assert mien("job-submit-all", "--halt-on-error") == 0


def check_two_jobs() -> None:
    video = probe(Path("out/o.mp4")).video
    assert video is not None
    assert video.frame_count == 2
    assert sorted(os.listdir("out")) == ["o.jpg", "o.mp4"]


def test_run_all(mien: Mien, examples: Path) -> None:
    two_jobs(mien, examples)
    assert mien("job-run-all", "--halt-on-error") == 0
    assert mien("job-run-all", "--halt-on-error") == 1
    check_two_jobs()


def test_retry(mien: Mien, examples: Path) -> None:
    assert mien("job-retry", "retry") == 1
    assert mien("job-create", "retry") == 0
    assert mien("job-add-step", "retry", *DEBUG, *files(examples)) == 0
    assert mien("job-submit", "retry") == 0
    assert mien("job-retry", "retry") == 1
    force_failed("retry")
    assert mien("job-retry", "retry") == 0
    assert mien("job-retry", "retry") == 1
    assert Path("out/o.jpg").is_file()


def test_retry_all(mien: Mien, examples: Path) -> None:
    two_jobs(mien, examples)
    force_failed("picture")
    force_failed("video")
    assert mien("job-retry-all", "--halt-on-error") == 0
    assert mien("job-retry-all", "--halt-on-error") == 1
    check_two_jobs()


def test_batch_of_targets(mien: Mien, examples: Path) -> None:
    targets = examples / "target-batch-*.jpg"
    assert mien("batch-run", *DEBUG, "-t", targets, "-o", "out/batch-{index}.jpg") == 0
    assert sorted(os.listdir("out")) == ["batch-0.jpg", "batch-1.jpg"]


def test_batch_of_sources_and_targets(mien: Mien, examples: Path) -> None:
    pattern = examples / "target-batch-*.jpg"
    assert mien("batch-run", "-s", pattern, "-t", pattern, "-o", "out/batch-{index}.jpg") == 0
    assert sorted(os.listdir("out")) == [f"batch-{index}.jpg" for index in range(4)]


@pytest.mark.parametrize("kind", ["jpg", "mp4"])
@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_processor_works_on_pictures_and_videos(
    mien: Mien, examples: Path, processor: str, kind: str
) -> None:
    source = ("-s", examples / ("source.wav" if processor == "lip_syncer" else "source.jpg"))
    trim = ("--trim-frame-end", 1) if kind == "mp4" else ()
    words = ("--processors", processor, *source, *files(examples, kind)[2:], *trim, *MORE.get(processor, ()))
    assert mien("headless-run", *words) == 0
    assert [path.name for path in Path("out").iterdir()] == [f"o.{kind}"]
    found = first_picture(Path(f"out/o.{kind}")).astype(int)
    before = first_picture(examples / f"target.{kind}").astype(int)
    assert np.abs(found - before).max() > 30, "nothing was done"


def first_picture(path: Path) -> np.ndarray[Any, Any]:
    if path.suffix == ".jpg":
        return read_image(path).pixels
    with VideoReader(path) as reader:
        (first, *_) = (frame.image.copy() for frame in reader)
    return first


@pytest.mark.parametrize(
    ("scale", "size"), [("0.5", (212, 112)), ("1.0", SIZE), ("2.0", (852, 452)), ("8.0", (3408, 1808))]
)
@pytest.mark.parametrize("kind", ["jpg", "mp4"])
def test_the_output_is_scaled(
    mien: Mien, examples: Path, kind: str, scale: str, size: tuple[int, int]
) -> None:
    medium = "image" if kind == "jpg" else "video"
    words = ("--processors", "frame_enhancer", *files(examples, kind)[2:], f"--output-{medium}-scale", scale)
    assert mien("headless-run", *words, "--trim-frame-end", 1) == 0
    found = first_picture(Path(f"out/o.{kind}"))
    assert found.shape == (size[1], size[0], 3)


def test_a_job_from_another_program(examples: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """The life of a job, each command a process of its own as scripts call it."""

    def program(*words: object) -> int:
        command = [sys.executable, "-m", "mien", *map(str, words), "--jobs-path", "jobs of scripts"]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True)
        return done.returncode

    assert program("job-run", "script") == 1
    assert program("job-create", "script") == 0
    assert program("job-add-step", "script", *DEBUG, *files(examples)) == 0
    assert program("job-add-step", "script", "--execution-thread-count", 2) == 2
    assert program("job-submit", "script") == 0
    assert program("job-run", "script") == 0
    assert program("job-list", "completed") == 0
    assert os.listdir(tmp_path / "out") == ["o.jpg"]
