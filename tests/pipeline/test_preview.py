"""Previews: one frame before and after, nothing written, and what is prepared is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.errors import Canceled, ConsentMissing, InputMissing, OptionError, UnsafeInput, UnsupportedMedia
from mien.models.store import ModelStore
from mien.pipeline.engine import Engine
from mien.pipeline.preview import STEPS, Kept
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Step
from mien.settings import Settings
from tests.pipeline.clips import SIZE, brightness, decoded, make_clip, picture
from tests.pipeline.fakes import PROCESSORS, Inverter, InverterOptions, fake_engine, left_over
from tests.pipeline.neural import LEFT, neural_engine, people, write_picture, write_voters

NOWHERE = Path("nowhere/out.mp4")


class Counting(Inverter):
    """An inverter that tells how often it was prepared."""

    name = "inverter"

    def __init__(self) -> None:
        self.prepared = 0

    def prepare(self, run: Any, options: InverterOptions) -> InverterOptions:
        self.prepared += 1
        return options


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def engine(tmp_path: Path, counting: Counting) -> Iterator[Engine]:
    with fake_engine(tmp_path, processors={**PROCESSORS, "inverter": counting}) as engine:
        yield engine


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", 50, sound=False)


def test_a_preview_is_what_a_run_makes_and_writes_nothing(engine: Engine, clip: Path) -> None:
    step = Step(clip, NOWHERE, processors=("inverter",))
    preview = engine.preview(step, 17)
    assert np.array_equal(preview.before, decoded(clip)[17])
    assert np.array_equal(preview.after, 255 - preview.before)
    assert (preview.frame, preview.scale, preview.content) == (17, 1.0, "unchecked")
    assert left_over(clip.parent, "clip.mp4") == []


def test_faces_are_found_and_worked_on(engine: Engine, clip: Path) -> None:
    preview = engine.preview(Step(clip, NOWHERE, processors=("marker",)), 10)
    assert len(preview.faces) == len(preview.selected) == 1
    x1, y1, x2, y2 = (round(value) for value in preview.faces[0].box.as_tuple())
    assert preview.after[y1:y2, x1:x2].min() == 255


def test_look_ahead_is_done_without(engine: Engine, clip: Path) -> None:
    preview = engine.preview(Step(clip, NOWHERE, processors=("coverer",)), 10)
    assert len(preview.selected) == 1


def test_a_picture_is_scaled_down_before_the_work(engine: Engine, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "picture.png", picture(0))
    preview = engine.preview(Step(path, NOWHERE, processors=("marker",)), size=80)
    assert preview.before.shape == preview.after.shape == (60, 80, 3)
    assert preview.scale == 0.5
    whole = engine.preview(Step(path, NOWHERE, processors=("marker",)))
    assert preview.faces[0].box.center == pytest.approx(
        [value / 2 for value in whole.faces[0].box.center], abs=1.0
    )


def test_a_size_that_is_larger_changes_nothing(engine: Engine, clip: Path) -> None:
    assert engine.preview(Step(clip, NOWHERE, processors=("inverter",)), size=4000).before.shape[1] == SIZE[0]


def test_opacity_is_shown_on_white(engine: Engine, clip: Path) -> None:
    after = engine.preview(Step(clip, NOWHERE, processors=("cutout",)), 3).after
    assert after[:, : SIZE[0] // 2].min() == 255
    assert after[:, SIZE[0] // 2 + 1 :].min() < 255


def test_what_is_prepared_is_kept(engine: Engine, counting: Counting, clip: Path) -> None:
    for number in (0, 9, 3, 9):
        engine.preview(Step(clip, NOWHERE, processors=("inverter",)), number)
    assert counting.prepared == 1
    dark = Step(clip, NOWHERE, processors=("inverter",), options={"inverter_strength": 100})
    assert brightness(engine.preview(dark, 0).after) < brightness(
        engine.preview(Step(clip, NOWHERE, processors=("inverter",)), 0).after
    )
    assert counting.prepared == 2


def test_closing_lets_go(engine: Engine, counting: Counting, clip: Path) -> None:
    step = Step(clip, NOWHERE, processors=("inverter",))
    engine.preview(step)
    engine.close()
    engine.preview(step)
    assert counting.prepared == 2


def test_another_file_of_the_same_name_is_another_target(engine: Engine, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "picture.png", picture(0))
    step = Step(path, NOWHERE, processors=("inverter",))
    first = engine.preview(step).before
    write_picture(path, picture(40))
    assert not np.array_equal(engine.preview(step).before, first)


def test_only_the_last_steps_are_kept(engine: Engine, counting: Counting, clip: Path) -> None:
    for strength in (*range(STEPS + 1), 0):
        step = Step(clip, NOWHERE, processors=("inverter",), options={"inverter_strength": strength})
        engine.preview(step)
    assert counting.prepared == STEPS + 2


def test_what_does_not_fit_is_dropped_oldest_first() -> None:
    kept: Kept[int] = Kept(10, lambda value: value)
    for key, value in (("a", 4), ("b", 4), ("c", 4)):
        kept.get(key, lambda value=value: value)
    assert (kept.get("b", lambda: 0), kept.get("c", lambda: 0)) == (4, 4)
    assert kept.get("a", lambda: 1) == 1


def test_the_kept_frame_cannot_be_changed(engine: Engine, clip: Path) -> None:
    preview = engine.preview(Step(clip, NOWHERE, processors=("inverter",)), 2)
    with pytest.raises(ValueError, match="read-only"):
        preview.before[0, 0] = 0


def test_threads_get_what_they_asked_for(engine: Engine, clip: Path) -> None:
    frames, found = decoded(clip), {}

    def look(number: int) -> None:
        step = Step(clip, NOWHERE, processors=("echo", "inverter") if number % 2 else ("inverter",))
        found[number] = engine.preview(step, number).after

    threads = [threading.Thread(target=look, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(np.array_equal(found[number], 255 - frames[number]) for number in range(12))


def test_what_is_wrong_is_said(engine: Engine, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"gone\.mp4"):
        engine.preview(Step(tmp_path / "gone.mp4", NOWHERE, processors=("inverter",)))
    with pytest.raises(OptionError, match="count from 0"):
        engine.preview(Step(clip, NOWHERE, processors=("inverter",)), -1)
    with pytest.raises(OptionError, match="32 pixels"):
        engine.preview(Step(clip, NOWHERE, processors=("inverter",)), size=3)
    with pytest.raises(OptionError, match="inverter_depth"):
        engine.preview(Step(clip, NOWHERE, processors=("inverter",), options={"inverter_depth": 1}))
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(UnsupportedMedia):
        engine.preview(Step(text, NOWHERE, processors=("inverter",)))


def test_a_preview_can_be_stopped(engine: Engine, clip: Path) -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Canceled):
        engine.preview(Step(clip, NOWHERE, processors=("inverter",)), cancel=cancel)


def test_consent_is_asked_for(clip: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with fake_engine(tmp_path, audit_log=audit, require_consent=True) as engine:
        with pytest.raises(ConsentMissing):
            engine.preview(Step(clip, NOWHERE, processors=("inverter",)))
        said = Step(clip, NOWHERE, processors=("inverter",), options={"consent_ref": "C-1"})
        assert engine.preview(said).frame == 0


def test_the_content_policy_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    models = tmp_path / "models"
    models.mkdir()
    write_voters(models)
    red = np.full((120, 160, 3), (0, 0, 255), np.uint8)
    bad = write_picture(tmp_path / "red.png", red)
    good = write_picture(tmp_path / "people.png", people(LEFT))
    with neural_engine(models, tmp_path / "cache") as engine:
        refusing = {"content_policy": "refuse"}
        with pytest.raises(UnsafeInput, match=r"red\.png"):
            engine.preview(Step(bad, NOWHERE, processors=("inverter",), options=refusing))
        with pytest.raises(UnsafeInput, match=r"red\.png"):
            engine.preview(Step(good, NOWHERE, (bad,), ("inverter",), refusing))
        assert engine.preview(Step(good, NOWHERE, (), ("inverter",), refusing)).content == "passed"


def test_the_built_in_swap_is_shown(builtin_store: ModelStore, builtin_settings: Settings) -> None:
    target, source = builtin_store.path("sample_astronaut"), builtin_store.path("sample_hopper")
    options = {
        "face_swapper_model": "mesh",
        "face_detector_model": "blazeface",
        "face_landmarker_model": "mesh",
        "content_policy": "off",
    }
    with Engine(builtin_settings) as engine:
        preview = engine.preview(Step(target, NOWHERE, (source,), ("face_swapper",), options), size=400)
    assert len(preview.selected) == 1
    x1, y1, x2, y2 = (round(value) for value in preview.selected[0].box.as_tuple())
    change = cv2.absdiff(preview.before, preview.after).max(axis=2)
    assert change[y1:y2, x1:x2].mean() > 5
    change[max(y1 - 40, 0) : y2 + 40, max(x1 - 40, 0) : x2 + 40] = 0
    assert change.max() == 0
