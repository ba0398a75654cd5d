"""Graphs that consumers run on a ComfyUI of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.comfyui import ComfySettings, Environments
from mien.consumer.comfy import Graphs
from mien.consumer.gateway import Gateway
from mien.consumer.inputs import Inputs
from mien.consumer.journal import Journal
from mien.consumer.worlds import Made, Room
from mien.errors import OptionError, UnsafeInput
from mien.pipeline.progress import Cancel
from mien.storage.local import LocalStorage
from mien.testing import FakeComfyUI
from tests.consumer.places import Requests, until, working
from tests.consumer.process import StandIn, settings_for
from tests.server.served import served
from tests.service.comfy_places import write_workflows


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
    assert found.engine.adopted == [("enhanced", "ComfyUI image_upscale", 1)]


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


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Requests]:
    """A service with a worker of faces, workflows of its own, and no ComfyUI."""
    folder = tmp_path_factory.mktemp("told")
    workflows = ComfySettings(workflows_dir=write_workflows(folder / "workflows"))
    with served(folder, comfy=workflows, requests_per_minute=1e6) as place:
        yield Requests(place)


def job_of(told: Requests, id: str) -> dict[str, Any]:
    return dict(told.place.client.get(f"jobs/{id}").json())


def test_all_files_of_a_result_are_reported(told: Requests, comfy: FakeComfyUI, tmp_path: Path) -> None:
    id = told.create("several", {"image_url": told.upload(5)})
    with working(told.url, tmp_path / "work", comfy=quick(comfy)):
        task = told.wait(id)
    assert task["status"] == "COMPLETED", task
    urls = task["result"]["urls"]
    assert task["result"]["url"] == urls[0] == task["task"]["output_data"]["url"]
    contents = [told.http.get(url) for url in urls]
    assert sorted(found.headers["content-type"] for found in contents) == ["image/png", "video/mp4"]
    job = job_of(told, id)
    assert sorted(result["name"] for result in job["results"]) == ["several-2.mp4", "several.png"] or (
        sorted(result["name"] for result in job["results"]) == ["several-2.png", "several.mp4"]
    )
    assert [result["size"] for result in job["results"]] == [len(found.content) for found in contents]
    assert job["steps"][0]["notices"] == ["It was a picture."]


def test_stages_go_from_a_worker_to_a_consumer(told: Requests, comfy: FakeComfyUI, tmp_path: Path) -> None:
    id = told.create("marked_upscale", {"target_image": told.upload(72)})
    with working(told.url, tmp_path / "work", comfy=quick(comfy)) as found:
        task = told.wait(id)
        until(lambda: found.outcomes == {"completed": 1})
    assert (task["status"], task["task"]["environment"]) == ("COMPLETED", "comm"), task
    job = job_of(told, id)
    assert [result["width"] for result in job["results"]] == [32, 64]
    assert task["result"]["url"].endswith("index=1")
    assert "urls" not in task["result"]
    assert [step["status"] for step in job["steps"]] == ["completed", "completed"]


def test_stages_of_consumers_alone_need_no_worker(
    gateway: Requests, comfy: FakeComfyUI, tmp_path: Path
) -> None:
    data = {"source_image": gateway.upload(1), "target_image": gateway.upload(73), "scale": 3.0}
    id = gateway.create("face_swap_upscale", data)
    storage = LocalStorage(tmp_path / "storage", "", "https://files.example.org", "key")
    swapping = {"environments": ("face_swap",), "once": True, "storage": storage}
    with working(gateway.url, tmp_path / "swaps", **swapping) as swaps:
        swaps.thread.join(120)
    # The result of a stage goes to the gateway, whatever storage there is: the next one fetches it there.
    assert swaps.outcomes == {"completed": 1}, swaps.log.getvalue()
    assert gateway.task(id)["status"] == "PENDING"
    drawing = {"environments": ("comm",), "once": True}
    with working(gateway.url, tmp_path / "graphs", comfy=quick(comfy), **drawing) as graphs:
        graphs.thread.join(120)
    assert graphs.outcomes == {"completed": 1}, graphs.log.getvalue()
    task = gateway.task(id)
    assert task["status"] == "COMPLETED"
    job = job_of(gateway, id)
    assert [(result["step"], result["width"]) for result in job["results"]] == [(0, 32), (1, 96)]
    picture = cv2.imdecode(
        np.frombuffer(gateway.http.get(task["result"]["url"]).content, np.uint8), cv2.IMREAD_COLOR
    )
    assert picture.shape == (72, 96, 3)
    assert not list((tmp_path / "storage").rglob("*.png"))


def test_inputs_of_another_stage_are_not_given_out(gateway: Requests) -> None:
    source, target = gateway.upload(1), gateway.upload(74)
    gateway.create("face_swap_upscale", {"source_image": source, "target_image": target})
    swap = gateway.http.get("/api/comm/task/fetch", params={"environment": "face_swap"}).json()["data"]
    assert (swap["workflow"], swap["environment"], swap["stage"], swap["stages"]) == (
        "face_swap",
        "face_swap",
        1,
        2,
    )
    lease = {"X-Lease-Token": swap["lease_token"]}
    at = f"/api/comm/task/{swap['taskId']}"
    for url in (swap["params"]["input_data"][name] for name in ("source_url", "target_url")):
        assert gateway.http.get(url, headers=lease).status_code == 200
    refused = gateway.http.post(
        f"{at}/complete", headers=lease, json={"output_data": {"url": "https://x.org/a.png"}}
    )
    assert (refused.status_code, "upload it" in refused.text) == (422, True)
    made = gateway.upload(75)
    assert gateway.http.post(f"{at}/complete", headers=lease, json={"asset": made}).status_code == 200
    # The same report after a lost answer.
    assert gateway.http.post(f"{at}/complete", headers=lease, json={"asset": made}).status_code == 200
    graph = gateway.http.get("/api/comm/task/fetch").json()["data"]
    assert (graph["workflow"], graph["stage"]) == ("image_upscale", 2)
    assert "source_image" not in graph["params"]["input_data"]
    lease = {"X-Lease-Token": graph["lease_token"]}
    (picture,) = graph["params"]["input_data"]["wf_images"]
    assert made in picture["url"]
    assert gateway.http.get(picture["url"], headers=lease).status_code == 200
    assert gateway.http.get(picture["url"]).status_code == 422
    assert gateway.http.get(f"{at}/inputs/{target}", headers=lease).status_code == 404


def test_graphs_need_a_comfyui(gateway: Requests, tmp_path: Path) -> None:
    with (
        pytest.raises(OptionError, match="COMFYUI_URL"),
        working(gateway.url, tmp_path / "work", environments=("comm",)),
    ):
        pass
