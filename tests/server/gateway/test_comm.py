from __future__ import annotations

from typing import Any

import pytest

from tests.server.gateway.clients import PAINT, SWAP, Gateway
from tests.server.served import Served, code_of, face_png, fields_of


def test_a_task_is_created_fetched_and_completed(gateway: Gateway) -> None:
    created = gateway.create("basic_generation", PAINT, "comm").json()
    assert created["workflow"] == created["workflow_name"] == "basic_generation"
    assert (created["environment"], created["status"], created["priority"]) == ("comm", "PENDING", 5)
    assert created["target_port"] == 8188
    data = created["params"]["input_data"]
    assert data["prompt"] == "a cat"
    assert data["wf_json"]["5"]["inputs"] == {"width": 512, "height": 768, "batch_size": 1}
    assert data["wf_json"]["3"]["inputs"]["seed"] == 7
    task = gateway.fetch("comm")
    assert (task["taskId"], task["status"]) == (created["taskId"], "FETCHED")
    assert gateway.fetch("comm") is None
    answer = gateway.report("heartbeat", task, progress={"done": 1, "total": 2}).json()
    assert (answer["code"], answer["success"], answer["data"]["status"]) == (200, True, "PROCESSING")
    url = "https://store.example.org/out.png"
    for _ in range(2):  # the answer to the first was lost
        answer = gateway.report("complete", task, output_data={"url": url})
        assert answer.json()["data"]["status"] == "COMPLETED"
    found = gateway.task(task["taskId"])
    assert (found["status"], found["result"]) == ("COMPLETED", {"url": url})
    assert found["task"]["output_data"] == {"url": url}


def test_face_swaps_can_be_fetched_as_well(gateway: Gateway) -> None:
    created = gateway.create("face_swap", {**SWAP, "resolution": "640x480"}).json()
    assert created["environment"] == "face_swap"
    assert created["params"] == {"input_data": {**SWAP, "resolution": "640x480"}}
    assert gateway.fetch("comm") is None
    task = gateway.fetch("comm,face_swap")
    assert task["taskId"] == created["taskId"]
    assert gateway.report("fail", task, error="No face.", code="no_face").json()["data"]["status"] == "FAILED"
    found = gateway.task(task["taskId"])
    assert (found["status"], found["task"]["error"]) == ("FAILED", "No face.")
    assert "result" not in found


def test_failures_that_may_go_away_are_given_out_again(gateway: Gateway) -> None:
    gateway.create("basic_generation", PAINT)
    task = gateway.fetch("comm")
    assert (
        gateway.report("fail", task, error="out of memory", retryable=True).json()["data"]["status"]
        == "PENDING"
    )
    again = gateway.fetch("comm")
    assert again["taskId"] == task["taskId"]
    assert code_of(gateway.report("heartbeat", task)) == (409, "job_busy")
    assert gateway.report("fail", again, error="busy", give_back=True).json()["data"]["status"] == "PENDING"


def test_a_task_whose_workflow_the_operator_took_away_fails_and_the_next_one_is_given_out(
    gateway: Gateway, idle: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = gateway.create("basic_generation", PAINT).json()["taskId"]
    following = gateway.create("image_upscale", {"image_url": SWAP["source_url"]}).json()["taskId"]
    monkeypatch.delitem(idle.service.workflows._found, "basic_generation")
    assert gateway.fetch("comm")["taskId"] == following
    assert gateway.fetch("comm") is None
    found = gateway.task(asked)
    assert found["status"] == "FAILED"
    assert "no workflow basic_generation" in found["task"]["error"]


def test_tasks_come_by_priority_then_age(gateway: Gateway) -> None:
    ids = [
        gateway.create("basic_generation", PAINT, priority=level).json()["taskId"] for level in (5, 9, 5, 0)
    ]
    fetched = [gateway.fetch("comm")["taskId"] for _ in ids]
    assert fetched == [ids[3], ids[0], ids[2], ids[1]]


def test_what_is_canceled_is_told_to_the_consumer(gateway: Gateway) -> None:
    gateway.create("basic_generation", PAINT)
    task = gateway.fetch("comm")
    stopped = gateway.http.post("/api/comfyui-interrupt", json={"task_id": task["taskId"]}).json()
    assert stopped == {"status": "interrupted", "tasks": [task["taskId"]]}
    assert gateway.report("heartbeat", task).json()["data"]["cancel_requested"] is True
    assert gateway.report("fail", task, error="stopped").json()["data"]["status"] == "CANCELLED"


@pytest.mark.parametrize("environment", ["moon", "comm,moon", "local"])
def test_there_are_two_environments(gateway: Gateway, environment: str) -> None:
    answer = gateway.http.get("/api/comm/task/fetch", params={"environment": environment})
    assert code_of(answer) == (422, "invalid_input")
    assert "there are comm and face_swap" in answer.json()["error"]["message"]


def test_without_a_word_it_is_comfyui_that_is_meant(gateway: Gateway) -> None:
    gateway.create("face_swap", SWAP)
    answer = gateway.http.get("/api/comm/task/fetch")
    assert answer.json() == {"code": 200, "success": True, "data": None, "message": "There is no task."}
    assert "x-lease-token" not in answer.headers
    assert gateway.fetch(" face_swap , comm ")["workflow"] == "face_swap"


def test_a_lease_has_an_end_and_its_token_comes_twice(gateway: Gateway) -> None:
    gateway.create("basic_generation", PAINT, consent_ref="form 12")
    for seconds in (1, 3601):
        answer = gateway.http.get("/api/comm/task/fetch", params={"lease_seconds": seconds})
        assert code_of(answer)[0] == 422
    answer = gateway.http.get("/api/comm/task/fetch", params={"lease_seconds": 3600, "worker": "w1"})
    task = answer.json()["data"]
    assert answer.headers["x-lease-token"] == task["lease_token"]
    assert (task["consent_ref"], task["stage"], task["stages"]) == ("form 12", 1, 1)
    assert task["lease_expires_at"] > task["updated_at"]


def test_the_token_proves_who_has_the_task_wherever_it_stands(gateway: Gateway) -> None:
    gateway.create("basic_generation", PAINT)
    task = gateway.fetch("comm")
    place = f"/api/comm/task/{task['taskId']}/heartbeat"
    missing = gateway.http.post(place, json={})
    assert code_of(missing) == (422, "invalid_option")
    assert "X-Lease-Token" in missing.json()["error"]["message"]
    assert code_of(gateway.http.post(place, json={"lease_token": "x"})) == (409, "job_busy")
    answer = gateway.http.post(place, json={"lease_token": task["lease_token"], "lease_seconds": 100})
    assert (answer.json()["message"], answer.json()["data"]["cancel_requested"]) == ("Go on.", False)
    assert answer.json()["data"]["lease_expires_at"] != task["lease_expires_at"]
    none = gateway.http.post("/api/comm/task/none/heartbeat", json={"lease_token": "x"})
    assert code_of(none) == (404, "job_missing")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"asset": "0" * 64, "output_data": {"url": "https://x.org/a"}},
        {"asset": "0" * 64, "assets": ["1" * 64]},
        {"assets": []},
        {"asset": "short"},
        {"output_data": {"url": "https://x.org/a", "urls": []}},
    ],
)
def test_a_task_is_completed_with_one_kind_of_result(gateway: Gateway, body: dict[str, Any]) -> None:
    gateway.create("basic_generation", PAINT)
    task = gateway.fetch("comm")
    assert gateway.report("complete", task, **body).status_code == 422
    assert gateway.task(task["taskId"])["status"] == "FETCHED"


