"""Sizes and colours of pictures and videos: ours, and FaceFusion's on request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from mien.media import color
from mien.media.images import read_image
from mien.media.probe import probe
from mien.media.reader import VideoReader
from mien.pipeline.engine import Engine
from mien.pipeline.resize import even_sizes
from mien.pipeline.scaling import as_facefusion_reads
from mien.pipeline.step import Step
from mien.processors.base import FrameContext
from mien.types import Frame
from tests.pipeline.clips import decoded
from tests.pipeline.fakes import Inverter, fake_engine

NO_POLICY = {"content_policy": "off"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with fake_engine(tmp_path) as engine:
        yield engine


def smooth(width: int, height: int) -> Frame:
    x, y = np.meshgrid(np.linspace(20, 235, width), np.linspace(20, 235, height))
    return np.dstack((x, y, 255 - (x + y) / 2)).astype(np.uint8)


def write(path: Path, image: Frame) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def picture(engine: Engine, target: Path, *processors: str, **options: Any) -> Frame:
    output = target.parent / f"out{target.suffix}"
    names = processors or ("inverter",)
    engine.run(Step(target, output, processors=names, options={**NO_POLICY, **options}))
    return read_image(output).pixels


@pytest.mark.parametrize(
    ("size", "scale", "work", "final"),
    [
        ((425, 227), 1.0, (424, 228), (424, 228)),
        ((426, 226), 0.5, (212, 112), (212, 112)),
        ((475, 421), 2.0, (476, 420), (950, 842)),
        ((640, 480), 1.0, (640, 480), (640, 480)),
    ],
)
def test_facefusions_sizes_are_even(
    size: tuple[int, int], scale: float, work: tuple[int, int], final: tuple[int, int]
) -> None:
    assert even_sizes(*size, scale) == (work, final)


@pytest.mark.parametrize(("compat", "shape"), [("off", (101, 75)), ("facefusion", (100, 76))])
def test_odd_pictures_stay_odd_unless_facefusion_is_repeated(
    engine: Engine, tmp_path: Path, compat: str, shape: tuple[int, int]
) -> None:
    assert picture(engine, write(tmp_path / "odd.png", smooth(75, 101)), compat=compat).shape[:2] == shape


@pytest.mark.parametrize(("compat", "shape"), [("off", (80, 120)), ("facefusion", (40, 60))])
def test_an_enlarged_picture_stays_so_unless_facefusion_is_repeated(
    engine: Engine, tmp_path: Path, compat: str, shape: tuple[int, int]
) -> None:
    target = write(tmp_path / "small.png", smooth(60, 40))
    assert picture(engine, target, "doubler", compat=compat).shape[:2] == shape


@pytest.mark.parametrize(("compat", "searched"), [("off", (60, 100)), ("facefusion", (120, 200))])
def test_facefusion_searches_the_whole_target_and_works_on_a_small_copy(
    tmp_path: Path, compat: str, searched: tuple[int, int]
) -> None:
    shapes = []

    class Watcher(Inverter):
        name = "watcher"

        def process(self, frame: FrameContext, state: Any) -> None:
            shapes.append((frame.target.shape[:2], frame.image.shape[:2]))

    target = write(tmp_path / "large.png", smooth(200, 120))
    with fake_engine(tmp_path, processors={"watcher": Watcher()}) as engine:
        done = picture(engine, target, "watcher", compat=compat, output_image_scale=0.5)
    assert shapes == [(searched, (60, 100))]
    assert done.shape == (60, 100, 3)


def test_a_jpeg_is_encoded_once_unless_facefusion_is_repeated(engine: Engine, tmp_path: Path) -> None:
    rough = np.random.default_rng(3).integers(60, 200, (64, 96, 3), np.uint8)
    target = write(tmp_path / "rough.jpg", rough)
    expected = 255 - read_image(target).pixels.astype(int)
    losses = {
        compat: np.abs(picture(engine, target, compat=compat, output_image_quality=100) - expected).mean()
        for compat in ("off", "facefusion")
    }
    assert losses["off"] < 2 < losses["facefusion"] < 30


def test_opacity_and_profile_go_through_facefusions_passes(engine: Engine, tmp_path: Path) -> None:
    alpha = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
    target = write(tmp_path / "glass.png", np.dstack((smooth(60, 40), alpha)))
    output = tmp_path / "out.png"
    engine.run(Step(target, output, processors=("inverter",), options={**NO_POLICY, "compat": "facefusion"}))
    done = read_image(output)
    assert done.alpha is not None
    assert np.array_equal(done.alpha, alpha)
    assert np.array_equal(done.pixels, 255 - smooth(60, 40))


def clip(path: Path, size: tuple[int, int], matrix: int | None = None) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.options = {"crf": "4", "preset": "ultrafast"}
        if matrix:
            stream.codec_context.colorspace = matrix
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(
                np.full((size[1], size[0], 3), (40, 60, 200), np.uint8), "bgr24"
            )
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def video(engine: Engine, target: Path, **options: Any) -> Path:
    output = target.parent / f"out-{options.get('compat', 'off')}.mp4"
    engine.run(Step(target, output, processors=("inverter",), options={**NO_POLICY, **options}))
    return output


def test_a_video_without_a_matrix_is_bt601_to_facefusion_whatever_its_size(tmp_path: Path) -> None:
    info = probe(clip(tmp_path / "hd.mp4", (64, 720)))
    assert info.video is not None
    assert VideoReader(tmp_path / "hd.mp4", info=info).color.matrix == color.BT709
    read = as_facefusion_reads(info).video
    assert read is not None
    assert read.color.matrix == color.SMPTE170M
    said = replace(info, video=replace(info.video, color=replace(info.video.color, matrix=color.BT2020)))
    assert as_facefusion_reads(said) == said


@pytest.mark.parametrize(("compat", "matrix"), [("off", color.SMPTE170M), ("facefusion", color.BT709)])
def test_facefusion_writes_bt709_always(engine: Engine, tmp_path: Path, compat: str, matrix: int) -> None:
    target = clip(tmp_path / "sd.mp4", (96, 64), matrix=color.SMPTE170M)
    done = probe(video(engine, target, compat=compat)).video
    assert done is not None
    assert done.color.matrix == matrix


@pytest.mark.parametrize("compat", ["off", "facefusion"])
@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"output_video_scale": 0.5}, (48, 32)),
        ({"output_video_scale": 2.0}, (192, 128)),
        ({"output_video_scale": 0.5, "workflow_strategy": "disk"}, (48, 32)),
    ],
)
def test_a_scaled_video_shows_the_same(
    engine: Engine, tmp_path: Path, compat: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    target = clip(tmp_path / "sd.mp4", (96, 64), matrix=color.BT709)
    expected = 255 - decoded(target)[0][0, 0].astype(int)
    for image in decoded(video(engine, target, compat=compat, **options)):
        assert image.shape == (size[1], size[0], 3)
        assert np.abs(image.astype(int) - expected).max() <= 5
