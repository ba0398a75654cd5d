from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mien.jobs.executors import Executors
from tests.jobs.test_database import new
from tests.server.gateway.clients import PAINT, SWAP, Gateway
from tests.server.served import Served, code_of, served


def test_signs_of_life(gateway: Gateway) -> None:
    health = gateway.http.get("/api/health").json()
    assert set(health) == {"status", "timestamp"}
    status = gateway.http.get("/api/status").json()
    assert (status["comfyui"], status["face_swap"], status["storage"]) == (
        "disconnected",
        "unavailable",
        "configured",
    )
    assert gateway.http.get("/api/face-swap/health").json()["status"] == "unavailable"
    assert gateway.http.get("/health").status_code == 503
    names = {found["name"] for found in gateway.http.get("/api/face-swap/workflows").json()["workflows"]}
    assert names >= {"face_swap", "basic_generation", "image_upscale", "face_swap_upscale"}
    assert gateway.http.get("/api/comfyui-queue-status").json() == {"instances": []}
    assert gateway.http.get("/api/comfyui-system-stats").json() == {"instances": []}
    assert gateway.http.get("/api/face-swap/queue-status").json()["processing"] == 0


def test_a_sign_of_life_says_when_it_was_given(gateway: Gateway) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    found = gateway.http.get("/api/health").json()
    assert found["status"] == "healthy"
    assert before <= datetime.fromisoformat(found["timestamp"])


def test_a_living_worker_swaps(idle: Served, gateway: Gateway) -> None:
    workers = Executors(idle.service.database)
    workers.begin("back", "worker", {"queues": []})
    try:
        assert gateway.http.get("/api/status").json()["face_swap"] == "available"
    finally:
        workers.end("back")


def test_a_storage_that_does_not_work_is_told(
    idle: Served, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle.service.health, "storage_works", lambda: False)
    assert gateway.http.get("/api/status").json()["storage"] == "error"


def test_everybody_is_told_of_tasks_of_their_own_and_who_administers_of_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = {"environment": "comfyui", "url": "http://10.0.0.7:8188", "state": "busy"}
    with served(tmp_path, works=False, auth="on") as place:
        monkeypatch.setattr(place.service.gateway, "instances", lambda: [instance])
        keys = {
            name: Gateway(place, place.service.keys.create(name, scopes).token)
            for name, scopes in {"anna": ("submit", "read"), "admin": ("admin",)}.items()
        }
        anna = next(key.owner for key in place.service.keys.all() if key.name == "anna")
        for number, owner in enumerate((anna, "bert", "bert")):
            place.service.store.insert([new(f"job_{number}", owner=owner, queue="comfyui:one", workflow="w")])
        found = {name: key.http.get("/api/status").json() for name, key in keys.items()}
        assert [item["waiting"] for item in found["anna"]["unserved"]] == [1]
        assert found["anna"]["queue_length"] == 1
        assert found["admin"]["unserved"] == [{"environment": "comfyui:one", "waiting": 3}]
        assert found["admin"]["queue_length"] == 3
        assert [(answer["comfyui"], answer["instances"]) for answer in found.values()] == [
            ("connected", []),
            ("connected", [instance]),
        ]
        # Who may not read learns nothing but that there is somebody.
        blind = Gateway(place, place.service.keys.create("blind", ("submit",)).token)
        assert code_of(blind.http.get("/api/status")) == (403, "forbidden")
        assert blind.http.get("/api/health").status_code == 200


def test_one_task_is_stopped_or_all_that_run_in_comfyui(gateway: Gateway) -> None:
    ids = [gateway.create("basic_generation", PAINT).json()["taskId"] for _ in range(3)]
    swap = gateway.create("face_swap", SWAP).json()["taskId"]

    def stop(**body: str) -> list[str]:
        answer = gateway.http.post("/api/comfyui-interrupt", json=body)
        assert answer.json()["status"] == "interrupted", answer.text
        return list(answer.json()["tasks"])

    assert stop(task_id=ids[2]) == [ids[2]]
    task = gateway.fetch("comm")
    assert stop() == [task["taskId"]]
    assert [gateway.task(id)["status"] for id in ids] == ["FETCHED", "PENDING", "CANCELLED"]
    assert stop(task_id=swap) == [swap]
    assert code_of(gateway.http.post("/api/comfyui-interrupt", json={"task_id": swap})) == (
        409,
        "job_refused",
    )
    assert code_of(gateway.http.post("/api/comfyui-interrupt", json={"task_id": "none"})) == (
        404,
        "job_missing",
    )
