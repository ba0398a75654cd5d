"""An engine over our own stand-in networks, clips in which they see faces, and a count of what ran."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from mien.pipeline.engine import Engine
from mien.settings import Settings
from mien.types import Frame
from tests.pipeline.fakes import PROCESSORS
from tests.standins.face_analysis import Graph, draw_face

SIZE = (480, 240)
LEFT, RIGHT = (110, 120), (360, 120)


def neural_engine(models: Path, cache: Path, **changes: Any) -> Engine:
    """An engine that has the models of a folder and no others, and the processors that need none."""
    processors = changes.pop("processors", PROCESSORS)
    settings = Settings(models_dir=models, models_verify=False, cache_dir=cache, offline=True, **changes)
    return Engine(settings, processors=processors)


def people(*centers: tuple[int, int], tints: tuple[int, ...] = (0, 60)) -> Frame:
    """A grey picture with people at some places; what tells them apart is their tint."""
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for center, tint in zip(centers, tints, strict=False):
        draw_face(image, center, tint)
    return image


def write_picture(path: Path, image: Frame) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def freckled(image: Frame, center: tuple[int, int]) -> Frame:
    """The picture with freckles on a face, which flow can follow."""
    for x, y in np.random.default_rng(1).integers(-45, 45, (60, 2)) + center:
        cv2.circle(image, (int(x), int(y)), 4, (0, 160, 0), -1)
    return image


def make_people_clip(path: Path, frames: int, *, empty: Collection[int] = (), freckles: bool = False) -> Path:
    """A clip of one person who stands still, and is away in the frames ``empty``."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.options = {"crf": "8", "preset": "ultrafast"}
        for number in range(frames):
            image = people() if number in empty else people(LEFT)
            if freckles and number not in empty:
                image = freckled(image, LEFT)
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def runs(engine: Engine) -> dict[str, int]:
    """How often each model has run, by the stem of its file; those that did not are left out."""
    return {Path(path).stem: count for path, count in engine.runtime.loaded.items() if count}


def paint(image: Frame, center: tuple[int, int]) -> str:
    """What the marker did at a place."""
    x, y = center
    values = image[y - 10 : y + 10, x - 10 : x + 10].mean(axis=(0, 1))
    if np.ptp(values) > 30:
        return "nothing"
    return "face" if values.mean() > 220 else "filled in" if values.mean() > 110 else "nothing"


def write_voters(folder: Path) -> None:
    """Content networks that take red for sexual content and green for harmless."""
    for name, size, layout in (("nsfw_1", 640, "boxes"), ("nsfw_2", 384, "pair"), ("nsfw_3", 448, "four")):
        graph = Graph()
        channels = graph("ReduceMean", "input", axes=[2, 3], keepdims=0)
        red = graph("MatMul", channels, np.array([[1.0], [-1.0], [0.0]]))
        nothing = graph("Mul", red, 0.0)
        if layout == "boxes":
            column = graph("Concat", *[nothing] * 4, red, axis=1)
            output = graph("Reshape", column, [1, 5, 1])
        elif layout == "pair":
            output = graph("Concat", red, nothing, axis=1)
        else:
            output = graph("Concat", nothing, nothing, red, red, axis=1)
        graph.save(folder / f"{name}.onnx", [1, 3, size, size], [output])
