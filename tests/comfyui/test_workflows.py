import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.comfyui import ComfyInstance, ComfySettings
from mien.comfyui.workflow import prepare
from mien.comfyui.workflows import Workflows
from mien.errors import WorkflowInvalid
from tests.comfyui.graphs import node

INVERT = {
    "name": "invert",
    "version": 3,
    "parameters": [{"name": "image", "type": "image", "required": True, "places": ["1.image"]}],
    "graph": {
        "1": node("LoadImage", image=""),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    },
}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "My Picture.PNG"
    cv2.imwrite(str(path), np.full((20, 30, 3), 77, np.uint8))
    return path


def folder_with(tmp_path: Path, **files: Any) -> Path:
    folder = tmp_path / "flows"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_text_becomes_a_picture_of_the_asked_size(instance: ComfyInstance, into: Path) -> None:
    values = {"prompt": "a boat", "resolution": "72x64", "steps": 2, "count": 2}
    prepared = prepare(Workflows().get("basic_generation"), values)
    result = instance.run(prepared.graph, into=into, job_id="job")
    shapes = [cv2.imread(str(output.path)).shape for output in result.outputs]
    assert shapes == [(64, 72, 3)] * 2
    assert prepared.graph["6"]["inputs"]["text"] == "a boat"
    assert isinstance(prepared.values["seed"], int)
    again = prepare(Workflows().get("basic_generation"), {**values, "seed": prepared.values["seed"]})
    assert again.graph == prepared.graph


def test_a_picture_is_scaled(instance: ComfyInstance, into: Path, picture: Path) -> None:
    prepared = prepare(Workflows().get("image_upscale"), {"image": picture, "scale": 3})
    (output,) = instance.run(prepared.graph, inputs=prepared.uploads, into=into, job_id="job").outputs
    assert cv2.imread(str(output.path)).shape == (60, 90, 3)
    assert prepared.values == {"image": "My Picture.PNG", "scale": 3.0, "method": "lanczos"}
    assert [upload.name for upload in prepared.uploads] == ["image.png"]


def test_a_template_is_never_changed(picture: Path) -> None:
    workflow = Workflows().get("image_upscale")
    before = json.dumps(workflow.graph)
    prepare(workflow, {"image": picture, "scale": 4})
    assert json.dumps(workflow.graph) == before


def test_stages_are_laid_out_and_joined(picture: Path, tmp_path: Path) -> None:
    plan = Workflows().plan(
        "face_swap_upscale", {"source_image": picture, "target_image": picture, "scale": 4}
    )
    swap, upscale = plan.stages
    assert (swap.workflow.kind, swap.workflow.processors) == ("mien", ("face_swapper",))
    assert swap.resolve({}) == {"source_image": picture, "target_image": picture}
    assert upscale.from_stages == {"image": "swap"}
    values = upscale.resolve({"swap": picture})
    assert prepare(upscale.workflow, values).graph["2"]["inputs"]["scale_by"] == 4.0
    (only,) = Workflows().plan("image_upscale", {"image": picture}).stages
    assert only.name == "image_upscale"
    with pytest.raises(WorkflowInvalid, match="no graph to prepare"):
        prepare(swap.workflow, {"source_image": picture, "target_image": picture})


def test_the_operators_folder_comes_first(tmp_path: Path) -> None:
    mine = {**INVERT, "name": "image_upscale"}
    folder = folder_with(
        tmp_path, a__json=mine, invert__toml='name = "invert"\nversion = 1\ngraph = "invert.json"\n'
    )
    (folder / "invert.json").write_text(json.dumps(INVERT["graph"]))
    found = Workflows.from_settings(ComfySettings(workflows_dir=folder))
    assert found.get("image_upscale").version == 3
    assert found.file("image_upscale") == folder / "a.json"
    assert "invert" in found.names
    # What replaces one workflow may break another that is made of it, and only that.
    with pytest.raises(WorkflowInvalid, match="sets scale, which image_upscale does not have"):
        found.plan("face_swap_upscale", {})
    assert found.get("face_swap").kind == "mien"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "needs the parameter image"),
        ({"image": None}, "needs the parameter image"),
        ({"picture": "x"}, "has no parameter picture; it has: image, method, scale"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(WorkflowInvalid, match=why):
        Workflows().plan("image_upscale", values)


def changed(**more: Any) -> dict[str, Any]:
    return {**INVERT, **more}


def staged(workflow: str, **inputs: Any) -> dict[str, Any]:
    return {"name": "x", "version": 1, "stages": [{"name": "a", "workflow": workflow, "inputs": inputs}]}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[", "is not JSON"),
        ("[]", "does not hold an object"),
        (changed(version=0), "wrong at version"),
        (changed(surprise=1), "wrong at surprise"),
        (changed(graph="nothing.json"), "cannot be read"),
        (changed(processors=["face_swapper"]), "it needs one of graph, processors and stages"),
        (
            changed(parameters=[{"name": "a", "type": "str", "places": ["9.text"]}]),
            "goes to 9.text, which the graph",
        ),
        (changed(parameters=[{"name": "a", "type": "str"}]), "goes to no input"),
        (changed(parameters=INVERT["parameters"] * 2), "two parameters have the same name"),
        (
            staged("no"),
            "There is no workflow no",
        ),
        (
            {
                "name": "x",
                "version": 1,
                "stages": [{"name": "a", "workflow": "face_swap", "inputs": {"b": {"value": 1}}}],
            },
            "sets b, which face_swap does not have",
        ),
        (
            {
                "name": "x",
                "version": 1,
                "stages": [{"name": "a", "workflow": "face_swap", "inputs": {"b": {"stage": "z"}}}],
            },
            "names no earlier stage",
        ),
        (
            {
                "name": "x",
                "version": 1,
                "stages": [{"name": "a", "workflow": "face_swap_upscale", "inputs": {}}],
            },
            "has stages itself",
        ),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: Any, why: str) -> None:
    folder = folder_with(tmp_path, a__json=content)
    with pytest.raises(WorkflowInvalid, match=why):
        Workflows((folder,)).plan("x", {})


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkflowInvalid, match="does not exist; create it"):
        Workflows((tmp_path / "no",))
