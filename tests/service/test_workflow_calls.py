from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mien.comfyui import ComfySettings
from mien.comfyui.workflows import Workflows
from mien.errors import AssetMissing
from mien.jobs.job import JobStep
from mien.models import ModelStore, load_catalogue
from mien.service.checking import Checker
from mien.service.outputs import Known
from mien.service.problems import Problems
from mien.service.requests import StepRequest
from mien.service.settings import ServiceSettings
from mien.service.workflow_calls import WorkflowCalls
from mien.service.workflow_steps import WorkflowSteps
from mien.settings import Settings
from tests.pipeline.fakes import PROCESSORS
from tests.service.comfy_places import comfy_settings

T, S = "a" * 64, "b" * 64
URL = "http://127.0.0.1:8188"
EARLIER = JobStep({"source_paths": [], "target_path": f"asset:{T}", "output_path": "result:first.png"})


def workflow_steps(folder: Path, comfy: ComfySettings | None = None, **given: Any) -> WorkflowSteps:
    """Of a service with one ComfyUI instance unless told otherwise, which is never asked anything."""
    comfy = comfy or comfy_settings(folder, URL)
    engine = Settings(cache_dir=folder / "cache", offline=True)
    models = ModelStore(engine, load_catalogue())
    checker = Checker(ServiceSettings.model_validate(given), engine, PROCESSORS, models)
    return WorkflowSteps(Workflows.from_settings(comfy), comfy, checker)


def look(id: str) -> Known:
    if id not in (T, S):
        raise AssetMissing(f"There is no asset {id[:12]}….")
    return Known("holiday.jpg", "image", "jpg")


class Called:
    """What became of a call: the steps, or what is wrong by its field."""

    def __init__(
        self, steps: WorkflowSteps, step: dict[str, Any], before: Sequence[JobStep], consent: str | None
    ) -> None:
        wish, problems = StepRequest.model_validate(step), Problems()
        assert wish.workflow is not None
        self.steps = WorkflowCalls(steps).called(
            wish, wish.workflow, lambda name: f"steps.3.{name}", before, consent, look, problems
        )
        self.wrong = {field: str(error) for field, error in problems.found}
        self.codes = [error.code for _, error in problems.found]


def called(
    folder: Path,
    name: str,
    parameters: dict[str, Any] | None = None,
    before: Sequence[JobStep] = (),
    consent: str | None = None,
    comfy: ComfySettings | None = None,
    **step: Any,
) -> Called:
    call = {"workflow": {"name": name, "parameters": parameters or {}}, **step}
    return Called(workflow_steps(folder, comfy), call, before, consent)


def test_the_target_becomes_the_picture_of_the_workflow(tmp_path: Path) -> None:
    found = called(tmp_path, "image_upscale", {"scale": 3}, target=T, consent="form 1")
    assert found.wrong == {}
    (step,) = found.steps
    assert (step.target_path, step.source_paths, step.processors) == (f"asset:{T}", (), ())
    assert step.output_path == "result:holiday.jpg"
    call = step.args["workflow"]
    assert (call["name"], call["target"], call["parameters"]["scale"]) == ("image_upscale", "image", 3)
    assert (step.args["environment"], step.args["consent_ref"]) == ("comfyui:comfyui", "form 1")


def test_a_picture_may_be_given_by_its_parameter_as_well(tmp_path: Path) -> None:
    by_name = called(tmp_path, "image_upscale", {"image": T})
    assert by_name.wrong == {}
    assert by_name.steps == called(tmp_path, "image_upscale", target=T).steps


PAIR = """
name = "pair"
version = 1
processors = ["needs_source"]
[[parameters]]
name = "first"
type = "image"
required = true
option = "sources"
[[parameters]]
name = "second"
type = "image"
option = "sources"
[[parameters]]
name = "base"
type = "image"
required = true
option = "target"
"""


@pytest.fixture
def pair(tmp_path: Path) -> ComfySettings:
    """With a workflow of three pictures, the last of which is worked on."""
    found = comfy_settings(tmp_path, URL)
    (tmp_path / "workflows" / "pair.toml").write_text(PAIR)
    return found


@pytest.mark.parametrize(
    ("parameters", "sources"),
    [({}, [S, T]), ({"first": S}, [T]), ({"second": T}, [S]), ({"first": S, "second": T}, [])],
)
def test_the_target_is_the_last_picture_and_sources_those_before(
    tmp_path: Path, pair: ComfySettings, parameters: dict[str, Any], sources: list[str]
) -> None:
    found = called(tmp_path, "pair", parameters, comfy=pair, target=T, sources=sources)
    assert found.wrong == {}
    (step,) = found.steps
    assert (step.source_paths, step.target_path) == ((f"asset:{S}", f"asset:{T}"), f"asset:{T}")


