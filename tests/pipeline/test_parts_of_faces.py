"""Parts of a video in which faces are swapped, by the built-in models and by stand-ins of downloaded ones."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from mien.media.images import read_image
from mien.media.writer import VideoSpec, VideoWriter
from mien.pipeline.engine import Engine
from mien.pipeline.step import Step
from mien.processors.face_swapper import FaceSwapper
from mien.settings import Settings
from tests.pipeline.machines import assert_same, made_apart, whole
from tests.pipeline.neural import LEFT, make_people_clip, neural_engine, people, write_picture

if TYPE_CHECKING:
    from mien.models.store import ModelStore

SIZE = (400, 240)
FRAMES = 60


@pytest.fixture(scope="module")
def couple(builtin_store: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of two portraits that move towards each other."""
    faces = [read_image(builtin_store.path(name)).pixels for name in ("sample_astronaut", "sample_hopper")]
    path = tmp_path_factory.mktemp("couple") / "clip.mp4"
    with VideoWriter(path, VideoSpec(*SIZE, Fraction(1, 25), Fraction(25), quality=90)) as writer:
        for number in range(FRAMES):
            image = np.full((SIZE[1], SIZE[0], 3), (90, 120, 100), np.uint8)
            for face, x, scale in zip(faces, (number / 3, 190 - number / 3), (0.45, 0.4), strict=True):
                move = np.array([[scale, 0, x], [0, scale, 10]])
                cv2.warpAffine(
                    face, move, SIZE, dst=image, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT
                )
            writer.write(image, number)
    return path


def test_a_followed_face_by_the_built_in_models(
    couple: Path, builtin_store: ModelStore, builtin_settings: Settings, tmp_path: Path
) -> None:
    options = {"face_swapper_model": "mesh", "face_selector_mode": "reference", "reference_face_position": 1}
    source = builtin_store.path("sample_astronaut")
    step = Step(couple, tmp_path / "out.mp4", (source,), ("face_swapper",), options)

    def make(folder: Path) -> Engine:
        changes = {"work_dir": folder / "work", "segment_seconds": 1.0}
        return Engine(builtin_settings.model_copy(update=changes))

    joined = made_apart(make, step, tmp_path)
    assert_same(joined, whole(make, step, tmp_path))
    assert joined.faces == FRAMES


def test_faces_by_person_need_no_scout(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from tests.pipeline.test_model_runs import write_swapper
    from tests.standins.face_analysis import write_standins

    models = tmp_path / "models"
    models.mkdir()
    write_standins(models)
    write_swapper(models)
    clip = make_people_clip(tmp_path / "clip.mp4", 40, empty=range(20, 28), freckles=True)
    source = write_picture(tmp_path / "source.png", people(LEFT))
    options = {"face_swapper_model": "hyperswap_1a_256", "face_selector_mode": "reference"}
    step = Step(clip, tmp_path / "out.mp4", (source,), ("face_swapper",), options)

    def make(folder: Path) -> Engine:
        processors = {"face_swapper": FaceSwapper()}
        return neural_engine(models, folder / "cache", processors=processors, segment_seconds=0.5)

    joined = made_apart(make, step, tmp_path)
    assert_same(joined, whole(make, step, tmp_path))
    assert joined.faces == 32
    with make(tmp_path / "asked") as engine:
        assert engine.parts(step).parallel
