from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.comfyui import ComfySettings
from mien.comfyui.workflows import Workflows
from mien.errors import AssetMissing, ConsentMissing, InputError, MienError, UnsafeInput, WorkflowInvalid
from mien.jobs.job import JobStep
from mien.models import ModelStore, load_catalogue
from mien.pipeline.registry import Registry
from mien.service.checking import Checker
from mien.service.outputs import Known
from mien.service.problems import Problems
from mien.service.requests import OutputRequest, StepResult
from mien.service.settings import ServiceSettings
from mien.service.workflow_steps import CONSUMERS, WorkflowSteps
from mien.settings import Settings

A, B = "a" * 64, "b" * 64
URL = "https://example.org/pictures/face.jpg"
LOAD = {"class_type": "LoadImage", "inputs": {"image": "x"}}
BOTH = {
    "name": "both",
    "version": 4,
    "title": "Both",
    "graph": {"1": LOAD, "2": LOAD},
    "parameters": [
        {"name": "style", "type": "image", "places": ["1.image"]},
        {"name": "picture", "type": "image", "required": True, "places": ["2.image"]},
    ],
}
"""Two pictures, one of which need not be given."""


def look(id: str) -> Known:
    if id not in (A, B):
        raise AssetMissing(f"There is no asset {id[:12]}….")
    return Known(
        "holiday.jpg" if id == A else "film.mp4", "image" if id == A else "video", "jpg" if id == A else "mp4"
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workflows")
    (folder / "both.json").write_text(json.dumps(BOTH))
    return folder


def made(
    folder: Path, registry: Registry, *, environments: str = "", url: str = "", **given: Any
) -> WorkflowSteps:
    engine = Settings(cache_dir=folder / "cache", offline=True)
    file = None
    if environments:
        file = folder / "environments.txt"  # beside the workflows, which have other endings
        file.write_text(environments)
    return WorkflowSteps(
        Workflows((folder,)),
        ComfySettings(urls=(url,) if url else (), environments_file=file),
        Checker(ServiceSettings(**given), engine, registry, ModelStore(engine, load_catalogue())),
    )


@pytest.fixture(scope="module")
def steps(folder: Path, registry: Registry) -> WorkflowSteps:
    return made(folder, registry, url="http://127.0.0.1:8188")


def wrong_with(steps: WorkflowSteps, name: str, values: dict[str, Any], **more: Any) -> dict[str, str]:
    """The fields that are wrong, with the sentences."""
    with pytest.raises(MienError) as caught:
        steps.steps(name, values, look, **more)
    return dict(caught.value.details)


def test_a_graph_is_a_step_with_all_its_values(steps: WorkflowSteps) -> None:
    (step,) = steps.steps(
        "basic_generation", {"prompt": "a cat", "resolution": "64x96"}, look, consent="form 12"
    )
    call = step.args["workflow"]
    seed = call["parameters"].pop("seed")
    assert isinstance(seed, int)
    assert call == {
        "name": "basic_generation",
        "version": 1,
        "images": [],
        "target": None,
        "parameters": {
            "prompt": "a cat", "negative_prompt": "", "resolution": "64x96", "count": 1, "steps": 20, "cfg": 8.0,
            "sampler": "euler", "scheduler": "normal", "checkpoint": "v1-5-pruned-emaonly-fp16.safetensors",
        },
    }  # fmt: skip
    assert {key: value for key, value in step.args.items() if key != "workflow"} == {
        "source_paths": [],
        "target_path": "",
        "output_path": "result:basic_generation.png",
        "processors": [],
        "environment": "comfyui:comfyui",
        "consent_ref": "form 12",
    }


def test_a_step_that_is_stored_gives_the_same_graph_again(steps: WorkflowSteps) -> None:
    (step,) = steps.steps("basic_generation", {"prompt": "a cat", "resolution": "64x96"}, look)
    stored = JobStep(json.loads(json.dumps(dict(step.args))))
    graph = steps.graph_of(stored)
    assert graph == steps.graph_of(step)
    assert graph["5"]["inputs"] == {"width": 64, "height": 96, "batch_size": 1}
    assert graph["3"]["inputs"]["seed"] == step.args["workflow"]["parameters"]["seed"]
    assert steps.pictures_of(stored) == {}


def test_the_last_picture_is_the_target_after_which_the_result_is_named(steps: WorkflowSteps) -> None:
    (step,) = steps.steps("both", {"picture": A, "style": URL}, look)
    assert (step.source_paths, step.target_path) == ((URL,), f"asset:{A}")
    assert step.output_path == "result:holiday.jpg"
    assert (step.args["workflow"]["images"], step.args["workflow"]["target"]) == (["style"], "picture")
    assert steps.pictures_of(step) == {"style": (URL, ("1.image",)), "picture": (f"asset:{A}", ("2.image",))}
    (alone,) = steps.steps("both", {"picture": URL}, look)
    assert (alone.source_paths, alone.target_path, alone.output_path) == ((), URL, "result:face.jpg")
    assert list(steps.pictures_of(alone)) == ["picture"]


def test_a_swap_is_a_step_of_the_face_engine(steps: WorkflowSteps) -> None:
    values = {"source_image": A, "target_image": B, "model": "mesh"}
    (step,) = steps.steps("face_swap", values, look, resolution="640x480", consent="form 12")
    assert (step.processors, step.source_paths, step.target_path) == (
        ("face_swapper",), (f"asset:{A}",), f"asset:{B}",
    )  # fmt: skip
    assert (step.args["face_swapper_model"], step.args["resolution"]) == ("mesh", "640x480")
    assert step.args["consent_ref"] == "form 12"
    assert step.output_path == "result:film.mp4"
    assert "workflow" not in step.args


def test_stages_follow_each_other(steps: WorkflowSteps) -> None:
    values = {"source_image": A, "target_image": A, "scale": 3.0}
    swap, upscale = steps.steps("face_swap_upscale", values, look, consent="form 12")
    assert (swap.processors, upscale.target_path) == (("face_swapper",), "step:0")
    assert upscale.args["workflow"]["parameters"] == {"scale": 3.0, "method": "lanczos"}
    assert (upscale.args["workflow"]["target"], upscale.args["workflow"]["images"]) == ("image", [])
    assert "environment" not in swap.args
    assert upscale.args["environment"] == "comfyui:comfyui"
    assert {swap.args["consent_ref"], upscale.args["consent_ref"]} == {"form 12"}


def test_stages_behind_other_steps_mean_their_own_results(steps: WorkflowSteps) -> None:
    before = [JobStep({"output_path": "result:first.png"}), JobStep({"output_path": "result:second.jpg"})]
    workflow, problems = steps.workflows.get("face_swap_upscale"), Problems()
    values = {"source_image": A, "target_image": StepResult(step=0)}
    wish = OutputRequest(name="large")
    swap, upscale = steps.lay_out(workflow, values, before, look, None, None, "", wish, problems)
    assert problems.found == []
    assert (swap.target_path, upscale.target_path) == ("step:0", "step:2")
    # What is wished for is about the last result only.
    assert swap.output_path == "result:first-3.png"
    assert upscale.output_path == "result:large.png"


@pytest.mark.parametrize(
    ("name", "values", "fields"),
    [
        ("both", {}, {"picture": "The workflow both needs the parameter picture."}),
        ("both", {"picture": 7}, {"picture": "A picture is given by an address or the id of an asset."}),
        ("both", {"picture": "file:///etc/passwd"}, {"picture": ""}),
        ("both", {"picture": "https://127.0.0.1/a.png"}, {"picture": ""}),
        ("both", {"picture": "0" * 64}, {"picture": "There is no asset"}),
        (
            "both",
            {"picture": A, "hue": 1, "tint": 2},
            {"hue": "has no parameter hue", "tint": "has no parameter tint"},
        ),
        ("basic_generation", {"steps": 1000}, {"steps": "", "prompt": "needs the parameter prompt"}),
        ("basic_generation", {"prompt": "a", "resolution": "10x10"}, {"resolution": ""}),
        ("face_swap", {"source_image": A, "target_image": A, "model": "none"}, {"model": ""}),
        ("face_swap_upscale", {"source_image": A, "target_image": A, "scale": 99}, {"scale": ""}),
    ],
)
def test_all_that_is_wrong_is_told_by_the_words_of_the_request(
    steps: WorkflowSteps, name: str, values: dict[str, Any], fields: dict[str, str]
) -> None:
    found = wrong_with(steps, name, values, fields="task_data.")
    assert set(found) == {f"task_data.{field}" for field in fields}
    for field, said in fields.items():
        assert said in found[f"task_data.{field}"]


def test_a_workflow_that_there_is_not_is_named_with_those_that_there_are(steps: WorkflowSteps) -> None:
    with pytest.raises(WorkflowInvalid, match=r"There is no workflow none; there are: .*both"):
        steps.steps("none", {}, look)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(("prompt", "resolution", "seed", "steps", "cfg", "count", "sampler", "other")),
        st.one_of(
            st.none(),
            st.integers(),
            st.floats(),
            st.text(max_size=12),
            st.booleans(),
            st.lists(st.integers()),
        ),
    )
)
def test_any_values_are_a_step_or_are_refused_by_their_fields(
    steps: WorkflowSteps, values: dict[str, Any]
) -> None:
    try:
        (step,) = steps.steps("basic_generation", values, look)
    except MienError as error:
        fields = {field for field, _ in error.details}
        assert fields
        assert fields <= {*values, "prompt"}
    else:
        json.dumps(dict(step.args))
        assert steps.graph_of(step)["6"]["inputs"]["text"] == values["prompt"]


