"""The content policy in whole runs, over networks that take what is more red than green for sexual content."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mien.errors import UnsafeInput
from mien.options import Options
from mien.pipeline.engine import Engine
from mien.pipeline.policy import Policy
from mien.pipeline.step import Step
from mien.processors.base import FrameContext, RunContext
from tests.pipeline.fakes import PROCESSORS, Inverter, left_over
from tests.pipeline.neural import neural_engine, runs, write_picture, write_voters

pytest.importorskip("onnx")

RED, GREY = (0, 0, 255), (90, 90, 90)
CYAN = (255, 255, 0)
"""Harmless until it is inverted."""


class Idle(Inverter):
    """Does nothing."""

    name = "idle"
    Options = Options

    def prepare(self, run: RunContext, options: Any) -> Any:
        return None

    def process(self, frame: FrameContext, state: Any) -> None:
        pass


@pytest.fixture(scope="module")
def voters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voters")
    write_voters(folder)
    return folder


@pytest.fixture
def engine(voters: Path, tmp_path: Path) -> Iterator[Engine]:
    processors = {**PROCESSORS, Idle.name: Idle()}
    with neural_engine(voters, tmp_path / "cache", processors=processors) as engine:
        yield engine


def plain(path: Path, color: tuple[int, int, int]) -> Path:
    return write_picture(path, np.full((40, 60, 3), color, np.uint8))


def seconds(path: Path, *colors: tuple[int, int, int]) -> Path:
    """A clip that shows each colour for a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10)
        for number, color in enumerate(color for color in colors for _ in range(10)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), color, np.uint8), "bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def run(engine: Engine, target: Path, *sources: Path, by: str = "inverter", **options: Any) -> str:
    output = target.parent / f"out{target.suffix}"
    return engine.run(Step(target, output, sources, (by,), options)).content


def test_a_picture_is_refused_and_nothing_written(engine: Engine, tmp_path: Path) -> None:
    target = plain(tmp_path / "red.png", RED)
    with pytest.raises(UnsafeInput, match=r"red\.png shows sexual content"):
        run(engine, target)
    assert left_over(tmp_path, "red.png") == []


def test_a_harmless_picture_passes_by_two_votes(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, plain(tmp_path / "grey.png", GREY)) == "passed"
    assert runs(engine) == {"nsfw_1": 2, "nsfw_2": 2}, "before and after the work"


def test_a_result_is_judged_too_and_nothing_of_it_kept(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UnsafeInput, match=r"The result of .*cyan\.png shows sexual content"):
        run(engine, plain(tmp_path / "cyan.png", CYAN))
    assert left_over(tmp_path, "cyan.png") == []


def test_a_flagged_result_is_only_said(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, plain(tmp_path / "cyan.png", CYAN), content_policy="flag") == "flagged"


def test_facefusion_does_not_judge_results(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, plain(tmp_path / "cyan.png", CYAN), compat="facefusion") == "passed"
    assert runs(engine) == {"nsfw_1": 1, "nsfw_2": 1}


def test_what_did_not_change_is_looked_at_once(engine: Engine, tmp_path: Path) -> None:
    grey = plain(tmp_path / "grey.png", GREY)
    assert run(engine, grey, by="idle") == "passed"
    assert runs(engine) == {"nsfw_1": 1, "nsfw_2": 1}
    assert run(engine, seconds(tmp_path / "clip.mp4", GREY, GREY), by="idle") == "passed"
    assert runs(engine)["nsfw_1"] == 3


def test_a_video_whose_result_is_refused_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    clip = seconds(tmp_path / "clip.mp4", GREY, CYAN, GREY)
    with pytest.raises(UnsafeInput, match=r"The result of .*clip\.mp4"):
        run(engine, clip)
    assert left_over(tmp_path, "clip.mp4") == []
    assert run(engine, clip, content_policy="flag") == "flagged"


def test_what_was_seen_in_parts_of_others_counts(engine: Engine, tmp_path: Path) -> None:
    clip = seconds(tmp_path / "clip.mp4", GREY, CYAN, GREY)
    step = Step(clip, tmp_path / "out.mp4", processors=("inverter",))
    made = engine.make_part(step, 0)
    assert (made.note["sampled"], made.note["flagged"], made.note["flagged_after"]) == (3, 0, 1)
    with pytest.raises(UnsafeInput, match=r"The result of"):
        engine.run(step)
    assert not made.path.exists()


def test_a_part_that_is_shorter_than_a_second_is_judged(engine: Engine, tmp_path: Path) -> None:
    clip = seconds(tmp_path / "clip.mp4", RED)
    with pytest.raises(UnsafeInput):
        run(engine, clip, trim_frame_start=3, trim_frame_end=6)


def test_flagged_is_only_said(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, plain(tmp_path / "red.png", RED), content_policy="flag") == "flagged"


def test_switched_off_nothing_looks(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, plain(tmp_path / "red.png", RED), content_policy="off") == "unchecked"
    assert runs(engine) == {}


def test_without_the_networks_the_result_says_so(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with neural_engine(tmp_path / "none", tmp_path / "cache") as engine:
        assert run(engine, plain(tmp_path / "red.png", RED)) == "unchecked"


def test_sources_are_judged_too_but_not_by_facefusion(engine: Engine, tmp_path: Path) -> None:
    target, source = plain(tmp_path / "grey.png", GREY), plain(tmp_path / "red.png", RED)
    with pytest.raises(UnsafeInput, match=r"red\.png"):
        run(engine, target, source)
    assert run(engine, target, source, content_policy="flag") == "flagged"
    assert run(engine, target, source, compat="facefusion") == "passed"


def test_a_video_is_judged_once_a_second_while_it_is_worked_on(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, seconds(tmp_path / "clip.mp4", GREY, GREY, GREY)) == "passed"
    assert runs(engine)["nsfw_1"] == 6


def test_a_video_is_refused_for_more_than_a_tenth(engine: Engine, tmp_path: Path) -> None:
    clip = seconds(tmp_path / "clip.mp4", GREY, RED, GREY)
    with pytest.raises(UnsafeInput, match=r"clip\.mp4"):
        run(engine, clip)
    assert not (tmp_path / "out.mp4").exists()
    assert run(engine, clip, content_policy="flag") == "flagged"


def test_a_part_of_a_video_is_judged_by_its_own_seconds(engine: Engine, tmp_path: Path) -> None:
    clip = seconds(tmp_path / "clip.mp4", GREY, RED, GREY)
    assert run(engine, clip, trim_frame_start=0, trim_frame_end=10) == "passed"


@pytest.mark.parametrize(("flagged", "verdict"), [(0, "passed"), (1, "passed"), (2, "flagged")])
def test_a_tenth_of_the_samples_is_let_pass(flagged: int, verdict: str) -> None:
    class Nobody:
        name = "nobody"

        def flags(self, image: Any) -> bool:
            return False

    assert Policy(Nobody(), refuses=False).verdict(flagged, 10, "clip") == verdict
    assert Policy(None, refuses=True).verdict(flagged, 10, "clip") == "unchecked"
