"""Who is followed is known before any part is made, as one run over all parts would know it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mien.faces.analyser import Observed
from mien.pipeline.engine import Engine
from mien.pipeline.step import Step
from mien.types import Box, Face, Frame
from tests.pipeline.clips import frames_hash, make_clip
from tests.pipeline.fakes import FakeAnalyser, face_at, fake_engine
from tests.pipeline.machines import assert_same, made_apart, whole

FRAMES = 100


def machine(folder: Path, **changes: Any) -> Engine:
    return fake_engine(folder, segment_seconds=1.0, **changes)


@dataclass
class Couple:
    """Sees two faces that pass each other, apart from the frames in which they are away."""

    away: range

    def models(self) -> tuple[str, ...]:
        return ()

    def faces(self, image: Frame) -> tuple[Face, ...]:
        return ()

    def tracker(self, rate: float, **changes: Any) -> Couple:
        return self

    def update(self, image: Frame, index: int) -> Observed:
        x = min(index, 80)
        moving, still = face_at(Box(x, 10, x + 30, 40), 1), face_at(Box(60, 60, 90, 90), 2)
        return Observed(() if index in self.away else (moving, still), index=index)


@pytest.mark.parametrize("away", [range(0), range(66, 72), range(70, 100)], ids=["always", "shortly", "long"])
def test_who_is_followed_is_found_out_before_any_part_is_made(tmp_path: Path, away: range) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 150, boxes=False)
    options = {"face_selector_mode": "reference", "face_selector_order": "left-right"}
    step = Step(clip, tmp_path / "out.mp4", processors=("marker",), options=options)

    def make(folder: Path) -> Engine:
        return machine(folder, analyser=Couple(away))

    joined = made_apart(make, step, tmp_path)
    assert_same(joined, whole(make, step, tmp_path))
    with make(tmp_path / "alone") as engine:
        parts = engine.parts(step)
        for index in range(len(parts.frames)):
            engine.make_part(step, index, place=None)
        lost = engine.run(step)
    assert not parts.parallel
    assert frames_hash(lost.output) != frames_hash(joined.output), "the places made no difference"


def test_one_face_is_not_searched_for_through_the_whole_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", FRAMES)
    analyser = FakeAnalyser()
    step = Step(
        clip, tmp_path / "out.mp4", processors=("marker",), options={"face_selector_mode": "reference"}
    )
    with machine(tmp_path, analyser=analyser) as engine:
        assert engine.scout(step) == (None,) * 5
    assert len(analyser.updates) < FRAMES / 2