def test_one_picture_too_many_is_refused(tmp_path: Path, pair: ComfySettings) -> None:
    found = called(tmp_path, "pair", comfy=pair, target=T, sources=[S, S, S])
    assert found.wrong == {"steps.3.sources.2": "The workflow pair takes no further picture."}


def test_a_workflow_of_stages_is_several_steps_behind_those_before(tmp_path: Path) -> None:
    found = called(tmp_path, "marked_upscale", before=[EARLIER], target=T, output={"name": "big"})
    assert found.wrong == {}
    marked, larger = found.steps
    assert (marked.processors, marked.target_path) == (("marker",), f"asset:{T}")
    assert (larger.target_path, larger.output_path) == ("step:1", "result:big.jpg")
    assert (marked.args.get("environment"), larger.args["environment"]) == (None, "comfyui:comfyui")


def test_the_result_of_an_earlier_step_is_worked_on(tmp_path: Path) -> None:
    found = called(tmp_path, "image_upscale", before=[EARLIER], target={"step": 0})
    assert found.wrong == {}
    assert found.steps[0].target_path == "step:0"


def test_a_step_whose_result_does_not_come_before_is_refused(tmp_path: Path) -> None:
    for number in (1, 2):
        found = called(tmp_path, "image_upscale", before=[EARLIER], target={"step": number})
        assert found.steps == ()
        said = f"The target is the result of step {number}, which does not come before this step."
        assert found.wrong == {"steps.3.target": said}


@pytest.mark.parametrize(
    ("step", "field", "said"),
    [
        ({"name": "none"}, "workflow.name", "There is no workflow none; there are: basic_generation, "),
        ({"name": "image_upscale"}, "workflow.parameters.image", "needs the parameter image"),
        ({"parameters": {"scale": 99}, "target": T}, "workflow.parameters.scale", "scale"),
        ({"parameters": {"hue": 1}, "target": T}, "workflow.parameters.hue", "has no parameter hue"),
        ({"target": T, "sources": [S]}, "sources.0", "takes no further picture"),
        ({"parameters": {"image": S}, "target": T}, "target", "takes no further picture"),
        ({"name": "counted", "parameters": {"key": "a"}, "target": T}, "target", "takes no further"),
        ({"target": T, "processors": ["marker"]}, "processors", "has no processors; what it takes are"),
        ({"target": T, "options": {"a": 1}}, "options", "has no options"),
        (
            {"target": T, "face_map": [{"face": "f0-1-2-3-4", "sources": [S]}]},
            "face_map",
            "has no face_map",
        ),
        ({"target": T, "resolution": "512x512"}, "resolution", "a parameter of a workflow"),
        ({"target": T, "output": {"format": "jpg"}}, "output.format", "decides itself"),
        ({"target": "https://127.0.0.1/a.png"}, "workflow.parameters.image", "not public"),
        ({"target": "file:///etc/passwd"}, "workflow.parameters.image", "begin with https"),
        ({"target": "c" * 64}, "workflow.parameters.image", "There is no asset"),
    ],
)
def test_what_is_wrong_with_a_call_is_named(
    tmp_path: Path, step: dict[str, Any], field: str, said: str
) -> None:
    found = called(tmp_path, **{"name": "image_upscale", **step})
    assert said in found.wrong[f"steps.3.{field}"]
    assert len(found.wrong) == 1


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    wrong = {"scale": 99, "hue": 1}
    found = called(tmp_path, "image_upscale", wrong, target=T, sources=[S], processors=["marker"])
    names = ("processors", "sources.0", "workflow.parameters.hue", "workflow.parameters.scale")
    assert sorted(found.wrong) == [f"steps.3.{name}" for name in names]
    assert found.steps == ()


def test_a_stage_of_the_face_engine_may_have_a_size_and_a_format(tmp_path: Path) -> None:
    found = called(tmp_path, "marker", target=T, resolution="512x512", output={"format": "webp"})
    assert found.wrong == {}
    assert (found.steps[0].args["resolution"], found.steps[0].output_path) == (
        "512x512",
        "result:holiday.webp",
    )


def test_what_consumers_do_is_no_step_of_a_job(tmp_path: Path) -> None:
    nobody = comfy_settings(tmp_path)
    for name in ("image_upscale", "marked_upscale"):
        found = called(tmp_path, name, target=T, comfy=nobody)
        assert found.steps == ()
        assert list(found.wrong) == ["steps.3.workflow.name"]
        assert "COMFYUI_URL" in found.wrong["steps.3.workflow.name"]
    assert called(tmp_path, "marker", target=T, comfy=nobody).wrong == {}
