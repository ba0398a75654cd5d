"""The frame enhancer in whole runs: the size of the output is known before it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.pipeline.engine import Engine
from mien.pipeline.step import Step
from mien.processors.frame_enhancer import FrameEnhancer
from mien.settings import Settings
from tests.pipeline.clips import decoded, make_clip
from tests.processors.faces_made import noise
from tests.standins.redrawing import enlarger

NAME = "real_esrgan_x2"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    enlarger(tmp_path / "models" / f"{NAME}.onnx", 2, blurs=False)
    settings = Settings(
        models_dir=tmp_path / "models", models_verify=False, cache_dir=tmp_path / "cache", threads=2
    )
    with Engine(settings, processors={"frame_enhancer": FrameEnhancer()}) as engine:
        yield engine


def enlarge(engine: Engine, target: Path, output: Path, **options: float) -> None:
    values = {"frame_enhancer_model": NAME, **options}
    engine.run(Step(target, output, (), ("frame_enhancer",), values))


def test_a_picture_comes_out_enlarged(engine: Engine, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), noise(60, 90))
    enlarge(engine, tmp_path / "in.png", tmp_path / "out.png", frame_enhancer_blend=100)
    made = cv2.imread(str(tmp_path / "out.png"))
    assert np.array_equal(made, noise(60, 90).repeat(2, axis=0).repeat(2, axis=1))


def test_a_named_scale_decides_about_the_size(engine: Engine, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), noise(60, 90))
    enlarge(engine, tmp_path / "in.png", tmp_path / "out.png", output_image_scale=1.0)
    assert cv2.imread(str(tmp_path / "out.png")).shape == (60, 90, 3)


def test_a_video_comes_out_enlarged(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 20)
    enlarge(engine, clip, tmp_path / "out.mp4")
    before, after = decoded(clip), decoded(tmp_path / "out.mp4")
    assert len(after) == len(before)
    height, width = before[0].shape[:2]
    assert {frame.shape for frame in after} == {(2 * height, 2 * width, 3)}
    off = cv2.resize(after[3], (width, height), interpolation=cv2.INTER_AREA).astype(int) - before[3]
    assert np.abs(off).mean() < 4
