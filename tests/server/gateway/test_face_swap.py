from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.server.gateway.clients import SWAP, Gateway
from tests.server.served import Served, code_of, fields_of, served

WAITING = ("/api/face-swap/process", "/process")
"""Where a swap is asked for and waited for."""


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service without workers that does not wait for them long."""
    folder = tmp_path_factory.mktemp("hasty")
    with served(folder, works=False, processors=None, remote_engine_timeout=0.05) as place:
        yield place


def next_swap(gateway: Gateway) -> dict[str, Any]:
    """The next swap, as soon as there is one."""
    deadline = time.monotonic() + 60
    while True:
        task = gateway.fetch("face_swap")
        if task is not None:
            return dict(task)
        assert time.monotonic() < deadline
        time.sleep(0.02)


def swapped(gateway: Gateway, path: str, end: str, **report: Any) -> dict[str, Any]:
    """The answer to who waits for a swap, which a consumer ends meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(gateway.http.post, path, json=SWAP)
        gateway.report(end, next_swap(gateway), **report)
        answer = asked.result(60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_swap_is_put_into_the_queue(gateway: Gateway) -> None:
    task = gateway.http.post("/api/face-swap/create-task", json={**SWAP, "priority": 2}).json()
    assert (task["workflow"], task["environment"], task["status"]) == ("face_swap", "face_swap", "PENDING")
    assert task["params"]["input_data"] == {**SWAP, "resolution": "1024x1024"}
    assert (task["priority"], task["target_port"]) == (2, 8080)
    assert next_swap(gateway)["taskId"] == task["taskId"]


def test_who_waits_gets_the_result_in_the_words_of_the_gateway(gateway: Gateway, idle: Served) -> None:
    asset = idle.upload(91)
    answer = swapped(gateway, "/api/face-swap/process", "complete", asset=asset)
    assert (answer["status"], answer["error"]) == ("success", None)
    result = answer["result"]
    assert (result["task_id"], result["width"], result["height"]) == (answer["task_id"], 32, 24)
    assert gateway.http.get(result["output_url"]).headers["etag"] == f'"{asset}"'
    assert answer["processing_time"] > 0


def test_who_waits_gets_the_result_in_the_words_of_an_engine(gateway: Gateway, idle: Served) -> None:
    asset = idle.upload(92)
    answer = swapped(gateway, "/process", "complete", asset=asset)
    assert (answer["status"], answer["metadata"]) == ("success", {"width": 32, "height": 24, "frames": 1})
    assert gateway.http.get(answer["output_path"]).headers["etag"] == f'"{asset}"'
    assert gateway.task(answer["job_id"])["status"] == "COMPLETED"


def test_a_result_elsewhere_is_given_by_its_address(gateway: Gateway) -> None:
    url = "https://store.example.org/out.png"
    answer = swapped(gateway, "/process", "complete", output_data={"url": url})
    assert (answer["output_path"], answer["metadata"]) == (url, {})


def test_a_swap_that_fails_says_why(gateway: Gateway) -> None:
    failure = {"error": "There is no face.", "code": "no_face"}
    answer = swapped(gateway, "/api/face-swap/process", "fail", **failure)
    assert (answer["status"], answer["error"], answer["result"]) == ("failed", "There is no face.", None)
    answer = swapped(gateway, "/process", "fail", **failure)
    assert (answer["status"], answer["error"], answer["output_path"]) == ("failed", "There is no face.", None)
    assert answer["metadata"] == {"status": "failed", "code": "no_face"}


@pytest.mark.parametrize("path", WAITING)
def test_a_swap_that_takes_longer_than_anybody_waits_goes_on(hasty: Served, path: str) -> None:
    gateway = Gateway(hasty)
    answer = gateway.http.post(path, json=SWAP).json()
    id = answer.get("task_id") or answer["job_id"]
    assert answer["status"] == "failed"
    assert answer["error"].endswith(f"it goes on, and the task {id} tells when it is.")
    assert gateway.task(id)["status"] == "PENDING"
    if path == "/process":
        assert answer["metadata"] == {"status": "queued"}


@pytest.mark.parametrize("path", ["/api/face-swap/create-task", *WAITING])
def test_the_same_request_twice_is_one_swap(hasty: Served, path: str) -> None:
    gateway = Gateway(hasty)
    headers = {"Idempotency-Key": f"once {path}"}
    both = [gateway.http.post(path, json=SWAP, headers=headers).json() for _ in range(2)]
    names = {"taskId", "task_id", "job_id"}
    first, second = ({key: value for key, value in one.items() if key in names} for one in both)
    assert first == second
    assert first
    other = gateway.http.post(path, json={**SWAP, "priority": 1}, headers=headers)
    assert code_of(other) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("path", ["/api/face-swap/create-task", *WAITING])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"source_url": SWAP["source_url"]}, "target_url"),
        ({**SWAP, "resolution": "10x10"}, "resolution"),
        ({**SWAP, "resolution": None}, "resolution"),
        ({**SWAP, "priority": 10}, "priority"),
        ({**SWAP, "output_path": "/etc/passwd"}, "output_path"),
        ({**SWAP, "source_url": "file:///etc/passwd"}, "task_data.source_url"),
        ({**SWAP, "model": "none_such"}, "task_data.model"),
    ],
)
def test_what_is_wrong_is_named(gateway: Gateway, path: str, body: dict[str, Any], field: str) -> None:
    answer: httpx2.Response = gateway.http.post(path, json=body)
    assert answer.status_code == 422
    assert field in fields_of(answer)


def test_how_busy_it_is_can_be_asked(gateway: Gateway) -> None:
    for _ in range(3):
        gateway.http.post("/api/face-swap/create-task", json=SWAP)
    next_swap(gateway)
    assert gateway.http.get("/api/face-swap/queue-status").json() == {"queue_length": 2, "processing": 1}


def test_the_health_is_that_of_who_swaps(
    gateway: Gateway, idle: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for alive, status, code in ((False, "unavailable", 503), (True, "healthy", 200)):
        monkeypatch.setattr(idle.service.gateway, "can_swap", lambda alive=alive: alive)
        assert gateway.http.get("/api/face-swap/health").json()["status"] == status
        engine = gateway.http.get("/health")
        assert (engine.status_code, engine.json()["status"]) == (code, status)


def test_workflows_are_listed_with_their_parameters(gateway: Gateway) -> None:
    found = {
        entry["name"]: entry for entry in gateway.http.get("/api/face-swap/workflows").json()["workflows"]
    }
    assert found["face_swap"]["environment"] == "face_swap"
    names = [item["name"] for item in found["face_swap"]["parameters"]]
    assert names == ["source_image", "target_image", "model"]
