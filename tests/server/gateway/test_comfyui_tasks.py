"""Tasks that ComfyUI does, over HTTP, through a whole service, with instances that are fakes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import httpx2
import numpy as np
import pytest

from mien.testing import FakeComfyUI
from tests.server.served import Served, code_of, face_png, fields_of, served
from tests.service.comfy_places import Counts, comfy_settings, fakes


class Place:
    """A service with one instance."""

    def __init__(self, place: Served, comfy: FakeComfyUI, counts: Counts) -> None:
        self.place, self.comfy, self.counts = place, comfy, counts
        base = str(place.client.base_url).replace("/api/v1/", "")
        self.http = httpx2.Client(base_url=base, timeout=60, trust_env=False)

    def create(self, workflow: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
        answer = self.http.post("/api/tasks/create", json={"workflow": workflow, "task_data": data, **more})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, id: str, *wanted: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            found = dict(self.http.get(f"/api/tasks/{id}").json())
            if found["status"] in (wanted or ("COMPLETED", "FAILED", "CANCELLED")):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    def done(self, workflow: str, data: dict[str, Any]) -> dict[str, Any]:
        """The job of a task that ended well."""
        found = self.wait(self.create(workflow, data)["taskId"])
        assert found["status"] == "COMPLETED", found
        return dict(self.place.client.get(f"jobs/{found['task']['taskId']}").json())

    def picture(self, job: dict[str, Any], index: int = 0) -> np.ndarray[Any, Any]:
        content = self.place.client.get(f"jobs/{job['id']}/result", params={"index": index}).content
        return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, counts = tmp_path_factory.mktemp("comfyui"), Counts()
    with fakes(1, counts.node()) as (comfy,):
        settings = comfy_settings(folder, comfy.url)
        with served(folder, comfy=settings) as place:
            yield Place(place, comfy, counts)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def test_a_picture_is_scaled_up(working: Place) -> None:
    asset = working.place.upload(17)
    job = working.done("image_upscale", {"image_url": asset, "scale": 3.0, "method": "nearest-exact"})
    found = working.picture(job)
    before = cv2.imdecode(np.frombuffer(face_png(17), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(found, cv2.resize(before, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST_EXACT))
    (result,) = job["results"]
    assert (result["name"], result["content"], result["width"]) == ("face.png", "unchecked", 96)
    assert result["workflow"]["parameters"]["scale"] == 3.0
    assert (job["environment"], job["workflow"]) == ("comfyui:comfyui", "image_upscale")


def test_a_picture_is_drawn_from_words_and_its_seed_is_kept(working: Place) -> None:
    data = {"prompt": "a cat", "resolution": "64x96", "steps": 2, "count": 2}
    job = working.done("basic_generation", data)
    assert [result["name"] for result in job["results"]] == ["basic_generation.png", "basic_generation-2.png"]
    assert working.picture(job).shape == (96, 64, 3)
    made = job["results"][0]["workflow"]
    assert (made["name"], made["version"]) == ("basic_generation", 1)
    assert isinstance(made["parameters"]["seed"], int)
    assert job["steps"][0]["models"] == ["v1-5-pruned-emaonly-fp16.safetensors"]
    verdict = working.place.client.post("verify", json={"asset": job["results"][0]["asset"]}).json()
    assert verdict["marks"]["source_type"].endswith("/trainedAlgorithmicMedia")
    again = working.done("basic_generation", {**data, "seed": made["parameters"]["seed"]})
    assert np.array_equal(working.picture(job), working.picture(again))


def test_a_model_of_the_instance_makes_a_picture_larger(working: Place) -> None:
    job = working.done("image_upscale_model", {"image_url": working.place.upload(3)})
    assert job["steps"][0]["models"] == ["RealESRGAN_x4plus.pth"]
    assert working.picture(job).shape == (96, 128, 3)
    verdict = working.place.client.post("verify", json={"asset": job["results"][0]["asset"]}).json()
    assert verdict["marks"]["source_type"].endswith("/algorithmicallyEnhanced")


def test_all_files_and_texts_of_a_run_are_kept(working: Place) -> None:
    job = working.done("several", {"image_url": working.place.upload(5)})
    kinds = [(result["name"], result["kind"]) for result in job["results"]]
    assert sorted(kinds) == [("face.png", "image"), ("several-2.mp4", "video")]
    assert "It was a picture." in job["steps"][0]["notices"]


def test_one_job_swaps_here_and_scales_up_there(working: Place) -> None:
    place = working.place
    target, source = place.upload(60), place.upload(61)
    swap = {"processors": ["marker"], "sources": [source], "target": target}
    body = {"steps": [swap, {"workflow": {"name": "image_upscale"}, "target": {"step": 0}}]}
    job = place.wait(place.submit(**body)["id"])
    assert job["status"] == "completed", job
    first, second = working.picture(job, 0), working.picture(job, 1)
    assert (first[10, 12] == 255).all()
    assert second.shape == (48, 64, 3)
    assert np.abs(cv2.resize(second, (32, 24), interpolation=cv2.INTER_AREA).astype(int) - first).mean() < 8
    verdict = place.client.post("verify", json={"asset": job["results"][1]["asset"]}).json()
    assert verdict["marks"]["operations"] == ["marker", "image_upscale"]
    assert verdict["marks"]["source_type"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["queued", "completed"]


def test_a_workflow_of_stages_is_several_steps_of_a_job(working: Place) -> None:
    place = working.place
    stages = {"name": "marked_upscale", "parameters": {"target_image": place.upload(70)}}
    call = {"name": "image_upscale", "parameters": {"scale": 1.5}}
    steps = [{"workflow": stages}, {"workflow": call, "target": {"step": 0}, "output": {"name": "big"}}]
    job = place.wait(place.submit(steps=steps)["id"])
    assert job["status"] == "completed", job
    assert [step["target"] for step in job["steps"][1:]] == [{"step": 0}, {"step": 1}]
    assert [result["width"] for result in job["results"]] == [32, 64, 96]
    assert job["results"][2]["name"] == "big.png"
    found = working.wait(working.create("marked_upscale", {"target_image": place.upload(72)})["taskId"])
    assert (found["status"], found["task"]["environment"]) == ("COMPLETED", "comm")


def test_a_draft_takes_workflows_of_one_stage(working: Place) -> None:
    place = working.place
    draft = place.submit(steps=[], draft=True)["id"]
    stages = {"workflow": {"name": "marked_upscale"}, "target": place.upload(74)}
    answer = place.client.post(f"jobs/{draft}/steps", json=stages)
    assert "workflow.name" in fields_of(answer)
    step = {"workflow": {"name": "image_upscale"}, "target": place.upload(75)}
    assert place.client.post(f"jobs/{draft}/steps", json=step).status_code == 201
    answer = place.client.post(f"jobs/{draft}/steps/0/remix", json={"workflow": {"name": "image_upscale"}})
    assert answer.json()["steps"][1]["target"] == {"step": 0}
    place.client.post(f"jobs/{draft}/submit")
    assert [result["width"] for result in place.wait(draft)["results"]] == [64, 128]


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ({"workflow": {"name": "none"}}, "workflow.name"),
        ({"workflow": {"name": "image_upscale"}}, "workflow.parameters.image"),
        ({"workflow": {"name": "image_upscale"}, "target": "T", "sources": ["T"]}, "sources.0"),
    ],
)
def test_what_is_wrong_with_a_call_is_named(working: Place, step: dict[str, Any], field: str) -> None:
    text = {"T": working.place.upload(1)}
    step = {name: text.get(value, value) if isinstance(value, str) else value for name, value in step.items()}
    if "sources" in step:
        step["sources"] = [text["T"]]
    answer = working.place.client.post("jobs", json={"steps": [step]})
    assert code_of(answer)[0] == 422, answer.text
    assert f"steps.0.{field}" in fields_of(answer)


def test_hostile_addresses_reach_no_instance(working: Place) -> None:
    for url in ("http://127.0.0.1/x", "https://169.254.169.254/x", "file:///etc/passwd", "https://[::1]/"):
        body = {"workflow": "image_upscale", "task_data": {"image_url": url}}
        answer = working.http.post("/api/tasks/create", json=body)
        assert (answer.status_code, fields_of(answer)) == (422, {"task_data.image_url"})
    # A name that leads to this machine is found out when it is fetched.
    body = {"workflow": "image_upscale", "task_data": {"image_url": "https://localhost.localdomain/x.png"}}
    answer = working.http.post("/api/tasks/create", json=body)
    if answer.status_code == 200:
        assert working.wait(answer.json()["taskId"])["status"] == "FAILED"


def test_the_instance_refuses_a_value_and_the_failure_says_which(working: Place) -> None:
    found = working.wait(working.create("basic_generation", {"prompt": "a cat", "sampler": "none"})["taskId"])
    assert found["status"] == "FAILED"
    assert "sampler_name of" in found["task"]["error"]
    job = working.place.client.get(f"jobs/{found['task']['taskId']}").json()
    assert (job["failure"]["code"], job["failure"]["kind"]) == ("invalid_workflow", "invalid_input")
    waited = working.place.client.post(
        "process",
        json={"workflow": {"name": "basic_generation", "parameters": {"prompt": "a", "sampler": "x"}}},
    )
    assert code_of(waited) == (422, "invalid_workflow")


def test_progress_and_pictures_are_told_while_a_prompt_runs(working: Place) -> None:
    id = working.create("stepped", {"steps": 30})["taskId"]
    assert working.wait(id)["status"] == "COMPLETED"
    events = working.place.service.events.since(id)
    assert any(event.data["message"] == "ProbeSteps" for event in events if event.type == "progress")
    (preview,) = [event.data for event in events if event.type == "preview"]
    assert preview["content_type"] == "image/jpeg"
    assert len(preview["data"]) <= 64 * 1024


def test_a_task_that_runs_and_one_that_waits_are_stopped(working: Place) -> None:
    keys = [
        f"stop-{uuid4().hex}" for _ in range(3)
    ]  # the instance outlives a first try, and so do its counts
    working.counts.gate.clear()
    try:
        running = [working.create("counted", {"key": key})["taskId"] for key in keys[:2]]
        for id in running:
            assert working.wait(id, "PROCESSING")["status"] == "PROCESSING"
        until(lambda: working.counts.begun[keys[0]] + working.counts.begun[keys[1]])
        waiting = working.create("counted", {"key": keys[2]})["taskId"]
        stopped = working.http.post("/api/comfyui-interrupt", json={"task_id": waiting}).json()
        assert stopped["tasks"] == [waiting]
        assert working.wait(waiting)["status"] == "CANCELLED"
        assert set(working.http.post("/api/comfyui-interrupt", json={}).json()["tasks"]) == set(running)
        assert [working.wait(id)["status"] for id in running] == ["CANCELLED", "CANCELLED"]
        until(lambda: not working.comfy.life.prompts.remaining())
    finally:
        working.counts.gate.set()
    assert working.counts.begun[keys[2]] == 0


def test_what_can_be_done_is_described(working: Place) -> None:
    found = working.place.client.get("capabilities").json()["workflows"]
    known = {entry["name"]: entry for entry in found}
    assert known["image_upscale"]["environments"] == ["comfyui:comfyui"]
    assert known["face_swap_upscale"]["environments"] == ["local", "comfyui:comfyui"]
    assert all(entry["available"] for entry in found)
    (scale,) = [item for item in known["image_upscale"]["parameters"] if item["name"] == "scale"]
    assert (scale["type"], scale["default"], scale["min"], scale["max"]) == ("float", 2.0, 1, 8)


def test_the_status_tells_of_instances(working: Place) -> None:
    until(lambda: working.http.get("/api/status").json()["comfyui"] == "connected")
    found = working.http.get("/api/status").json()
    (instance,) = found["instances"]
    assert (instance["environment"], instance["url"]) == ("comfyui", working.comfy.url)
    assert found["unserved"] == []
    queues = working.http.get("/api/comfyui-queue-status").json()["instances"]
    assert [(queue["connected"], queue["queue_running"]) for queue in queues] == [(True, 0)]
    (stats,) = working.http.get("/api/comfyui-system-stats").json()["instances"]
    assert stats["connected"]
    assert "argv" not in stats["system"]


def test_without_instances_a_step_cannot_name_a_workflow(tmp_path: Path) -> None:
    with served(tmp_path, works=False) as place:
        step = {"workflow": {"name": "image_upscale"}, "target": place.upload(1)}
        answer = place.client.post("jobs", json={"steps": [step]})
        assert fields_of(answer) == {"steps.0.workflow.name"}
        assert "COMFYUI_URL" in answer.json()["error"]["message"]
        found = {entry["name"]: entry for entry in place.client.get("capabilities").json()["workflows"]}
        assert not found["image_upscale"]["available"]
        assert found["face_swap"]["available"]
