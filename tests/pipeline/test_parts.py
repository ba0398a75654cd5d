"""Parts that are made on other machines, one folder each, and joined on a third."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import CorruptMedia, InputError, OptionError
from mien.faces.analyser import Observed
from mien.pipeline.engine import Engine
from mien.pipeline.parts import Part
from mien.pipeline.step import Step
from mien.types import Box, Face, Frame
from tests.pipeline.clips import frames_hash, make_clip, times
from tests.pipeline.fakes import FakeAnalyser, face_at, fake_engine, left_over

Make = Callable[[Path], Engine]

FRAMES = 100


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", FRAMES, blind=range(38, 43))


def machine(folder: Path, **changes: Any) -> Engine:
    return fake_engine(folder, segment_seconds=1.0, **changes)


def elsewhere(path: Path, folder: Path) -> Path:
    """The file as another machine has it: under another name, and as storages give it, from the year 1970."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{len(os.listdir(folder))}{path.suffix}"
    shutil.copyfile(path, copy)
    os.utime(copy, ns=(0, 0))
    return copy


def step_on(folder: Path, step: Step) -> Step:
    """The step with this machine's own copies of its files."""
    inputs = folder / "inputs"
    target, *sources = (elsewhere(path, inputs) for path in (step.target, *step.sources))
    return Step(target, folder / "result.mp4", tuple(sources), step.processors, step.options)


def assert_same(output: Path, whole: Path) -> None:
    assert times(output) == times(whole)
    assert frames_hash(output) == frames_hash(whole)
    assert output.read_bytes() == whole.read_bytes()


def made_apart(make: Make, step: Step, folder: Path, order: Sequence[int] | None = None) -> Path:
    """Make each part on a machine of its own, in any order, and join them on yet another one."""
    here = step_on(folder / "joining", step)
    with make(folder / "joining") as engine:
        parts = engine.parts(here)
        places = [None] * len(parts.frames) if parts.parallel else engine.scout(here)
        for index in order or reversed(range(len(parts.frames))):
            there = folder / f"machine{index}"
            with make(there) as worker:
                made = worker.make_part(step_on(there, step), index, place=places[index])
            engine.adopt_part(here, index, made.path, json.loads(json.dumps(made.note)))
        result = engine.run(here)
    assert result.resumed_segments == len(parts.frames) > 1
    assert result.frames == len(times(result.output))
    return result.output


def whole(make: Make, step: Step, folder: Path) -> Path:
    with make(folder / "whole") as engine:
        return engine.run(step_on(folder / "whole", step)).output


CASES: Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]] = {
    "without faces": (("inverter",), {}),
    "state from frame to frame": (("echo",), {}),
    "followed": (("marker",), {"face_selector_mode": "reference"}),
    "look-ahead": (("coverer", "inverter"), {}),
    "trimmed": (("coverer", "echo"), {"trim_frame_start": 13, "trim_frame_end": 88}),
    "fewer frames": (("echo", "marker"), {"output_video_fps": 10.0}),
    "more frames": (("echo", "marker"), {"output_video_fps": 30.0}),
    "watermark": (("inverter",), {"output_watermark": True, "output_badge": "top-left"}),
}


@pytest.mark.parametrize("case", CASES)
def test_parts_give_what_one_run_gives(clip: Path, tmp_path: Path, case: str) -> None:
    processors, options = CASES[case]
    step = Step(clip, tmp_path / "out.mp4", processors=processors, options=options)
    assert_same(made_apart(machine, step, tmp_path), whole(machine, step, tmp_path))


def test_what_is_joined_is_cleared_away(clip: Path, tmp_path: Path) -> None:
    step = Step(clip, tmp_path / "out.mp4", processors=("inverter",))
    output = made_apart(machine, step, tmp_path)
    assert left_over(tmp_path / "joining", "inputs/0.mp4", output.name) == []


def test_a_part_that_is_there_is_not_made_again(clip: Path, tmp_path: Path) -> None:
    step = Step(clip, tmp_path / "out.mp4", processors=("inverter",))
    with machine(tmp_path) as engine:
        first = engine.make_part(step, 1)
        written = first.path.stat().st_mtime_ns
        again = engine.make_part(step, 1)
        assert again == first
        assert again.path.stat().st_mtime_ns == written
        assert engine.run(step).resumed_segments == 1


