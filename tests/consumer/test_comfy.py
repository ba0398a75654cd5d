"""Graphs that consumers run on a ComfyUI of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.comfyui import ComfySettings, Environments
from mien.consumer.comfy import Graphs
from mien.consumer.gateway import Gateway
from mien.consumer.inputs import Inputs
from mien.consumer.journal import Journal
from mien.consumer.worlds import Made, Room
from mien.errors import OptionError, UnsafeInput
from mien.pipeline.progress import Cancel
from mien.testing import FakeComfyUI
from tests.consumer.places import Requests, until, working
from tests.consumer.process import StandIn, settings_for


@pytest.fixture
def comfy(tmp_path: Path) -> Any:
    with FakeComfyUI(folder=tmp_path / "comfyui") as fake:
        yield fake


def quick(fake: FakeComfyUI) -> ComfySettings:
    return ComfySettings(urls=(fake.url,), poll_seconds=0.3, poll_fast_seconds=0.05, probe_seconds=0.2)


def test_a_graph_gets_its_pictures_and_gives_a_marked_result(
    gateway: Requests, comfy: FakeComfyUI, tmp_path: Path
) -> None:
    id = gateway.create("image_upscale", {"image_url": gateway.upload(3)})
    with working(gateway.url, tmp_path / "work", comfy=quick(comfy), once=True) as found:
        found.thread.join(60)
    assert found.outcomes == {"completed": 1}, found.log.getvalue()
    task = gateway.task(id)
    assert task["status"] == "COMPLETED"
    assert gateway.http.get(task["result"]["url"]).content.startswith(b"\x89PNG")
    assert found.engine.adopted == [("edited", "ComfyUI image_upscale", 1)]


def test_a_result_that_the_policy_refuses_is_not_delivered(
    gateway: Requests, comfy: FakeComfyUI, tmp_path: Path
) -> None:
    class Strict(StandIn):
        def adopt_result(self, made: Any, output: Any, **about: Any) -> Any:
            raise UnsafeInput("The picture shows what is not allowed.")

    id = gateway.create("image_upscale", {"image_url": gateway.upload(4)})
    with working(gateway.url, tmp_path / "work", Strict(), comfy=quick(comfy), once=True) as found:
        found.thread.join(60)
    task = gateway.task(id)["task"]
    assert (task["status"], task["error"]) == ("FAILED", "The picture shows what is not allowed.")


def test_a_run_that_was_left_is_gone_on_with(gateway: Requests, comfy: FakeComfyUI, tmp_path: Path) -> None:
    id = gateway.create("image_upscale", {"image_url": gateway.upload(5)})
    settings = settings_for(gateway.url, tmp_path / "work")

    def die(made: Made) -> None:
        raise RuntimeError("killed before the result was noted")

    with Gateway(settings) as client, Environments(quick(comfy)) as environments:
        task = client.fetch(["comm"])
        assert task is not None
        settings.work_folder().mkdir()
        entry = Journal(settings.work_folder()).begin(task)
        graphs = Graphs(environments, StandIn, Inputs(client, settings), settings)
        room = Room(
            entry.folder,
            Cancel(),
            lambda call: call(),
            remember=lambda submission: entry.write(submission=submission),
            keep=die,
        )
        with pytest.raises(RuntimeError):
            graphs.work(task, room)
    with working(gateway.url, tmp_path / "work", comfy=quick(comfy)) as found:
        assert gateway.wait(id)["status"] == "COMPLETED"
        until(lambda: found.outcomes == {"completed": 1})
    # One prompt: a second one would have another number in the names of its files.
    saved = [path.name for path in (tmp_path / "comfyui").rglob("*.png") if "output" in path.parts]
    assert len(saved) <= 1


def test_graphs_need_a_comfyui(gateway: Requests, tmp_path: Path) -> None:
    with (
        pytest.raises(OptionError, match="COMFYUI_URL"),
        working(gateway.url, tmp_path / "work", environments=("comm",)),
    ):
        pass
