"""What finds the faces of a step: built-in or downloaded models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from mien.errors import OptionError
from mien.faces.builtin.analyser import BuiltinAnalyser
from mien.faces.neural.analyser import NeuralAnalyser
from mien.inference.runtime import Runtime
from mien.models.catalogue import load_catalogue
from mien.models.store import ModelStore
from mien.pipeline.analysis import choose_analyser
from mien.pipeline.plan import Link, Plan
from mien.pipeline.step import Step
from mien.settings import Settings
from mien.types import MediaInfo
from tests.pipeline.fakes import PROCESSORS, Marker

FILES = ("yoloface_8n", "fan_68_5", "2dfan4", "arcface_w600k_r50", "fairface")


class OnMesh(Marker):
    name = "on_mesh"

    def needs_mesh(self, options: Any) -> bool:
        return True


@pytest.fixture
def present(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / f"{name}.onnx").write_bytes(b"here")
    return tmp_path


def choose(models: Path, processor: str = "marker", **values: Any) -> Any:
    settings = Settings(models_dir=models, models_verify=False, cache_dir=models / "cache", offline=True)
    chosen = {**PROCESSORS, "on_mesh": OnMesh()}[processor]
    step = Step(Path("in.png"), Path("out.png"), processors=(processor,), options=values)
    link = Link(processor, chosen, cast(Any, chosen.Options()))
    plan = Plan(step, MediaInfo("image", "png", 9, 9, 0.0), "image", "png", (link,), values, None)
    with Runtime(settings) as runtime:
        return choose_analyser(plan, ModelStore(settings, load_catalogue()), runtime)


def test_downloaded_models_are_taken_where_all_are_here(present: Path) -> None:
    assert isinstance(choose(present), NeuralAnalyser)
    (present / "2dfan4.onnx").unlink()
    assert isinstance(choose(present), BuiltinAnalyser)


def test_what_the_step_does_not_read_need_not_be_here(present: Path) -> None:
    (present / "fairface.onnx").unlink()
    assert choose(present).models() == ("yolo_face", "fan_68_5", "2dfan4", "arcface")
    (present / "arcface_w600k_r50.onnx").unlink()
    assert choose(present, face_selector_mode="many").models() == ("yolo_face", "fan_68_5", "2dfan4")
    assert isinstance(choose(present), BuiltinAnalyser)


@pytest.mark.parametrize(
    "values",
    [{"face_detector_model": "scrfd"}, {"face_landmarker_model": "peppa_wutz"}, {"compat": "facefusion"}],
)
def test_what_is_named_is_taken_here_or_not(tmp_path: Path, values: dict[str, Any]) -> None:
    assert isinstance(choose(tmp_path, **values), NeuralAnalyser)


@pytest.mark.parametrize("values", [{"face_detector_model": "blazeface"}, {"face_landmarker_model": "mesh"}])
def test_built_in_models_can_be_named(present: Path, values: dict[str, Any]) -> None:
    assert isinstance(choose(present, **values), BuiltinAnalyser)


def test_only_downloaded_models_know_age_gender_and_race(tmp_path: Path) -> None:
    assert "fairface" in choose(tmp_path, face_selector_gender="male").models()
    assert "fairface" in choose(tmp_path, face_selector_age_end=30).models()


def test_processors_that_move_the_mesh_get_the_built_in_models(present: Path) -> None:
    assert isinstance(choose(present, "on_mesh"), BuiltinAnalyser)
    assert isinstance(choose(present, "on_mesh", face_selector_gender="male"), BuiltinAnalyser)
    with pytest.raises(OptionError, match=r"on_mesh works on the mesh .* leave out yolo_face"):
        choose(present, "on_mesh", face_detector_model="yolo_face")


def test_covering_with_a_look_ahead_is_done_by_the_built_in_tracker(present: Path) -> None:
    assert isinstance(choose(present, "coverer"), BuiltinAnalyser)


def test_the_two_kinds_do_not_mix(present: Path) -> None:
    with pytest.raises(
        OptionError, match=r"blazeface and 2dfan4 cannot be used together|2dfan4 and blazeface"
    ):
        choose(present, face_detector_model="blazeface", face_landmarker_model="2dfan4")
