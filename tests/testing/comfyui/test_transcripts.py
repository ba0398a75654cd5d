"""The fake against recorded exchanges with a real server; skipped where the recordings are not at hand."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest
import websockets.sync.client

from mien.testing import FakeComfyUI

RECORDINGS = Path(__file__).parents[4] / "shared" / "comfyui-transcripts"
pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not at hand")

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
LOOSE = (
    *(
        "traceback",
        "input_config",
        "current_inputs",
        "current_outputs",
        "received_value",
        "details",
        "message",
    ),
    *("nodes", "executed"),  # depend on what the recorded server had in its cache
)
IMITATED = re.compile(
    r"(/api)?/(prompt|queue|interrupt|free|history|view|features|embeddings|models|jobs|system_stats|object_info)"
    r"|/api/api/jobs"
)
EARLIER = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 3}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "sub/z"}},
}
"""Something that the recorded server had run before."""
LARGER = ("/system_stats", "/object_info", "/models")
"""Routes of which the fake shows less than the real server does."""


def lines(name: str) -> list[dict[str, Any]]:
    (path,) = RECORDINGS.glob(f"{name}-*.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def exchanges(name: str, until: str | None = None) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    request = None
    for line in lines(name):
        if until is not None and line["kind"] == "note" and until in line["about"]:
            return
        if line["kind"] == "http_request":
            request = line
        if line["kind"] == "http_response" and request is not None:
            yield request, line
            request = None


def shape(value: Any, key: str = "") -> Any:
    """The structure of a value: keys, and kinds of what stands under them."""
    if key in LOOSE:
        return "anything"
    if isinstance(value, dict):
        return {UUID.sub("<id>", name): shape(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


class Replay:
    """Sends recorded requests to the fake; ids that the real server made are replaced by those of the fake."""

    def __init__(self, comfy: FakeComfyUI) -> None:
        self.comfy = comfy
        self.client = httpx2.Client(base_url=comfy.url, trust_env=False)
        self.ids: dict[str, str] = {}
        picture = np.full((48, 64, 3), 90, np.uint8)
        for path in (
            "input/probe_in.png",
            "input/job-42/in/x.png",
            "output/sub/a_00001_.png",
            "output/probe/96x72_00001_.png",
        ):
            (comfy.folders.root / path).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(comfy.folders.root / path), picture)
        (comfy.folders.root / "input/notes.txt").write_text("not an image at all")

    def translated(self, text: str) -> str:
        return UUID.sub(lambda found: self.ids.get(found[0], found[0]), text)

    def idle(self) -> None:
        end = time.monotonic() + 30
        while self.comfy.life.prompts.remaining():
            assert time.monotonic() < end
            time.sleep(0.005)

    def send(self, request: dict[str, Any], recorded: dict[str, Any]) -> httpx2.Response:
        if request["method"] == "GET":
            self.idle()
        headers = dict(request.get("headers", {}))
        headers = {
            name: value.replace("127.0.0.1:18188", self.comfy.url[7:]) for name, value in headers.items()
        }
        content = self.translated(json.dumps(request["json"])) if "json" in request else "no json"
        response = self.client.request(
            request["method"],
            self.translated(request["path"]),
            headers=headers,
            content=content if request["method"] == "POST" else None,
        )
        if (
            request["path"] == "/prompt"
            and response.status_code == 200
            and "prompt_id" in recorded.get("json", {})
        ):
            self.ids[recorded["json"]["prompt_id"]] = response.json()["prompt_id"]
        return response


@pytest.fixture
def replay() -> Iterator[Replay]:
    with FakeComfyUI() as comfy:
        yield Replay(comfy)


def compare(request: dict[str, Any], recorded: dict[str, Any], response: httpx2.Response) -> None:
    where = f"{request['method']} {request['path']} {json.dumps(request.get('json'))}"
    assert response.status_code == recorded["status"], where
    if "json" not in recorded:
        return
    assert response.headers["content-type"] == recorded["headers"]["Content-Type"], where
    given, wanted = shape(response.json()), shape(recorded["json"])
    if request["path"].startswith(LARGER):
        within(given, wanted, where)
        return
    assert given == wanted, where
    if request["path"] == "/prompt" and recorded["status"] == 400:
        assert response.json()["error"]["type"] == recorded["json"]["error"]["type"], where
        kinds = [
            {node: [error["type"] for error in one["errors"]] for node, one in answer["node_errors"].items()}
            for answer in (response.json(), recorded["json"])
        ]
        assert kinds[0] == kinds[1], where


def within(given: Any, wanted: Any, where: str) -> None:
    if isinstance(given, dict) and isinstance(wanted, dict) and "classes" not in wanted:
        for name in given:
            if name in wanted:
                within(given[name], wanted[name], where)
    elif isinstance(given, list) and isinstance(wanted, list):
        for one in given[:1]:
            assert not wanted or one == wanted[0] or isinstance(one, dict), where


@pytest.mark.parametrize(
    ("name", "until"),
    [
        ("01", None),
        ("02", None),
        ("03", None),
        ("04", None),
        ("12", "output file deleted on disk"),
        ("13", None),
        ("14", None),
    ],
)
def test_answers_have_the_recorded_status_and_shape(replay: Replay, name: str, until: str | None) -> None:
    compared = 0
    replay.client.post("/prompt", json={"prompt": EARLIER})
    for request, recorded in exchanges(name, until):
        if "body_note" in request or not IMITATED.match(request["path"]) or request["method"] == "OPTIONS":
            continue
        asked = UUID.search(request["path"])
        if asked is not None and asked[0] not in replay.ids:  # its submission was not recorded
            continue
        compare(request, recorded, replay.send(request, recorded))
        compared += 1
    assert compared >= 3


def told(messages: list[dict[str, Any]]) -> list[Any]:
    """What is compared of messages: type and shape; throttled ones and those that were not all kept are left out."""
    kept = [
        one
        for one in messages
        if one["type"] not in ("progress", "progress_state", "feature_flags", "status")
    ]
    return [(one["type"], one["data"].get("node"), shape(one["data"])) for one in kept]


def submitted(recorded: list[dict[str, Any]]) -> list[Any]:
    """Graphs in the order in which they ran; where the submission was not recorded, the history has it."""
    posted = [line["json"]["prompt"] for line in recorded if line.get("path") == "/prompt"]
    started = [
        line["json"]["data"]["prompt_id"]
        for line in recorded
        if line["kind"] == "ws_recv" and line["json"]["type"] == "execution_start"
    ]
    kept: dict[str, Any] = {}
    for line in recorded:
        if line["kind"] == "http_response":
            entries = line.get("json", {}).items()
            kept |= {id: entry["prompt"][2] for id, entry in entries if id in started and "prompt" in entry}
    return posted if len(posted) == len(started) else [kept[id] for id in started]


@pytest.mark.parametrize("name", ["01", "02", "04", "07"])
def test_messages_come_in_the_recorded_order_and_shape(replay: Replay, name: str) -> None:
    recorded = lines(name)
    graphs = []
    if name == "02":  # what the recorded server had in its cache
        graphs = [line["json"]["prompt"] for line in lines("01") if line.get("path") == "/prompt"][:1]
    if name == "01":
        (first,) = (line["json"] for line in recorded if line.get("path") == "/prompt")
        graphs = [{**first["prompt"], "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}}]
    for graph in graphs:
        replay.client.post("/prompt", json={"prompt": graph})
        replay.idle()
    wanted = [line["json"] for line in recorded if line["kind"] == "ws_recv"]
    client_id = next(line["path"] for line in recorded if line["kind"] == "ws_open").partition("=")[2]
    given: list[dict[str, Any]] = []
    address = f"{replay.comfy.url.replace('http', 'ws')}/ws?clientId={client_id}"
    with websockets.sync.client.connect(address, proxy=None) as socket:
        for graph in submitted(recorded):
            replay.client.post("/prompt", json={"prompt": graph, "client_id": client_id})
            while (
                not given or given[-1]["type"] != "executing" or given[-1]["data"].get("node", 0) is not None
            ):
                message = socket.recv(timeout=30)
                given += [json.loads(message)] if isinstance(message, str) else []
            given.append({"type": "status", "data": {}})
    assert told(given) == told(wanted)
