"""Finding and choosing faces by downloaded networks, in whole runs over our own stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from mien.pipeline.engine import Engine
from mien.pipeline.step import Step
from tests.pipeline.clips import decoded
from tests.pipeline.neural import (
    LEFT,
    RIGHT,
    make_people_clip,
    neural_engine,
    paint,
    people,
    runs,
    write_picture,
)

pytest.importorskip("onnx")
from tests.standins.face_analysis import write_standins

FRAMES = 10
GAP = 5


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_standins(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", FRAMES, empty={GAP})


@pytest.fixture
def engine(models: Path, tmp_path: Path) -> Iterator[Engine]:
    with neural_engine(models, tmp_path / "cache") as engine:
        yield engine


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "two.png", people(LEFT, RIGHT))


def run(engine: Engine, target: Path, *sources: Path, **options: Any) -> Path:
    output = target.parent / f"out{target.suffix}"
    engine.run(Step(target, output, sources, ("marker",), options))
    return output


def painted(engine: Engine, target: Path, *sources: Path, **options: Any) -> tuple[str, str]:
    image = cv2.imread(str(run(engine, target, *sources, **options)))
    assert image is not None
    return paint(image, LEFT), paint(image, RIGHT)  # type: ignore[arg-type]


def test_many_means_everybody_and_costs_only_detection(engine: Engine, two: Path) -> None:
    assert painted(engine, two, face_selector_mode="many") == ("face", "face")
    assert runs(engine) == {"yoloface_8n": 1}


@pytest.mark.parametrize(
    ("order", "expected"), [("left-right", ("face", "nothing")), ("right-left", ("nothing", "face"))]
)
def test_one_is_the_first_in_the_order(
    engine: Engine, two: Path, order: str, expected: tuple[str, str]
) -> None:
    assert painted(engine, two, face_selector_mode="one", face_selector_order=order) == expected
    assert runs(engine) == {"yoloface_8n": 1}


@pytest.mark.parametrize(("position", "expected"), [(0, ("face", "nothing")), (1, ("nothing", "face"))])
def test_the_reference_is_found_by_who_it_is(
    engine: Engine, two: Path, position: int, expected: tuple[str, str]
) -> None:
    values = {"face_selector_order": "left-right", "reference_face_distance": 0.0005}
    assert painted(engine, two, reference_face_position=position, **values) == expected
    assert runs(engine)["arcface_w600k_r50"] == 2
    assert "fairface" not in runs(engine)


def test_only_filters_need_the_classifier(engine: Engine, two: Path) -> None:
    run(engine, two, face_selector_mode="many", face_selector_gender="female", workflow_no_face="keep")
    assert runs(engine)["fairface"] == 2
    assert "arcface_w600k_r50" not in runs(engine)


def test_a_source_is_analysed_once_whoever_asks(engine: Engine, two: Path, tmp_path: Path) -> None:
    source = write_picture(tmp_path / "source.png", people(LEFT))
    values = {"face_selector_gender": "auto", "face_selector_race": "auto", "face_selector_mode": "many"}
    run(engine, two, source, source, **values)
    assert runs(engine)["yoloface_8n"] == 2


def test_each_frame_is_analysed_once_that_of_the_reference_too(engine: Engine, clip: Path) -> None:
    run(engine, clip, reference_frame_number=2)
    found = runs(engine)
    assert found["yoloface_8n"] == FRAMES
    assert found["2dfan4"] == found["arcface_w600k_r50"] == FRAMES - 1
    assert "fairface" not in found


def test_a_gap_is_bridged_with_a_tracker_score(engine: Engine, clip: Path) -> None:
    plain = [paint(image, LEFT) for image in decoded(run(engine, clip, face_selector_mode="many"))]
    assert plain == ["face"] * GAP + ["nothing"] + ["face"] * (FRAMES - GAP - 1)
    values = {"face_selector_mode": "many", "face_tracker_score": 0.3}
    bridged = [paint(image, LEFT) for image in decoded(run(engine, clip, **values))]
    assert bridged == ["face"] * GAP + ["filled in"] + ["face"] * (FRAMES - GAP - 1)


@pytest.mark.parametrize(("compat", "last"), [("facefusion", "filled in"), ("off", "nothing")])
def test_facefusion_looks_behind_the_end_of_a_trimmed_video(
    engine: Engine, clip: Path, compat: str, last: str
) -> None:
    values = {"face_selector_mode": "many", "face_tracker_score": 0.3, "trim_frame_end": GAP + 1}
    images = decoded(run(engine, clip, compat=compat, content_policy="off", **values))
    assert len(images) == GAP + 1
    assert paint(images[-1], LEFT) == last
