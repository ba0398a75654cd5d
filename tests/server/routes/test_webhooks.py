from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx2
import pytest

from mien.server.app import create_app
from mien.service.service import Service, open_service
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import StorageSettings
from tests.server.running import running
from tests.service.receiver import Receiver, receiving
from tests.service.test_deliveries import check


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = ServiceSettings(
        data_dir=tmp_path_factory.mktemp("data"),
        auth="on",
        webhook_allow_http=True,
        webhook_allow=("127.0.0.0/8",),
    )
    with open_service(settings, Settings(), StorageSettings()) as service:
        service.deliveries.start()
        yield service


@pytest.fixture(scope="module")
def anonymous(service: Service) -> Iterator[httpx2.Client]:
    with running(create_app(service)) as client:
        yield client


@pytest.fixture
def client(anonymous: httpx2.Client, service: Service) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {service.keys.create('test', ['submit', 'read']).token}"}
    with httpx2.Client(base_url=anonymous.base_url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def stranger(anonymous: httpx2.Client, service: Service) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {service.keys.create('test', ['submit', 'read']).token}"}
    with httpx2.Client(base_url=anonymous.base_url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def settled(client: httpx2.Client, id: str, attempts: int) -> dict[str, object]:
    """The delivery, once it was tried so many times."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = client.get("/webhooks/deliveries").json()["deliveries"]
        delivery: dict[str, object] = next(item for item in found if item["id"] == id)
        if len(delivery["attempts"]) == attempts:  # type: ignore[arg-type]
            return delivery
        time.sleep(0.02)
    raise AssertionError("it was not delivered")


def test_a_webhook_from_its_making_to_its_end(client: httpx2.Client, receiver: Receiver) -> None:
    sent = client.post("/webhooks", json={"url": receiver.url, "events": ["job.completed"]})
    assert sent.status_code == 201
    made = sent.json()
    place = sent.headers["location"].removeprefix("/api/v1")
    shown = client.get(place).json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert client.get("/webhooks").json() == [shown]

    receiver.statuses = [500]
    tried = client.post(f"{place}/test")
    assert tried.status_code == 202
    assert tried.json()["status"] == "waiting"
    first = settled(client, tried.json()["id"], 1)
    assert first["status"] == "waiting"
    assert first["next_at"]
    assert client.post(f"/webhooks/deliveries/{first['id']}/redeliver").status_code == 202
    assert settled(client, str(first["id"]), 2)["status"] == "delivered"
    assert json.loads(receiver.calls[1][1])["type"] == "test"
    check(receiver.calls[1], made["secret"])

    rotated = client.post(f"{place}/rotate").json()
    assert rotated["secret"] != made["secret"]
    changed = client.patch(place, json={"enabled": False, "events": []}).json()
    assert (changed["enabled"], changed["events"]) == (False, [])
    assert client.delete(place).status_code == 204
    assert code(client.get(place)) == (404, "not_found")


def test_what_is_somebody_elses_is_not_there(client: httpx2.Client, stranger: httpx2.Client) -> None:
    id = client.post("/webhooks", json={"url": "https://example.org/hook"}).json()["id"]
    for method, place, body in (
        ("GET", f"/webhooks/{id}", None),
        ("PATCH", f"/webhooks/{id}", {"enabled": False}),
        ("POST", f"/webhooks/{id}/test", None),
        ("POST", f"/webhooks/{id}/rotate", None),
        ("DELETE", f"/webhooks/{id}", None),
        ("POST", "/webhooks/deliveries/msg_1/redeliver", None),
    ):
        assert code(stranger.request(method, place, json=body)) == (404, "not_found")
    assert stranger.get("/webhooks").json() == []
    assert stranger.get("/webhooks/deliveries").json() == {"deliveries": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"url": "ftp://example.org"}, "unsafe_input"),
        ({"url": "https://user@example.org"}, "unsafe_input"),
        ({"url": "https://example.org", "events": ["job.exploded"]}, "invalid_input"),
        ({"url": ""}, "invalid_input"),
        ({}, "invalid_input"),
    ],
)
def test_what_cannot_be_called_is_refused(client: httpx2.Client, body: dict[str, object], error: str) -> None:
    assert code(client.post("/webhooks", json=body)) == (422, error)


def test_a_job_tells_its_webhook(client: httpx2.Client, receiver: Receiver, service: Service) -> None:
    """A draft that is canceled has ended."""
    from tests.service.conftest import picture

    client.post("/webhooks", json={"url": receiver.url})
    target = client.post("/assets", content=picture()).json()["id"]
    step = {"processors": ["face_debugger"], "target": target}
    made = client.post("/jobs", json={**step, "draft": True, "metadata": {"mine": 7}})
    assert made.status_code == 201, made.text
    assert client.post(f"/jobs/{made.json()['id']}/cancel").status_code == 200
    found = client.get("/webhooks/deliveries").json()["deliveries"]
    assert [(item["type"], item["job"]) for item in found] == [("job.canceled", made.json()["id"])]
    settled(client, found[0]["id"], 1)
    said = json.loads(receiver.calls[0][1])["data"]
    assert (said["id"], said["status"], said["metadata"]) == (made.json()["id"], "canceled", {"mine": 7})