def test_several_files_are_one_result_each_told_once(gateway: Gateway, idle: Served) -> None:
    gateway.create("basic_generation", PAINT)
    task, one, two = gateway.fetch("comm"), idle.upload(1), idle.upload(2)
    gateway.report("complete", task, assets=[two, one, two], notices=["It was dark."])
    result = gateway.task(task["taskId"])["result"]
    assert result["url"] == result["urls"][0]
    assert [gateway.http.get(url).content for url in result["urls"]] == [face_png(2), face_png(1)]
    (step,) = idle.client.get(f"jobs/{task['taskId']}").json()["steps"]
    assert step["notices"] == ["It was dark."]


def test_a_consumer_reads_what_its_task_needs_and_nothing_else(gateway: Gateway, idle: Served) -> None:
    mine, other = idle.upload(31), idle.upload(32)
    gateway.create("image_upscale", {"image_url": mine})
    task = gateway.fetch("comm")
    (picture,) = task["params"]["input_data"]["wf_images"]
    assert (picture["name"], picture["inputs"]) == ("image", ["1.image"])
    token = {"X-Lease-Token": task["lease_token"]}
    assert gateway.http.get(picture["url"], headers=token).content == face_png(31)
    assert gateway.http.get(picture["url"], headers={**token, "Range": "bytes=1-3"}).content == b"PNG"
    assert code_of(gateway.http.get(picture["url"])) == (422, "invalid_option")
    assert code_of(gateway.http.get(picture["url"], headers={"X-Lease-Token": "x"})) == (409, "job_busy")
    wrong = gateway.http.get(picture["url"].replace(mine, other), headers=token)
    assert code_of(wrong) == (404, "asset_missing")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"error": "No face.", "code": "no_face"}, "FAILED", "no_face"),
        ({"error": "Odd."}, "FAILED", "remote_failed"),
        ({"error": "Odd.", "code": "of_tomorrow"}, "FAILED", "internal"),
        # These say how a request went, not how the task did.
        ({"error": "Odd.", "code": "job_busy"}, "FAILED", "remote_failed"),
        ({"error": "Odd.", "code": "queue_full"}, "FAILED", "remote_failed"),
        ({"error": "Odd.", "retryable": True}, "PENDING", None),
        ({"error": "Odd.", "give_back": True, "code": "no_face"}, "PENDING", None),
    ],
)
def test_a_failure_is_told_by_its_code(
    gateway: Gateway, idle: Served, body: dict[str, Any], status: str, code: str | None
) -> None:
    gateway.create("basic_generation", PAINT)
    task = gateway.fetch("comm")
    answer = gateway.report("fail", task, **body).json()
    assert (answer["data"]["status"], answer["message"]) == (status, f"The task is {status}.")
    failure = idle.client.get(f"jobs/{task['taskId']}").json()["failure"]
    if code is not None:
        assert (failure["code"], failure["message"]) == (code, body["error"])


def test_an_error_needs_a_sentence(gateway: Gateway) -> None:
    gateway.create("basic_generation", PAINT)
    task = gateway.fetch("comm")
    assert fields_of(gateway.report("fail", task, error="")) == {"error"}
    assert fields_of(gateway.report("fail", task, error="x" * 1001)) == {"error"}
    assert gateway.task(task["taskId"])["status"] == "FETCHED"
