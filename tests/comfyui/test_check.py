from typing import Any

import pytest

from mien.comfyui import ComfySettings
from mien.comfyui.check import check_size, problems
from mien.comfyui.workflows import Workflows
from mien.errors import WorkflowInvalid
from mien.testing.comfyui.builtin import BUILTIN
from tests.comfyui.graphs import empty, node, steps

CLASSES = {one.name: one.describe() for one in BUILTIN}
SETTINGS = ComfySettings()


@pytest.mark.parametrize("name", [n for n in Workflows().names if Workflows().get(n).graph is not None])
def test_shipped_graphs_are_in_order(name: str) -> None:
    graph = Workflows().get(name).graph
    assert graph is not None
    assert problems(graph, CLASSES, SETTINGS) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"1": node("Nothing", "Mine")}, "Mine (node 1) is of the class Nothing, which is not installed."),
        ({"2": node("ImageInvert")}, "the input image is missing"),
        ({"2": node("ImageInvert", image=["1", 3])}, "linked to output 3 of a node that has 1"),
        ({"2": node("ImageInvert", image=["9", 0])}, "linked to a node that is not there"),
        (
            {"2": node("ProbeText", text="x"), "3": node("SaveImage", images=["2", 0], filename_prefix="x")},
            "takes IMAGE",
        ),
        (
            {"1": node("EmptyImage", width="a", height=8, batch_size=1, color=0)},
            "width is 'a', and a number is taken",
        ),
        ({"1": node("EmptyImage", width=0, height=8, batch_size=1, color=0)}, "at least 1 is taken"),
        (
            {"1": node("EmptyImage", width=9000, height=8, batch_size=1, color=0)},
            "is 9000, and 8192 is allowed",
        ),
        ({"3": node("ImageInvert", image=["2", 0])}, "no node saves or shows a result"),
        (
            {"2": node("ImageScaleBy", image=["1", 0], upscale_method="no", scale_by=2)},
            "upscale_method is 'no', which is not offered (nearest-exact, bilinear",
        ),
    ],
)
def test_problems_are_found_before_anything_is_sent(change: dict[str, Any], problem: str) -> None:
    found = problems(steps() | change, CLASSES, SETTINGS)
    assert any(problem in one for one in found), found


def test_a_list_of_nothing_means_missing_models() -> None:
    classes = CLASSES | {
        "CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [[], {}]}}, "output": ["MODEL"]}
    }
    graph = {"1": node("CheckpointLoaderSimple", ckpt_name="a.safetensors")}
    assert any("files of models are missing there" in one for one in problems(graph, classes, SETTINGS))


def test_only_allowed_classes_may_be_used() -> None:
    settings = SETTINGS.model_copy(update={"allowed_classes": frozenset({"EmptyImage", "SaveImage"})})
    with pytest.raises(WorkflowInvalid, match="node class ProbeSteps is not allowed here"):
        check_size(steps(), settings)
    check_size({"1": empty(), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}, settings)