def test_each_part_may_be_told_the_place_by_the_one_before(clip: Path, tmp_path: Path) -> None:
    step = Step(clip, tmp_path / "out.mp4", processors=("marker",))
    place = None
    with machine(tmp_path) as engine:
        for index in range(len(engine.parts(step).frames)):
            made: Part = engine.make_part(step, index, place=place)
            place = made.place
            assert place is not None
        output = engine.run(step).output
    assert_same(output, whole(machine, step, tmp_path))


def test_a_picture_has_no_parts(tmp_path: Path) -> None:
    import cv2

    picture = tmp_path / "picture.png"
    assert cv2.imwrite(str(picture), np.full((40, 60, 3), 9, np.uint8))
    step = Step(picture, tmp_path / "out.png", processors=("inverter",))
    with machine(tmp_path) as engine:
        parts = engine.parts(step)
        assert (parts.kind, parts.frames, parts.divisible) == ("image", (1,), False)
        for call in (
            lambda: engine.make_part(step, 0),
            lambda: engine.scout(step),
            lambda: engine.adopt_part(step, 0, picture, {}),
        ):
            with pytest.raises(OptionError, match=r"picture\.png is a picture"):
                call()


def test_the_identity_is_that_of_the_content(clip: Path, tmp_path: Path) -> None:
    step = Step(clip, tmp_path / "out.mp4", processors=("inverter",))
    identities = set()
    for name, threads in (("a", 1), ("b", 2), ("c", 0)):
        with machine(tmp_path / name, threads=threads) as engine:
            identities.add(engine.parts(step_on(tmp_path / name, step)).identity)
            other = Step(
                clip, tmp_path / "out.mp4", processors=("inverter",), options={"inverter_strength": 9}
            )
            assert engine.parts(other).identity not in identities
    assert len(identities) == 1


@pytest.mark.parametrize("index", [-1, 5, 99])
def test_a_part_that_there_is_not(clip: Path, tmp_path: Path, index: int) -> None:
    step = Step(clip, tmp_path / "out.mp4", processors=("inverter",))
    with machine(tmp_path) as engine, pytest.raises(OptionError, match=rf"no part {index}.* 0 to 4"):
        engine.make_part(step, index)


def test_foreign_and_broken_parts_are_refused(clip: Path, tmp_path: Path) -> None:
    step = Step(clip, tmp_path / "out.mp4", processors=("inverter",))
    there = step_on(tmp_path / "there", step)
    with machine(tmp_path / "here") as engine, ExitStack() as stack:
        worker = stack.enter_context(machine(tmp_path / "there"))
        made = worker.make_part(there, 1)
        note = dict(made.note)
        short = tmp_path / "short.mp4"
        short.write_bytes(made.path.read_bytes()[:-900])
        here = step_on(tmp_path / "here", step)

        def refused(kind: type[Exception], words: str, *given: Any) -> None:
            with pytest.raises(kind, match=words):
                engine.adopt_part(here, *given)

        refused(InputError, "not of part 2", 2, made.path, note)
        refused(InputError, "not of part 1", 1, made.path, {**note, "identity": "0" * 32})
        refused(InputError, "not one that a part has", 1, made.path, {"frames": 3})
        refused(CorruptMedia, "frames, and 7 belong", 1, made.path, {**note, "frames": 7})
        refused(CorruptMedia, r"short\.mp4", 1, short, note)
        refused(CorruptMedia, "is not there", 1, tmp_path / "nothing.mp4", note)
        assert not list(tmp_path.rglob("here/cache/work/*/*"))
        assert engine.run(here).resumed_segments == 0


def test_a_place_must_be_a_box(clip: Path, tmp_path: Path) -> None:
    step = Step(clip, tmp_path / "out.mp4", processors=("marker",))
    with machine(tmp_path) as engine, pytest.raises(OptionError, match="four numbers"):
        engine.make_part(step, 1, place=[1, 2, 3])


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

    output = made_apart(make, step, tmp_path)
    assert_same(output, whole(make, step, tmp_path))
    with make(tmp_path / "alone") as engine:
        parts = engine.parts(step)
        for index in range(len(parts.frames)):
            engine.make_part(step, index, place=None)
        lost = engine.run(step)
    assert not parts.parallel
    assert frames_hash(lost.output) != frames_hash(output), "the places made no difference"


def test_one_face_is_not_searched_for_through_the_whole_video(clip: Path, tmp_path: Path) -> None:
    analyser = FakeAnalyser()
    step = Step(
        clip, tmp_path / "out.mp4", processors=("marker",), options={"face_selector_mode": "reference"}
    )
    with machine(tmp_path, analyser=analyser) as engine:
        assert engine.scout(step) == (None,) * 5
    assert len(analyser.updates) < FRAMES / 2
