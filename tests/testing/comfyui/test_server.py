"""The fake as its users see it."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest

from mien.testing import FakeComfyUI, Node
from mien.testing.comfyui import Result

PICTURE = cv2.imencode(".png", np.full((8, 8, 3), 50, np.uint8))[1].tobytes()
OTHER = cv2.imencode(".png", np.full((8, 8, 3), 60, np.uint8))[1].tobytes()
CLEAR = cv2.imencode(".png", np.zeros((8, 8, 4), np.uint8))[1].tobytes()


@pytest.fixture
def comfy() -> Iterator[FakeComfyUI]:
    with FakeComfyUI() as fake:
        yield fake


@pytest.fixture
def client(comfy: FakeComfyUI) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=comfy.url, trust_env=False) as made:
        yield made


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def slow(salt: int = 0, steps: int = 2000) -> dict[str, Any]:
    wanted = {"image": ["1", 0], "steps": steps, "delay": 0.02, "fail_at": -1, "preview": False, "salt": salt}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "ProbeSteps", "inputs": wanted},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }


def upload(client: httpx2.Client, content: bytes, name: str, path: str = "/upload/image", **data: str) -> Any:
    return client.post(path, files={"image": (name, content)}, data=data)


def test_uploads_keep_what_is_there(client: httpx2.Client) -> None:
    assert upload(client, PICTURE, "a.png").json() == {"name": "a.png", "subfolder": "", "type": "input"}
    assert upload(client, PICTURE, "a.png").json()["name"] == "a.png"
    assert upload(client, OTHER, "a.png").json()["name"] == "a (1).png"
    assert upload(client, OTHER, "a.png", overwrite="true").json()["name"] == "a.png"
    assert upload(client, OTHER, "b.png", subfolder="job/in").json()["subfolder"] == "job/in"
    assert upload(client, OTHER, "b.png", subfolder="../../out").status_code == 400
    assert upload(client, OTHER, "b.png", type="bogus").status_code == 500
    assert client.post("/upload/image", data={"type": "input"}).status_code == 400


def test_a_mask_becomes_the_alpha_of_its_picture(client: httpx2.Client, comfy: FakeComfyUI) -> None:
    upload(client, PICTURE, "a.png")
    reference = json.dumps({"filename": "a.png", "type": "input", "subfolder": ""})
    name = upload(client, CLEAR, "mask.png", "/upload/mask", original_ref=reference).json()["name"]
    made = cv2.imread(str(comfy.folders.folder("input") / name), cv2.IMREAD_UNCHANGED)
    assert made[0, 0].tolist() == [50, 50, 50, 0]


def test_files_are_given_out_whole_in_part_and_recoded(client: httpx2.Client) -> None:
    upload(client, PICTURE, "a.png")
    query = "/view?filename=a.png&type=input"
    assert client.get(query).content == PICTURE
    part = client.get(query, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, PICTURE[:10])
    assert client.head(query).headers["content-length"] == str(len(PICTURE))
    assert client.get(query + "&preview=webp;60").content[8:12] == b"WEBP"
    assert client.get(query + "&channel=a").headers["content-type"] == "image/png"
    assert client.get("/view?filename=no.png").status_code == 404
    assert client.get("/view?filename=../a.png").status_code == 400
    assert client.get("/view?filename=a.png&type=input&subfolder=../..").status_code == 403


def test_the_queue_runs_by_number_and_shows_its_heap(client: httpx2.Client, comfy: FakeComfyUI) -> None:
    comfy.faults.worker_dead = True
    ids = [
        client.post("/prompt", json={"prompt": slow(salt, 1), **more}).json()["prompt_id"]
        for salt, more in enumerate([{}, {}, {"front": True}, {"number": -100.5}])
    ]
    assert client.get("/prompt").json()["exec_info"]["queue_remaining"] == 4
    assert {item[1] for item in client.get("/queue").json()["queue_pending"]} == set(ids)
    client.post("/queue", json={"delete": [ids[1], "unknown"]})
    comfy.faults.worker_dead = False
    until(lambda: client.get("/prompt").json()["exec_info"]["queue_remaining"] == 0)
    assert comfy.life.executor.executed == [ids[3], ids[2], ids[0]]
    assert list(client.get("/history?max_items=1").json()) == [ids[0]]
    client.post("/history", json={"clear": True})
    assert client.get("/history").json() == {}


def test_an_interrupt_stops_what_it_names_and_without_a_name_whatever_runs(
    client: httpx2.Client, comfy: FakeComfyUI
) -> None:
    for body in ({"prompt_id": "PLACE"}, None):
        prompt_id = client.post("/prompt", json={"prompt": slow()}).json()["prompt_id"]
        until(lambda: comfy.life.executor.node == "2")
        client.post("/interrupt", json={"prompt_id": "00000000-0000-4000-8000-000000000000"})
        assert client.get("/queue").json()["queue_running"]
        client.post("/interrupt", json={"prompt_id": prompt_id} if body else None)
        until(lambda: client.get(f"/history/{prompt_id}").json())  # noqa: B023
        assert client.get(f"/api/jobs/{prompt_id}").json()["status"] == "cancelled"


def test_jobs_are_listed_filtered_and_paged(client: httpx2.Client, comfy: FakeComfyUI) -> None:
    for salt in range(3):
        extra = {"extra_pnginfo": {"workflow": {"id": f"flow-{salt}"}}}
        client.post("/prompt", json={"prompt": slow(salt, 1), "extra_data": extra})
    until(lambda: len(client.get("/history").json()) == 3)
    page = client.get("/api/jobs?status=completed&limit=2&sort_order=asc").json()
    assert page["pagination"] == {"offset": 0, "limit": 2, "total": 3, "has_more": True}
    assert [job["workflow_id"] for job in page["jobs"]] == ["flow-0", "flow-1"]
    assert client.get("/api/jobs?workflow_id=flow-2").json()["pagination"]["total"] == 1
    assert client.post("/api/jobs/cancel", json={"job_ids": ["no"]}).status_code == 400


@pytest.mark.parametrize(
    ("version", "jobs", "cancel", "unknown"),
    [
        ("0.3.64", 404, 404, "invalid_prompt"),
        ("0.24.0", 200, 404, "missing_node_type"),
        ("0.33.0", 200, 200, "missing_node_type"),
    ],
)
def test_versions_differ(version: str, jobs: int, cancel: int, unknown: str) -> None:
    with FakeComfyUI(version=version) as comfy, httpx2.Client(base_url=comfy.url, trust_env=False) as client:
        nobody = "00000000-0000-4000-8000-000000000000"
        assert client.get("/system_stats").json()["system"]["comfyui_version"] == version
        assert client.get("/api/jobs?limit=1").status_code == jobs
        assert client.post(f"/api/jobs/{nobody}/cancel").status_code == cancel
        refusal = client.post("/prompt", json={"prompt": {"1": {"class_type": "No", "inputs": {}}}})
        assert refusal.json()["error"]["type"] == unknown


def test_a_client_id_that_is_no_text_ends_the_process(client: httpx2.Client, comfy: FakeComfyUI) -> None:
    client.post("/prompt", json={"prompt": slow(), "client_id": {"a": 1}})

    def refused() -> bool:
        try:
            client.get("/prompt")
        except httpx2.TransportError:
            return True
        return False

    until(refused)
    comfy.restart()
    assert client.get("/prompt").json()["exec_info"]["queue_remaining"] == 0


def test_a_crash_loses_queue_and_history_and_no_files(client: httpx2.Client, comfy: FakeComfyUI) -> None:
    upload(client, PICTURE, "a.png")
    client.post("/prompt", json={"prompt": slow()})
    comfy.crash()
    with pytest.raises(httpx2.TransportError):
        client.get("/prompt")
    with pytest.raises(RuntimeError, match="does not run"):
        comfy.life.prompts.remaining()
    comfy.restart()
    assert client.get("/queue").json() == {"queue_running": [], "queue_pending": []}
    assert client.get("/view?filename=a.png&type=input").content == PICTURE


def test_node_classes_can_be_added() -> None:
    twice = Node(
        "Twice",
        lambda run, text: Result((), {"text": [text * 2]}),
        {"text": ["STRING", {}]},
        output_node=True,
    )
    with FakeComfyUI(nodes=[twice]) as comfy, httpx2.Client(base_url=comfy.url, trust_env=False) as client:
        graph = {"1": {"class_type": "Twice", "inputs": {"text": "ab"}}}
        prompt_id = client.post("/prompt", json={"prompt": graph}).json()["prompt_id"]
        until(lambda: client.get(f"/history/{prompt_id}").json())
        assert client.get(f"/history/{prompt_id}").json()[prompt_id]["outputs"] == {"1": {"text": ["abab"]}}
        assert client.get("/object_info/Twice").json()["Twice"]["output_node"] is True
