"""Tasks that ComfyUI does, over HTTP, through a whole service, with instances that are fakes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest

from mien.testing import FakeComfyUI
from tests.server.served import Served, code_of, face_png, fields_of, served
from tests.service.comfy_places import Counts, comfy_settings, fakes


class Place:
    """A service with one instance."""

    def __init__(self, place: Served, comfy: FakeComfyUI, counts: Counts) -> None:
        self.place, self.comfy, self.counts = place, comfy, counts
        base = str(place.client.base_url).replace("/api/v1/", "")
        self.http = httpx2.Client(base_url=base, timeout=60, trust_env=False)

    def create(self, workflow: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
        answer = self.http.post(
            "/api/tasks/create", json={"workflow": workflow, "task_data": data, **more}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, id: str, *wanted: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            found = dict(self.http.get(f"/api/tasks/{id}").json())
            if found["status"] in (wanted or ("COMPLETED", "FAILED", "CANCELLED")):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    def done(self, workflow: str, data: dict[str, Any]) -> dict[str, Any]:
        """The job of a task that ended well."""
        found = self.wait(self.create(workflow, data)["taskId"])
        assert found["status"] == "COMPLETED", found
        return dict(self.place.client.get(f"jobs/{found['task']['taskId']}").json())

    def picture(self, job: dict[str, Any], index: int = 0) -> np.ndarray[Any, Any]:
        content = self.place.client.get(f"jobs/{job['id']}/result", params={"index": index}).content
        return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, counts = tmp_path_factory.mktemp("comfyui"), Counts()
    with fakes(1, counts.node()) as (comfy,):
        settings = comfy_settings(folder, comfy.url)
        with served(folder, comfy=settings) as place:
            yield Place(place, comfy, counts)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def test_a_picture_is_scaled_up(working: Place) -> None:
    asset = working.place.upload(17)
    job = working.done("image_upscale", {"image_url": asset, "scale": 3.0, "method": "nearest-exact"})
    found = working.picture(job)
    before = cv2.imdecode(np.frombuffer(face_png(17), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(found, cv2.resize(before, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST_EXACT))
    (result,) = job["results"]
    assert (result["name"], result["content"], result["width"]) == ("face.png", "unchecked", 96)
    assert result["workflow"]["parameters"]["scale"] == 3.0
    assert (job["environment"], job["workflow"]) == ("comfyui:comfyui", "image_upscale")
