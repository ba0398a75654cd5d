from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.jobs.test_database import new
from tests.server.gateway.clients import PAINT, SWAP, Gateway
from tests.server.served import Served, code_of, fields_of


def test_states_set_by_hand(gateway: Gateway) -> None:
    def patch(id: str, **body: Any) -> httpx2.Response:
        return gateway.http.patch(f"/api/tasks/{id}", json=body)

    id = gateway.create("basic_generation", PAINT).json()["taskId"]
    task = gateway.fetch("comm")
    assert patch(id, status="FAILED").json()["status"] == "FAILED"
    assert gateway.report("complete", task, output_data={"url": "https://x.org/a"}).status_code == 409
    assert patch(id, status="PENDING").json()["status"] == "PENDING"
    assert code_of(patch(id, status="COMPLETED")) == (422, "invalid_option")
    done = patch(id, status="COMPLETED", output_data={"url": "https://x.org/a.png"}).json()
    assert (done["status"], done["result"]["url"]) == ("COMPLETED", "https://x.org/a.png")
    assert code_of(patch(id, status="FAILED")) == (409, "job_refused")
    other = gateway.create("basic_generation", PAINT).json()["taskId"]
    assert patch(other, status="CANCELLED").json()["status"] == "CANCELLED"


def test_lists_and_clearing(gateway: Gateway) -> None:
    ids = [gateway.create("basic_generation", PAINT).json()["taskId"] for _ in range(3)]
    listed = gateway.http.get("/api/tasks/").json()
    assert [task["taskId"] for task in listed["tasks"]] == ids[::-1]
    assert listed["queue_length"] == 3
    gateway.report("complete", gateway.fetch("comm"), output_data={"url": "https://x.org/a"})
    assert gateway.http.delete("/api/tasks/").json() == {"cancelled": 2, "deleted": 1}
    assert code_of(gateway.http.get(f"/api/tasks/{ids[0]}")) == (404, "job_missing")


@pytest.mark.parametrize(
    ("workflow", "data", "more", "field"),
    [
        ("face_swap", {"target_url": "https://x.org/a"}, {}, "task_data.source_url"),
        ("face_swap", {"source_url": "https://x.org/a"}, {}, "task_data.target_url"),
        ("face_swap", {**SWAP, "resolution": "10x10"}, {}, "task_data.resolution"),
        ("face_swap", {**SWAP, "resolution": "1024X1024"}, {}, "task_data.resolution"),
        ("face_swap", {**SWAP, "resolution": "1024x1024\n"}, {}, "task_data.resolution"),
        ("face_swap", {**SWAP, "model": "none_such"}, {}, "task_data.model"),
        ("face_swap", {**SWAP, "extra": 1}, {}, "task_data.extra"),
        ("none", SWAP, {}, "workflow"),
        ("face_swap", SWAP, {"environment": "comm"}, "environment"),
        ("basic_generation", PAINT, {"environment": "face_swap"}, "environment"),
        ("basic_generation", {}, {}, "task_data.prompt"),
        ("basic_generation", {**PAINT, "steps": 1000}, {}, "task_data.steps"),
        ("basic_generation", {**PAINT, "colour": "red"}, {}, "task_data.colour"),
        ("image_upscale", {"image_url": "file:///etc/passwd"}, {}, "task_data.image_url"),
        ("face_swap", SWAP, {"priority": 10}, "priority"),
        ("face_swap", SWAP, {"environment": "moon"}, "environment"),
    ],
)
def test_what_is_wrong_is_named(
    gateway: Gateway, workflow: str, data: dict[str, Any], more: dict[str, Any], field: str
) -> None:
    answer = gateway.create(workflow, data, **{"environment": "auto", **more})
    assert answer.status_code == 422, answer.text
    assert field in fields_of(answer)


def test_the_same_request_twice_is_one_task(gateway: Gateway) -> None:
    body = {"workflow": "basic_generation", "task_data": PAINT}
    headers = {"Idempotency-Key": "once-and-only-once"}
    first, second = (gateway.http.post("/api/tasks/create", json=body, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"


def listed(gateway: Gateway, idle: Served) -> list[str]:
    """Five tasks, the newest first, between jobs that are none."""
    found = []
    for _ in range(5):
        id = gateway.create("basic_generation", PAINT).json()["taskId"]
        idle.service.store.insert([new(f"plain of {id}")])
        found.append(id)
    return found[::-1]


@pytest.mark.parametrize(
    ("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (1000, [5])]
)
def test_a_list_goes_on_page_by_page_to_its_end(
    gateway: Gateway, idle: Served, limit: int, sizes: list[int]
) -> None:
    ids, pages = listed(gateway, idle), list[list[str]]()
    cursor: dict[str, str] = {}
    while True:
        answer = gateway.http.get("/api/tasks/", params={"limit": limit, **cursor}).json()
        pages.append([task["taskId"] for task in answer["tasks"]])
        if "next_cursor" not in answer:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert [len(page) for page in pages] == sizes
    assert [id for page in pages for id in page] == ids


def test_a_cursor_stays_good_while_tasks_come(gateway: Gateway, idle: Served) -> None:
    ids = listed(gateway, idle)
    first = gateway.http.get("/api/tasks/", params={"limit": 2}).json()
    gateway.create("basic_generation", PAINT)
    rest = gateway.http.get("/api/tasks/", params={"cursor": first["next_cursor"]}).json()
    assert [task["taskId"] for task in rest["tasks"]] == ids[2:]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1 or 1", "9" * 19])
def test_a_cursor_that_was_not_given_out_is_refused(gateway: Gateway, cursor: str) -> None:
    answer = gateway.http.get("/api/tasks/", params={"cursor": cursor})
    assert code_of(answer) == (422, "invalid_option")


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_page_has_a_size(gateway: Gateway, limit: str) -> None:
    assert gateway.http.get("/api/tasks/", params={"limit": limit}).status_code == 422


def test_a_job_that_is_no_task_is_not_there(gateway: Gateway, idle: Served) -> None:
    job = idle.submit(processors=["face_debugger"], target=idle.upload(41))
    assert gateway.http.get("/api/tasks/").json()["tasks"] == []
    assert code_of(gateway.http.get(f"/api/tasks/{job['id']}")) == (404, "job_missing")
    idle.client.post(f"jobs/{job['id']}/cancel")


def test_an_address_belongs_to_a_task_that_is_completed(gateway: Gateway) -> None:
    id = gateway.create("basic_generation", PAINT).json()["taskId"]
    body = {"status": "FAILED", "output_data": {"url": "https://x.org/a.png"}}
    answer = gateway.http.patch(f"/api/tasks/{id}", json=body)
    assert code_of(answer) == (422, "invalid_option")
    assert answer.json()["error"]["message"] == "output_data belongs to the state COMPLETED only."
    assert fields_of(gateway.http.patch(f"/api/tasks/{id}", json={"status": "FETCHED"})) == {"status"}
    assert gateway.task(id)["status"] == "PENDING"


@pytest.mark.parametrize("id", ["none", "a" * 81, "a b", "ä"])
def test_a_task_that_there_is_not(gateway: Gateway, id: str) -> None:
    assert gateway.http.get(f"/api/tasks/{id}").status_code == (404 if id == "none" else 422)
