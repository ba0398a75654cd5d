from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mien.errors import Canceled, MienError, NoFace, QueueFull, RemoteFailed
from mien.jobs.job import Failure
from mien.server.app import create_app
from mien.server.waiting import error_of
from mien.service.service import Service
from tests.server.running import running
from tests.server.served import Served, served


@contextmanager
def _going_away(port: int, path: str, body: Any) -> Iterator[None]:
    """A client that has asked for something, and is gone after the block without having read the answer."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nPrefer: wait=100\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        yield


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_failure_is_the_error_that_it_was() -> None:
    error = error_of(Failure("no_face", "There is no face.", "no_face"))
    assert isinstance(error, NoFace)
    assert str(error) == "There is no face."
    assert isinstance(error_of(Failure("internal", "Full.", "queue_full")), QueueFull)
    assert isinstance(error_of(Failure("lost", "Gone.", "internal")), RemoteFailed)
    assert type(error_of(Failure("internal", "Broken.", "of_tomorrow"))) is MienError
    assert isinstance(error_of(None), Canceled)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with served(tmp_path, works=False, max_wait=100) as found:
        yield found.service


def test_nobody_is_waited_for_who_has_gone_and_the_job_goes_on(service: Service) -> None:
    app = create_app(service)
    with running(app) as client:
        asset = Served(service, client).upload()
        body = {"processors": ["inverter"], "target": asset}
        with _going_away(client.base_url.port or 0, "/api/v1/process", body):
            _until(lambda: hasattr(app.state, "watcher") and app.state.watcher.count == 1)
        _until(lambda: app.state.watcher.count == 0)
        labels = {"method": "POST", "route": "/api/v1/process", "status": "499"}
        _until(lambda: app.state.registry.get_sample_value("mien_http_requests_total", labels) == 1)
        (job,) = client.get("jobs").json()["jobs"]
    assert job["status"] == "queued"
