"""What holds for all routes of the gateway: written from the contract alone, over HTTP, with keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.gateway.clients import PAINT, SWAP, Gateway
from tests.server.served import code_of, face_png, served

HOSTILE = [
    "http://127.0.0.1/x",
    "https://127.0.0.1/x",
    "https://2130706433/x",
    "https://0177.0.0.1/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://169.254.169.254/latest/meta-data",
    "https://localhost/x",
    "https://user:password@example.org/x",
    "https://example.org:22/x",
    "ftp://example.org/x",
    "file:///etc/passwd",
    "gopher://example.org/x",
    "//example.org/x",
    "https://exa mple.org/x",
    "https://example.org\\@127.0.0.1/",
    "javascript:alert(1)",
    "../../etc/passwd",
    "https://" + "a" * 9000,
]


@pytest.mark.parametrize("url", HOSTILE, ids=lambda url: url[:40])
def test_hostile_addresses_are_refused_on_every_field(gateway: Gateway, url: str) -> None:
    for name in ("source_url", "target_url"):
        answer = gateway.create("face_swap", {**SWAP, name: url})
        assert answer.status_code == 422, answer.text
        body = {**SWAP, name: url}
        for path in ("/api/face-swap/create-task", "/api/face-swap/process", "/process"):
            assert gateway.http.post(path, json=body).status_code == 422
    assert gateway.create("image_upscale", {"image_url": url}).status_code == 422
    gateway.create("basic_generation", PAINT)
    task = gateway.fetch("comm")
    assert gateway.report("complete", task, output_data={"url": url}).status_code == 422
    assert gateway.task(task["taskId"])["status"] == "FETCHED"


def test_nothing_is_public_and_others_tasks_are_not_there(tmp_path: Path) -> None:
    with served(tmp_path, works=False, processors=None, auth="on") as place:
        keys = {
            name: Gateway(place, place.service.keys.create(name, scopes).token)
            for name, scopes in {
                "anna": ("submit", "read"),
                "bert": ("submit", "read"),
                "consumer": ("work",),
                "admin": ("admin",),
            }.items()
        }
        nobody = Gateway(place)
        for method, path in (
            ("GET", "/api/tasks/"),
            ("POST", "/api/tasks/create"),
            ("DELETE", "/api/tasks/"),
            ("GET", "/api/comm/task/fetch"),
            ("POST", "/api/comfyui-interrupt"),
            ("GET", "/api/status"),
            ("POST", "/process"),
            ("POST", "/api/face-swap/process"),
        ):
            assert nobody.http.request(method, path, json={}).status_code == 401, path
        answer = keys["anna"].create("basic_generation", PAINT)
        assert answer.status_code == 200, answer.text
        id = answer.json()["taskId"]
        assert code_of(keys["bert"].http.get(f"/api/tasks/{id}")) == (404, "job_missing")
        assert code_of(keys["bert"].http.post("/api/comfyui-interrupt", json={"task_id": id})) == (
            404,
            "job_missing",
        )
        assert code_of(keys["bert"].http.post("/api/comfyui-interrupt", json={})) == (403, "forbidden")
        assert keys["bert"].http.get("/api/tasks/").json() == {"tasks": [], "queue_length": 0}
        assert len(keys["admin"].http.get("/api/tasks/").json()["tasks"]) == 1
        for method, path in (
            ("DELETE", "/api/tasks/"),
            ("PATCH", f"/api/tasks/{id}"),
            ("GET", "/api/comm/task/fetch"),
        ):
            assert keys["anna"].http.request(method, path, json={"status": "FAILED"}).status_code == 403
        task = keys["consumer"].fetch("comm")
        assert task["taskId"] == id
        upload = (
            keys["admin"].http.post("/api/v1/assets", files={"file": ("r.png", face_png(9))}).json()["id"]
        )
        assert code_of(keys["consumer"].report("complete", task, asset=upload)) == (404, "asset_missing")
        keys["admin"].report("complete", task, asset=upload)
        found = keys["anna"].task(id)
        assert found["status"] == "COMPLETED"
        assert keys["anna"].http.get(found["result"]["url"]).content == face_png(9)
