"""No frame of a real video leaks: the face enters from the side and is hidden from the detector for a while."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from mien.media.images import read_image
from mien.pipeline.engine import Engine
from mien.pipeline.step import Step
from mien.settings import Settings
from mien.types import Box, Frame

if TYPE_CHECKING:
    from mien.models.store import ModelStore

SIZE = (480, 320)
FRAMES = 46
SHRUNK = 0.4
HIDDEN = range(28, 34)


@pytest.fixture(scope="module")
def clip(builtin_store: ModelStore) -> tuple[list[Frame], list[Box]]:
    """A portrait that slides in from the left; a bar covers its eyes in the frames ``HIDDEN``."""
    portrait = read_image(builtin_store.path("sample_hopper")).pixels
    frames, places = [], []
    for index in range(FRAMES):
        x, y = -170 + 6 * index, 40 + round(8 * np.sin(index / 6))
        frame = np.full((SIZE[1], SIZE[0], 3), (90, 120, 100), np.uint8)
        move = np.array([[SHRUNK, 0, x], [0, SHRUNK, y]])
        cv2.warpAffine(
            portrait, move, SIZE, dst=frame, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT
        )
        x1, y1, x2, y2 = (SHRUNK * np.array([178, 150, 356, 330]) + [x, y, x, y]).tolist()
        if index in HIDDEN:
            cv2.rectangle(frame, (int(x1) - 9, int(y1)), (int(x2) + 9, int(y1) + 42), (30, 30, 30), -1)
        frames.append(frame)
        places.append(Box(max(x1, 0), y1, x2, y2))
    return frames, places


def written(path: Path, frames: list[Frame]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())
    return path


def detail(image: Frame, place: Box) -> float:
    """Mean strength of edges inside a box."""
    part = image[int(place.y1) : int(place.y2), int(place.x1) : int(place.x2)]
    return float(np.abs(cv2.Laplacian(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), cv2.CV_32F)).mean())


def test_every_frame_is_covered(
    clip: tuple[list[Frame], list[Box]], builtin_settings: Settings, tmp_path: Path
) -> None:
    frames, places = clip
    settings = builtin_settings.model_copy(update={"work_dir": tmp_path / "work", "segment_seconds": 1.0})
    source, result = written(tmp_path / "in.mp4", frames), tmp_path / "out.mp4"
    with Engine(settings) as engine:
        engine.run(Step(target=source, output=result, processors=("face_anonymizer",)))
    with av.open(str(result)) as container:
        covered = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(covered) == FRAMES
    shares = {
        index: detail(covered[index], place) / detail(frames[index], place)
        for index, place in enumerate(places)
        if place.width > 20
    }
    assert len(shares) > 30
    assert {index: share for index, share in shares.items() if share > 0.25} == {}
