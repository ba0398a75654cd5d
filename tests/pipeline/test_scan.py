"""Scanning a video for a timeline."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import Canceled, InputMissing, OptionError, UnsupportedMedia
from mien.media.index import FrameIndex
from mien.media.reader import VideoReader
from mien.models.store import ModelStore
from mien.pipeline.engine import Engine
from mien.pipeline.progress import Cancel
from mien.pipeline.scan import moments, nearest_key
from mien.settings import Settings
from tests.pipeline.clips import RATE, decoded, make_clip, picture
from tests.pipeline.fakes import FakeAnalyser, fake_engine
from tests.pipeline.neural import write_picture


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with fake_engine(tmp_path) as engine:
        yield engine


@pytest.mark.parametrize("gop", [10, 25, 250])
def test_there_is_a_moment_for_every_second(engine: Engine, tmp_path: Path, gop: int) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 100, gop=gop, sound=False)
    found = list(engine.scan(clip))
    assert len(found) == 4
    frames = decoded(clip)
    for second, moment in enumerate(found):
        assert moment.time == pytest.approx(second, abs=0.5)
        assert moment.frame == round(moment.time * RATE)
        assert len(moment.boxes) == 1
        x = 2 * moment.frame % 120
        assert moment.boxes[0].x1 == pytest.approx(x, abs=2)
        assert moment.thumbnail is not None
        assert moment.thumbnail.shape == (90, 120, 3)
        assert abs(float(moment.thumbnail.mean()) - float(frames[moment.frame].mean())) < 2


def test_key_frames_stand_for_what_is_near(tmp_path: Path) -> None:
    index = FrameIndex(tuple(range(0, 1000, 4)), (0, 88, 200, 340), Fraction(1, 100))
    assert moments(index, 1.0) == [0, 88 // 4, 200 // 4, 340 // 4, 400 // 4, 125, 150, 175, 200, 225]


@given(
    st.lists(st.integers(0, 5000), min_size=1, unique=True).map(sorted),
    st.data(),
    st.floats(0.02, 30),
)
def test_moments_rise_and_begin_at_the_beginning(times: list[int], data: st.DataObject, every: float) -> None:
    keys = sorted({times[0], *data.draw(st.lists(st.sampled_from(times), max_size=9))})
    found = moments(FrameIndex(tuple(times), tuple(keys), Fraction(1, 100)), every)
    assert found == sorted(set(found))
    assert found[0] == 0
    assert found[-1] < len(times)
    assert len(found) <= (times[-1] - times[0]) / (every * 100) + 1


def test_the_nearest_key_is_within_reach() -> None:
    assert nearest_key((0, 40, 100), 60.0, 30) == 40
    assert nearest_key((0, 40, 100), 60.0, 20) is None
    assert nearest_key((0, 40, 100), 500.0, 30) is None
    assert nearest_key((), 0.0, 30) is None


def test_frames_without_faces_have_none(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 50, boxes=False, sound=False)
    found = list(engine.scan(clip, every=0.5, thumbnails=None))
    assert [(moment.faces, moment.thumbnail) for moment in found] == [((), None)] * 4


def test_a_picture_is_one_moment(engine: Engine, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "picture.png", np.kron(picture(0), np.ones((8, 8, 1), np.uint8)))
    (moment,) = engine.scan(path)
    assert (moment.frame, moment.time) == (0, 0.0)
    assert moment.boxes[0].as_tuple() == pytest.approx((0, 320, 256, 576), abs=3)


def test_only_what_is_asked_for_is_looked_at(tmp_path: Path) -> None:
    analyser = FakeAnalyser()
    clip = make_clip(tmp_path / "clip.mp4", 100, sound=False)
    with fake_engine(tmp_path, analyser) as engine:
        found = engine.scan(clip)
        assert analyser.updates == []
        next(found)
        next(found)
        assert len(analyser.updates) == 2


def test_it_can_be_stopped(engine: Engine, tmp_path: Path) -> None:
    cancel = Cancel()
    found = engine.scan(make_clip(tmp_path / "clip.mp4", 60, sound=False), cancel=cancel)
    next(found)
    cancel.set()
    with pytest.raises(Canceled):
        next(found)


def test_what_is_wrong_is_said_at_once(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 10, sound=False)
    with pytest.raises(InputMissing, match=r"gone\.mp4"):
        engine.scan(tmp_path / "gone.mp4")
    for every in (0.0, -1.0, float("nan")):
        with pytest.raises(OptionError, match="seconds"):
            engine.scan(clip, every=every)
    with pytest.raises(OptionError, match="thumbnail"):
        engine.scan(clip, thumbnails=(0, 90))
    with pytest.raises(OptionError, match="no option depth"):
        engine.scan(clip, {"depth": 1})
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(UnsupportedMedia):
        engine.scan(text)


def test_faces_are_those_of_the_full_size(builtin_store: ModelStore, builtin_settings: Settings) -> None:
    with Engine(builtin_settings) as engine:
        path = builtin_store.path("sample_astronaut")
        (moment,) = engine.scan(path)
        _, faces = engine.detect(path)
    assert moment.boxes[0].iou(faces[0].box) > 0.8


def test_a_reader_gives_only_the_frames_that_are_wanted(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 30, sound=False)
    with VideoReader(clip) as reader:
        times = [frame.pts for frame in reader]
    wanted = [times[3], times[4] + 1, times[4] + 2, times[20]]
    with VideoReader(clip, only=wanted) as reader:
        assert [frame.pts for frame in reader] == [times[3], times[5], times[20]]
        assert [frame.pts for frame in reader] == [times[3], times[5], times[20]]