def test_addresses_inside_the_network_are_refused(steps: WorkflowSteps) -> None:
    with pytest.raises(UnsafeInput):
        steps.steps("image_upscale", {"image": "https://169.254.169.254/latest"}, look)


def test_a_result_without_marks_is_not_named(folder: Path, registry: Registry) -> None:
    """The target's own ending has no place for marks, so the result gets one that has."""

    def of_bmp(id: str) -> Known:
        return Known("old.bmp", "image", "bmp")

    marked = made(folder, registry, url="http://127.0.0.1:8188")
    free = made(folder, registry, url="http://127.0.0.1:8188", marking_required=False)
    outputs = [found.steps("image_upscale", {"image": A}, of_bmp)[0].output_path for found in (marked, free)]
    assert outputs == ["result:old.png", "result:old.bmp"]


FILE = """
[[environment]]
name = "large"
urls = ["http://127.0.0.1:9001"]
workflows = ["image_upscale"]
"""
ANY = """
[[environment]]
name = "any"
urls = ["http://127.0.0.1:9002"]
"""


@pytest.mark.parametrize(
    ("environments", "url", "upscale", "paint"),
    [
        ("", "", CONSUMERS, CONSUMERS),
        ("", "http://127.0.0.1:8188", "comfyui:comfyui", "comfyui:comfyui"),
        (FILE, "", "comfyui:large", CONSUMERS),
        (FILE, "http://127.0.0.1:8188", "comfyui:large", "comfyui:comfyui"),
        (FILE + ANY, "", "comfyui:large", "comfyui:any"),
    ],
)
def test_a_workflow_runs_where_it_is_named_or_where_all_do(
    folder: Path, registry: Registry, environments: str, url: str, upscale: str, paint: str
) -> None:
    steps = made(folder, registry, environments=environments, url=url)
    found = {name: steps.environment(steps.workflows.get(name)) for name in steps.workflows.names}
    assert (found["image_upscale"], found["basic_generation"], found["face_swap"]) == (
        upscale,
        paint,
        "local",
    )


def test_what_an_operator_asks_for_holds_for_stages_too(folder: Path, registry: Registry) -> None:
    strict = made(folder, registry, require_consent=True)
    made_steps = strict.steps("face_swap", {"source_image": A, "target_image": A}, look)
    with pytest.raises(ConsentMissing):
        strict.checker.check_consent(made_steps)
    with pytest.raises(InputError):
        strict.steps("face_swap", {"source_image": "nobody", "target_image": A}, look)
