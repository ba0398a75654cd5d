"""What somebody tries who means harm: none of it gets past a rule, to another's things, or an answer of 500."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from tests.server.served import Served, code_of, face_png, served

DEPTHS = (45, 300, 600, 950, 50_000)
NOWHERE = "0" * 64


@pytest.fixture(scope="module")
def open_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("open"), works=False, requests_per_minute=100_000) as found:
        yield found


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("strict")
    with served(folder, works=False, requests_per_minute=100_000, require_consent=True) as found:
        yield found


def post(served: Served, path: str, body: str) -> httpx2.Response:
    return served.client.post(path, content=body, headers={"Content-Type": "application/json"})


def greeted(served: Served, first: dict[str, Any]) -> dict[str, Any]:
    """The answer to the first message of a live connection."""
    address = str(served.client.base_url).replace("http://", "ws://")
    with connect(f"{address}live", open_timeout=30) as channel:
        channel.send(json.dumps(first))
        return dict(json.loads(channel.recv(30)))


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("jobs", '{"draft": true, "metadata": {"a": %s}}'),
        ("jobs", '{"target": "x", "options": {"inverter_delay": %s}}'),
        ("process", '{"target": "x", "metadata": {"a": %s}}'),
        ("webhooks", '{"url": "https://example.org", "events": %s}'),
        ("/api/tasks/create", '{"workflow": "face_swap", "task_data": {"a": %s}}'),
    ],
)
def test_bodies_nested_without_end_are_refused(open_door: Served, path: str, body: str, depth: int) -> None:
    # Addresses of the gateway begin at the top.
    address = str(open_door.client.base_url.join(path)) if path.startswith("/") else path
    answer = post(open_door, address, body % ("[" * depth + "]" * depth))
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize(
    "number", ["1" + "0" * 400, "1" + "0" * 5000, "1e400", "NaN", "-Infinity", '"\\ud800"']
)
def test_numbers_that_are_none_are_refused(open_door: Served, number: str) -> None:
    for path, body in (
        ("jobs", '{"target": "x", "options": {"inverter_delay": %s}}'),
        ("jobs", '{"draft": true, "retain": %s}'),
        ("jobs", '{"target": {"step": %s}}'),
        ("preview", '{"target": "x", "frame": %s}'),
        ("faces/timeline", '{"asset": "x", "every": %s}'),
        ("uploads", '{"name": "a.jpg", "content_type": "image/jpeg", "size": %s}'),
    ):
        assert 400 <= post(open_door, path, body % number).status_code < 500, (path, body)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"content_policy": "off"}, 403),
        ({"content_policy": "flag"}, 403),
        ({"content_policy": "OFF"}, 422),
        ({"content_policy": ["off"]}, 422),
        ({"output_marking": False}, 403),
        ({"output_marking": 0}, 403),
        ({"output_marking": "false"}, 422),
        ({"compat": "facefusion"}, 403),
        ({"target_path": "/etc/passwd"}, 422),
        ({"output_path": "/tmp/out.png"}, 422),
        ({"environment": "comfyui:x"}, 422),
    ],
)
def test_no_way_in_leads_around_the_rules(open_door: Served, options: dict[str, Any], status: int) -> None:
    face, client = open_door.upload(), open_door.client
    step = {"processors": ["inverter"], "target": face, "options": options}
    draft = open_door.submit(draft=True, steps=[{"processors": ["inverter"], "target": face}])["id"]
    settings = [{"processors": ["inverter"], "options": options}]
    for answer in (
        client.post("jobs", json=step),
        client.post("jobs", json={"draft": True, "steps": [step]}),
        client.post("process", json=step),
        client.post("batches", json={"targets": [face], "settings": settings}),
        client.post("preview", json=step),
        client.post("estimate", json=step),
        client.post(f"jobs/{draft}/steps", json=step),
        client.put(f"jobs/{draft}/steps/0", json=step),
        client.post(f"jobs/{draft}/steps/0/remix", json={"processors": ["inverter"], "options": options}),
        client.post(
            "process",
            data={"processors": "inverter", "target_id": face, "options": json.dumps(options)},
        ),
    ):
        assert answer.status_code == status, (answer.request.url, answer.text)
    refused = greeted(open_door, {"processors": ["inverter"], "options": options})
    assert refused["error"]["code"] in ("forbidden", "invalid_option", "invalid_input")


@pytest.mark.parametrize("field", ["content_policy", "output_marking", "compat"])
def test_rules_hold_for_fields_of_forms(open_door: Served, field: str) -> None:
    value = {"content_policy": "off", "output_marking": "no", "compat": "facefusion"}[field]
    form = {"processors": "inverter", "target_id": open_door.upload(), field: value}
    assert code_of(open_door.client.post("process", data=form)) == (403, "forbidden")
    form = {**form, f"{field}[]": value}
    del form[field]
    assert code_of(open_door.client.post("process", data=form)) == (422, "invalid_option")


@pytest.mark.parametrize("text", ["[]", "5", '"off"', "null", "[[1]]"])
def test_options_of_a_form_are_an_object(open_door: Served, text: str) -> None:
    form = {"target_id": NOWHERE, "options": text}
    assert code_of(open_door.client.post("process", data=form)) == (422, "invalid_input")


def test_formats_without_a_place_for_marks_are_not_written(open_door: Served) -> None:
    step = {"processors": ["inverter"], "target": open_door.upload()}
    for output in ({"format": "bmp"}, {"name": "me.bmp"}):
        answer = open_door.client.post("jobs", json={**step, "output": output})
        assert code_of(answer) == (403, "forbidden")
    assert "bmp" not in json.dumps(open_door.client.get("capabilities").json()["formats"])


def test_results_do_not_grow_beyond_memory(tmp_path: Path) -> None:
    with served(tmp_path, works=False, max_pixels=32 * 24) as small:
        step = {"processors": ["inverter"], "target": small.upload()}
        for scale, status in ((8, 413), (2, 200)):
            answer = small.client.post("preview", json={**step, "options": {"output_image_scale": scale}})
            assert answer.status_code == status, answer.text


def test_every_way_in_asks_for_consent(strict: Served) -> None:
    face, client = strict.upload(), strict.client
    step = {"processors": ["inverter"], "target": face}
    for said in ({}, {"consent_ref": " "}):
        for path, body in (
            ("jobs", {**step, **said}),
            ("process", {**step, **said}),
            ("batches", {"targets": [face], "settings": [{"processors": ["inverter"]}], **said}),
            ("preview", {**step, "options": said}),
        ):
            answer = client.post(path, json=body)
            assert answer.json()["error"]["code"] == "consent_missing", (path, answer.text)
    assert greeted(strict, {"processors": ["inverter"]})["error"]["code"] == "consent_missing"


def test_a_draft_that_was_canceled_is_checked_when_it_is_retried(strict: Served) -> None:
    step = {"processors": ["inverter"], "target": strict.upload()}
    for body, code in (
        ({"steps": [step]}, "consent_missing"),
        ({"steps": [], "consent_ref": "c"}, "job_refused"),
    ):
        draft = strict.submit(draft=True, **body)["id"]
        assert strict.client.post(f"jobs/{draft}/cancel").status_code == 200
        answer = strict.client.post(f"jobs/{draft}/retry")
        assert answer.json()["error"]["code"] == code, answer.text
        assert strict.client.get(f"jobs/{draft}").json()["status"] == "canceled"


def test_metadata_stays_small_in_patches(open_door: Served) -> None:
    draft = open_door.submit(draft=True, steps=[])["id"]
    answer = open_door.client.patch(f"jobs/{draft}", json={"metadata": {"a": "x" * 5000}})
    assert code_of(answer) == (422, "invalid_input")


def test_others_see_nothing_by_id(tmp_path: Path) -> None:
    """Each address with an id answers another key as if there were nothing."""
    with served(tmp_path, works=False, auth="on", requests_per_minute=100_000) as service:
        keys = service.service.keys
        hers, his = (keys.create(name, ("submit", "read")).token for name in ("she", "he"))
        client = service.client
        client.headers["authorization"] = f"Bearer {hers}"
        face = service.upload()
        step = {"processors": ["inverter"], "target": face}
        ids = {
            "jobs": service.submit(draft=True, steps=[step])["id"],
            "batches": client.post(
                "batches", json={"targets": [face], "settings": [{"processors": ["inverter"]}]}
            ),
            "webhooks": client.post("webhooks", json={"url": "https://example.org/hook"}),
            "uploads": client.post("uploads", json={"name": "a.png", "size": 9, "content_type": "image/png"}),
            "assets": face,
            "tasks": "job_none",
        }
        ids = {name: found if isinstance(found, str) else found.json()["id"] for name, found in ids.items()}
        root = str(client.base_url.join("/")).rstrip("/")
        paths = client.get(f"{root}/openapi.json").json()["paths"]
        client.headers["authorization"] = f"Bearer {his}"
        tried = 0
        for path, methods in paths.items():
            kind = next((name for name in ids if f"/{name}/{{" in path), None)
            if kind is None or "/comm/" in path:
                continue
            address = root + re.sub(r"\{[^}]+\}", "0", re.sub(r"\{[^}]+\}", ids[kind], path, count=1))
            for method in methods.keys() & {"get", "post", "put", "patch", "delete"}:
                body = step if "/steps" in path else {}
                answer = client.request(method, address, json=None if method in ("get", "delete") else body)
                assert answer.status_code in ((404, 403) if kind == "tasks" else (404,)), (
                    method,
                    path,
                    answer.text,
                )
                tried += 1
        assert tried > 25
        answer = client.post("jobs", json=step)
        assert answer.status_code == 422
        assert "There is no asset" in answer.text


def test_uploads_that_break_off_leave_nothing(open_door: Served) -> None:
    url = httpx2.URL(str(open_door.client.base_url))
    for kind in (b"image/png", b"multipart/form-data; boundary=XX"):
        with socket.create_connection((str(url.host), int(url.port or 0)), timeout=30) as channel:
            head = (
                b"POST /api/v1/assets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\nContent-Type: "
            )
            part = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
            channel.sendall(head + kind + b"\r\n\r\n" + part + b"y" * 400_000)
    folder = open_door.service.settings.data_folder() / "scratch" / "uploads"
    deadline = time.monotonic() + 30
    while any(folder.glob("*")):
        assert time.monotonic() < deadline, list(folder.glob("*"))
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd.png"),
        ("a%0d%0aSet-Cookie: x=1.png", "a_0d_0aSet-Cookie_ x=1.png"),
        ("\u202egnp.exe", "gnp.exe.png"),
        ("..", "file.png"),
        ('a"b.png', "a_b.png"),
    ],
)
def test_names_are_made_safe(open_door: Served, name: str, kept: str) -> None:
    made = open_door.client.post("assets", params={"name": name}, content=face_png(7))
    assert made.json()["name"] == kept
    shown = open_door.client.get(f"assets/{made.json()['id']}/content").headers["content-disposition"]
    assert "\r" not in shown
    assert kept in shown


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
        "https://LOCALHOST./x",
        "https://user:secret@example.org/x",
        "http://example.org/x",
        "file:///etc/passwd",
        "https:///x",
    ],
)
def test_private_addresses_are_refused_in_every_field(open_door: Served, url: str) -> None:
    face, client = open_door.upload(), open_door.client
    step = {"processors": ["inverter"], "target": face}
    swap = {"source_url": url, "target_url": url}
    for path, body in (
        ("jobs", {**step, "target": url}),
        ("jobs", {**step, "sources": [url]}),
        ("jobs", {**step, "face_map": [{"face": "f0-1-1-9-9", "sources": [url]}]}),
        ("jobs", {**step, "webhook": {"url": url}}),
        ("batches", {"targets": [url], "settings": [{"processors": ["inverter"]}]}),
        ("webhooks", {"url": url}),
        ("assets", {"url": url}),
        ("verify", {"url": url}),
        ("faces/detect", {"asset": url}),
        ("faces/timeline", {"asset": url}),
        ("preview", {**step, "target": url}),
        ("/process", swap),
        ("/api/tasks/create", {"workflow": "face_swap", "task_data": swap}),
    ):
        answer = client.post(str(client.base_url.join(path)) if path.startswith("/") else path, json=body)
        assert answer.status_code == 422, (path, answer.text)
        assert "secret" not in answer.text
    assert greeted(open_door, {"processors": ["inverter"], "sources": [url]})["error"]
