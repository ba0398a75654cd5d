"""The gateway as its clients know it: written from the contract alone, over HTTP, with keys."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.server.served import Served, code_of, face_png, fields_of, served

SWAP = {"source_url": "https://example.org/a.png", "target_url": "https://example.org/b.png"}
PAINT = {"prompt": "a cat", "resolution": "512x768", "seed": 7}


class Gateway:
    """A client of the gateway."""

    def __init__(self, place: Served, key: str = "") -> None:
        base = str(place.client.base_url).replace("/api/v1/", "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx2.Client(base_url=base, headers=headers, timeout=60, trust_env=False)

    def create(
        self, workflow: str, data: dict[str, Any], environment: str = "auto", **more: Any
    ) -> httpx2.Response:
        body = {"workflow": workflow, "environment": environment, "task_data": data, **more}
        return self.http.post("/api/tasks/create", json=body)

    def fetch(self, *environments: str) -> Any:
        return self.http.get("/api/comm/task/fetch", params={"environment": list(environments)}).json()[
            "data"
        ]

    def report(self, what: str, task: dict[str, Any], **body: Any) -> httpx2.Response:
        headers = {"X-Lease-Token": task["lease_token"]}
        return self.http.post(f"/api/comm/task/{task['taskId']}/{what}", json=body, headers=headers)

    def task(self, id: str) -> Any:
        return self.http.get(f"/api/tasks/{id}").json()


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service without workers of its own."""
    with served(tmp_path_factory.mktemp("gateway"), works=False, processors=None) as place:
        yield place


@pytest.fixture
def gateway(idle: Served) -> Gateway:
    found = Gateway(idle)
    for task in found.http.get("/api/tasks/").json()["tasks"]:
        if task["status"] in ("PENDING", "FETCHED", "PROCESSING"):
            found.http.patch(f"/api/tasks/{task['taskId']}", json={"status": "FAILED"})
    found.http.delete("/api/tasks/")
    return found


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


def test_the_same_request_twice_is_one_task(gateway: Gateway) -> None:
    body = {"workflow": "basic_generation", "task_data": PAINT}
    headers = {"Idempotency-Key": "once-and-only-once"}
    first, second = (gateway.http.post("/api/tasks/create", json=body, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"


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


class _Pictures(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(face_png(len(self.path)))

    def log_message(self, *words: object) -> None: ...


@pytest.fixture
def pictures() -> Iterator[str]:
    """The address of a server of pictures on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
