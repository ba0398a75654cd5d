"""Which face is worked on, from the first frame of a video to the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import Canceled
from mien.faces.analyser import Observed
from mien.pipeline.engine import Engine
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Step
from mien.types import Box, Face, Frame
from tests.pipeline.clips import decoded, make_clip
from tests.pipeline.fakes import face_at, fake_engine

FRAMES = 100


def boxes(number: int) -> tuple[Box, Box]:
    """Two people who walk about a little: the one on the left grows smaller, the one on the right larger."""
    size = number / 10
    return Box(10, 30, 50 - size, 70 - size), Box(110 - size, 30, 140, 60 + size)


def number_of(image: Frame) -> int:
    """The number of a frame, from what its background shows."""
    return round(float(image[110, 4:8, 0].mean()) - 5.5)


@dataclass
class TwoPeople:
    """Sees both in every frame; numbers them by size where it begins, as a tracker that starts anew does."""

    looked_at: list[int] = field(default_factory=list)
    on_frame: Callable[[int], None] = lambda index: None

    def models(self) -> tuple[str, ...]:
        return ()

    def faces(self, image: Frame) -> tuple[Face, ...]:
        self.looked_at.append(number_of(image))
        return tuple(face_at(box) for box in boxes(number_of(image)))

    def tracker(self, rate: float, **changes: Any) -> TwoTracker:
        return TwoTracker(self.on_frame)


@dataclass
class TwoTracker:
    on_frame: Callable[[int], None]
    tracks: tuple[int, int] | None = None

    def update(self, image: Frame, index: int) -> Observed:
        self.on_frame(index)
        left, right = boxes(index)
        if self.tracks is None:
            self.tracks = (1, 2) if left.area > right.area else (2, 1)
        faces = [face_at(left, self.tracks[0]), face_at(right, self.tracks[1])]
        return Observed(tuple(sorted(faces, key=lambda face: face.track or 0)), index=index)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", FRAMES, boxes=False, sound=False)


@pytest.fixture
def people() -> TwoPeople:
    return TwoPeople()


@pytest.fixture
def engine(tmp_path: Path, people: TwoPeople) -> Iterator[Engine]:
    with fake_engine(tmp_path, people, segment_seconds=1.0) as engine:  # type: ignore[arg-type]
        yield engine


def painted(output: Path) -> set[tuple[bool, bool]]:
    """Whether the left and the right one are painted, over all frames."""
    images = np.stack(decoded(output))
    return {
        (bool(image[34:46, 14:26].min() > 220), bool(image[34:46, 114:126].min() > 220)) for image in images
    }


def step(clip: Path, output: Path, **options: Any) -> Step:
    return Step(clip, output, processors=("marker",), options=options)


def test_one_person_is_followed_through_all_segments(engine: Engine, clip: Path, tmp_path: Path) -> None:
    result = engine.run(step(clip, tmp_path / "out.mp4"))
    assert result.faces == FRAMES
    assert painted(result.output) == {(True, False)}


def test_the_same_person_is_followed_after_an_interruption(
    engine: Engine, people: TwoPeople, clip: Path, tmp_path: Path
) -> None:
    cancel = Cancel()
    people.on_frame = lambda index: cancel.set() if index == 90 else None
    with pytest.raises(Canceled):
        engine.run(step(clip, tmp_path / "out.mp4"), cancel=cancel)
    result = engine.run(step(clip, tmp_path / "out.mp4"))
    assert result.resumed_segments >= 2
    assert painted(result.output) == {(True, False)}


def test_another_position_means_the_other_person(engine: Engine, clip: Path, tmp_path: Path) -> None:
    result = engine.run(step(clip, tmp_path / "out.mp4", reference_face_position=1))
    assert painted(result.output) == {(False, True)}


def test_all_people(engine: Engine, clip: Path, tmp_path: Path) -> None:
    result = engine.run(step(clip, tmp_path / "out.mp4", face_selector_mode="many"))
    assert result.faces == 2 * FRAMES
    assert painted(result.output) == {(True, True)}


def test_the_reference_may_be_another_frame(
    engine: Engine, people: TwoPeople, clip: Path, tmp_path: Path
) -> None:
    """On frame 95 the one on the right is larger; the same place is looked for where the video begins."""
    result = engine.run(step(clip, tmp_path / "out.mp4", reference_frame_number=95))
    assert people.looked_at == [pytest.approx(95, abs=4)]
    assert painted(result.output) == {(False, True)}
