"""Parts that are made on other machines, one folder each, and joined on a third."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import CorruptMedia, InputError, OptionError
from mien.pipeline.engine import Engine
from mien.pipeline.parts import Part
from mien.pipeline.step import Step
from tests.pipeline.clips import make_clip
from tests.pipeline.fakes import fake_engine, left_over
from tests.pipeline.machines import assert_same, made_apart, step_on, whole

FRAMES = 100


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", FRAMES, blind=range(38, 43))


def machine(folder: Path, **changes: Any) -> Engine:
    return fake_engine(folder, segment_seconds=1.0, **changes)


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
    result = made_apart(machine, step, tmp_path)
    assert left_over(tmp_path / "joining", "inputs/0.mp4", result.output.name) == []


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
        result = engine.run(step)
    assert_same(result, whole(machine, step, tmp_path))


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
