from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mien.comfyui import ComfySettings, Environments
from mien.service.workflow_list import environments_of, workflow_list
from tests.service.comfy_places import comfy_settings
from tests.service.test_workflow_calls import URL, workflow_steps


def listed(folder: Path, comfy: ComfySettings, *instances: str) -> dict[str, dict[str, Any]]:
    """The list by name, with instances of ``comfyui`` in these states; without any they were never asked."""
    environments: Any = Environments(comfy)
    if instances:
        found = tuple(SimpleNamespace(state=state) for state in instances)
        environments = SimpleNamespace(status=lambda: [SimpleNamespace(name="comfyui", instances=found)])
    return {entry["name"]: entry for entry in workflow_list(workflow_steps(folder, comfy), environments)}


def test_workflows_are_described_with_where_they_run(tmp_path: Path) -> None:
    comfy = comfy_settings(tmp_path, URL)
    found = listed(tmp_path, comfy)
    assert list(found) == sorted(found)
    assert set(found) >= {"face_swap", "image_upscale", "counted", "marked_upscale"}
    entry = found["counted"]
    assert (entry["title"], entry["version"], entry["environments"]) == ("counted", 3, ["comfyui:comfyui"])
    (key, color) = entry["parameters"]
    assert (key["name"], key["type"], key["required"]) == ("key", "str", True)
    assert (color["name"], color["type"]) == ("color", "seed")
    assert found["face_swap"]["environments"] == ["local"]


def test_places_of_stages_are_told_once_each_in_their_order(tmp_path: Path) -> None:
    steps = workflow_steps(tmp_path)
    places = {name: environments_of(steps, steps.workflows.get(name)) for name in steps.workflows.names}
    assert places["marked_upscale"] == ["local", "comfyui:comfyui"]
    assert places["marker"] == ["local"]
    folder = tmp_path / "workflows"
    (folder / "twice.toml").write_text(TWICE)
    again = workflow_steps(tmp_path)
    assert environments_of(again, again.workflows.get("twice")) == ["comfyui:comfyui"]


TWICE = """
name = "twice"
version = 1
[[parameters]]
name = "image"
type = "image"
required = true
[[stages]]
name = "one"
workflow = "image_upscale"
[stages.inputs]
image = { parameter = "image" }
[[stages]]
name = "two"
workflow = "image_upscale"
[stages.inputs]
image = { stage = "one" }
"""


@pytest.mark.parametrize(
    ("instances", "available"),
    [
        ((), True),  # never asked: they count as there
        (("unknown",), True),
        (("ready",), True),
        (("busy",), True),
        (("faulty",), False),
        (("draining",), False),
        (("faulty", "draining"), False),
        (("faulty", "busy"), True),
    ],
)
def test_a_workflow_can_be_had_while_an_instance_may_run_it(
    tmp_path: Path, instances: tuple[str, ...], available: bool
) -> None:
    found = listed(tmp_path, comfy_settings(tmp_path, URL), *instances)
    assert found["image_upscale"]["available"] is available
    assert found["marked_upscale"]["available"] is available  # one of its stages runs there
    assert found["face_swap"]["available"] is True


def test_without_instances_consumers_do_what_the_face_engine_does_not(tmp_path: Path) -> None:
    found = listed(tmp_path, comfy_settings(tmp_path))
    assert found["image_upscale"]["environments"] == ["pull:comm"]
    assert found["image_upscale"]["available"] is False
    assert found["face_swap"]["available"] is True
