from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import mien
from mien.errors import InputMissing, OptionError
from mien.media.images import read_image
from mien.models.store import ModelStore
from mien.pipeline.engine import Engine
from mien.pipeline.step import Step
from mien.processors.base import Processor
from mien.processors.face_anonymizer import FaceAnonymizer
from mien.processors.face_swapper import FaceSwapper
from mien.settings import Settings
from tests.pipeline.clips import decoded, make_clip
from tests.pipeline.fakes import fake_engine

REAL: dict[str, Processor[Any, Any]] = {"face_swapper": FaceSwapper(), "face_anonymizer": FaceAnonymizer()}


def test_detect_in_a_picture_and_in_a_frame_of_a_video(tmp_path: Path) -> None:
    image = np.full((60, 80, 3), 40, np.uint8)
    image[20:40, 30:50] = (0, 255, 0)
    cv2.imwrite(str(tmp_path / "scene.png"), image)
    clip = make_clip(tmp_path / "clip.mp4", 30, sound=False)
    with fake_engine(tmp_path) as engine:
        found, (face,) = engine.detect(tmp_path / "scene.png")
        np.testing.assert_array_equal(found, image)
        assert face.box.as_tuple() == (30, 20, 50, 40)
        for number, x in ((0, 0), (10, 20), (29, 58), (1000, 58)):
            _, (face,) = engine.detect(clip, frame=number)
            assert face.box.x1 == pytest.approx(x, abs=2)
        with pytest.raises(InputMissing):
            engine.detect(tmp_path / "nothing.png")
        with pytest.raises(OptionError, match="did you mean face_detector_score"):
            engine.detect(clip, {"face_detector_scor": 0.3})


def test_opencv_has_no_threads_of_its_own_during_a_run(tmp_path: Path) -> None:
    cv2.setNumThreads(3)
    cv2.imwrite(str(tmp_path / "in.png"), np.zeros((8, 8, 3), np.uint8))
    with fake_engine(tmp_path) as engine:
        engine.run(Step(tmp_path / "in.png", tmp_path / "out.png", processors=("inverter",)))
    assert cv2.getNumThreads() == 1


def face_change(before: np.ndarray, after: np.ndarray, box: mien.Box) -> tuple[float, float]:
    """Mean change inside the box, and the largest change far outside of it."""
    difference = np.abs(before.astype(int) - after.astype(int)).max(2)
    inner = tuple(round(value) for value in box.as_tuple())
    outer = tuple(round(value) for value in box.expanded(0.6).as_tuple())
    outside = difference.copy()
    outside[max(outer[1], 0) : outer[3], max(outer[0], 0) : outer[2]] = 0
    return float(difference[inner[1] : inner[3], inner[0] : inner[2]].mean()), float(outside.max())


def test_the_built_in_swap_of_two_portraits(
    builtin_store: ModelStore, builtin_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.pipeline.engine.Registry", lambda: REAL)
    target, source = (builtin_store.path(name) for name in ("sample_astronaut", "sample_hopper"))
    result = mien.swap(
        source, target, tmp_path / "out.png", settings=builtin_settings, face_swapper_model="mesh"
    )
    assert (result.faces, result.notices) == (1, ())
    assert "face_mesh" in result.models
    with Engine(builtin_settings, processors=REAL) as engine:
        image, (face, *_) = engine.detect(target)
    changed, elsewhere = face_change(image, read_image(tmp_path / "out.png").pixels, face.box)
    assert changed > 8
    assert elsewhere == 0


def test_the_built_in_models_on_a_video(
    builtin_store: ModelStore, builtin_settings: Settings, tmp_path: Path
) -> None:
    portrait = read_image(builtin_store.path("sample_astronaut")).pixels[:256, 100:356]
    clip = tmp_path / "clip.mkv"
    write_portrait(clip, portrait, 30)
    settings = builtin_settings.model_copy(update={"segment_seconds": 0.8, "work_dir": tmp_path / "work"})
    with Engine(settings, processors=REAL) as engine:
        _, (face, *_) = engine.detect(clip)
        swap = Step(clip, tmp_path / "swap.mp4", builtin_store.path("sample_hopper"))  # type: ignore[arg-type]
        cover = Step(clip, tmp_path / "cover.mp4", processors=("face_anonymizer",))
        results = [engine.run(step) for step in (swap, cover)]
    for result in results:
        assert (result.frames, result.faces) == (30, 30)
        for before, after in zip(decoded(clip), decoded(result.output), strict=True):
            changed, _ = face_change(before, after, face.box)
            assert changed > 5


def write_portrait(path: Path, portrait: np.ndarray, frames: int) -> None:
    from fractions import Fraction

    from mien.media.writer import VideoSpec, VideoWriter

    height, width = portrait.shape[:2]
    with VideoWriter(path, VideoSpec(width, height, Fraction(1, 1000), Fraction(25), quality=75)) as writer:
        for number in range(frames):
            move = np.array([[1, 0, np.sin(number / 6) * 4], [0, 1, np.cos(number / 5) * 3]], np.float32)
            moved = cv2.warpAffine(portrait, move, (width, height), borderMode=cv2.BORDER_REFLECT)
            writer.write(np.asarray(moved, np.uint8), number * 40)
