"""Another face engine: canned ones for everything that goes wrong, and mien itself as a real process."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mien.errors import Canceled, Forbidden, InputError, NoFace, RemoteFailed, TimedOut
from mien.pipeline.progress import Cancel
from mien.service.remote_engine import RemoteEngine
from mien.service.settings import ServiceSettings
from tests.server.served import face_png, served

WISH = {"source_url": "https://example.org/a.png", "target_url": "https://example.org/b.png"}
DONE = {"status": "success", "output_path": "https://store.example.org/out.png", "metadata": {"faces": 2}}


class Canned:
    """An engine of canned answers to POST /process: (status, body), or a function that holds the answer."""

    def __init__(self, *answers: Any, mien: bool = False, well: bool = True) -> None:
        self.answers = list(answers)
        self.mien, self.well = mien, well
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.url = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        self.asked.append((f"{method} {path}", headers, body))
        if path == "/health":
            return (200 if self.well else 503), {"status": "healthy"}
        if path == "/":
            return 200, {"service": "mien" if self.mien else "engine"}
        found = self.answers.pop(0)
        return found() if callable(found) else found

    @property
    def swaps(self) -> list[tuple[dict[str, str], Any]]:
        return [(headers, body) for line, headers, body in self.asked if line == "POST /process"]


@contextmanager
def running(engine: Canned) -> Iterator[Canned]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply("GET", None)

        def do_POST(self) -> None:
            self._reply("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, method: str, body: Any) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, found = engine.answer(method, self.path, headers, body)
            if status == 0:
                self.connection.close()
                return
            content = json.dumps(found).encode()
            self.send_response(status)
            if status in (409, 429, 503):
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    engine.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield engine
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()


def remote(url: str, **given: Any) -> RemoteEngine:
    values = {"remote_engine_url": url, "remote_engine_timeout": 30, "remote_engine_retries": 2}
    return RemoteEngine(ServiceSettings.model_validate({**values, **given}))


def test_a_swap() -> None:
    with running(Canned((200, DONE))) as engine:
        found = remote(engine.url, remote_engine_key="k").swap(WISH, "job_1-0-1", Cancel())
    assert (found.url, found.facts) == ("https://store.example.org/out.png", {"faces": 2})
    ((headers, body),) = engine.swaps
    assert body == WISH
    assert (headers["idempotency-key"], headers["authorization"]) == ("job_1-0-1", "Bearer k")


def test_what_was_not_begun_is_repeated() -> None:
    with running(Canned((503, {}), (429, {}), (200, DONE))) as engine:
        remote(engine.url).swap(WISH, "key", Cancel())
    assert len(engine.swaps) == 3
    with running(Canned(*[(503, {})] * 3)) as engine, pytest.raises(RemoteFailed, match="did not begin"):
        remote(engine.url).swap(WISH, "key", Cancel())
    with pytest.raises(RemoteFailed, match="no connection"):
        remote("http://127.0.0.1:9", remote_engine_retries=1).swap(WISH, "key", Cancel())


@pytest.mark.parametrize("status", [500, 502, 504, 0])
def test_what_may_have_been_done_is_not_repeated_blindly(status: int) -> None:
    with running(Canned((status, {}), (200, DONE))) as engine:
        with pytest.raises(TimedOut, match="may have done it"):
            remote(engine.url).swap(WISH, "key", Cancel())
        assert len(engine.swaps) == 1


@pytest.mark.parametrize("status", [500, 0])
def test_mien_is_asked_again_with_the_same_key(status: int) -> None:
    with running(Canned((status, {}), (200, DONE), mien=True)) as engine:
        remote(engine.url).swap(WISH, "key", Cancel())
    assert [headers["idempotency-key"] for headers, _ in engine.swaps] == ["key", "key"]


def test_mien_that_is_still_doing_the_first_request_is_asked_again() -> None:
    busy = {"error": {"code": "idempotency_conflict", "message": "Ask again."}}
    with running(Canned((409, busy), (200, DONE), mien=True)) as engine:
        remote(engine.url).swap(WISH, "key", Cancel())
    assert len(engine.swaps) == 2


def test_mien_that_is_still_working_is_waited_for() -> None:
    busy = {"status": "failed", "error": "It goes on.", "metadata": {"status": "running"}}
    with running(Canned((200, busy), (200, DONE), mien=True)) as engine:
        assert remote(engine.url).swap(WISH, "key", Cancel()).url == DONE["output_path"]


def test_an_engine_that_takes_too_long() -> None:
    over = threading.Event()

    def hold() -> tuple[int, Any]:
        over.wait(60)
        return 200, DONE

    with running(Canned(hold)) as engine:
        with pytest.raises(TimedOut, match="none within 1 seconds"):
            remote(engine.url, remote_engine_timeout=1).swap(WISH, "key", Cancel())
        over.set()
    assert len(engine.swaps) == 1


def test_a_request_to_stop_is_heard_at_once() -> None:
    over, begun, cancel = threading.Event(), threading.Event(), Cancel()

    def hold() -> tuple[int, Any]:
        begun.set()
        over.wait(60)
        return 200, DONE

    with running(Canned(hold)) as engine:
        threading.Thread(target=lambda: (begun.wait(60), cancel.set())).start()
        with pytest.raises(Canceled):
            remote(engine.url).swap(WISH, "key", cancel)
        over.set()


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (200, {"status": "failed", "error": "No face.", "metadata": {"code": "no_face"}}, NoFace, "No face."),
        (200, {"status": "failed", "error": "It broke."}, InputError, "failed: It broke."),
        (200, [], InputError, "does not say why"),
        (422, {"error": {"code": "no_face", "message": "None."}}, NoFace, "None."),
        (400, {"detail": "bad"}, InputError, "bad"),
        (401, {}, Forbidden, "MIEN_REMOTE_ENGINE_KEY"),
        (200, {**DONE, "output_path": "/srv/out/1.png"}, InputError, "path means"),
        (200, {**DONE, "output_path": "file:///srv/out/1.png"}, InputError, "path means"),
        (200, {**DONE, "output_path": None}, InputError, "no address"),
    ],
)
def test_what_is_refused(status: int, body: Any, error: type[Exception], text: str) -> None:
    with running(Canned((status, body))) as engine:
        with pytest.raises(error, match=text):
            remote(engine.url).swap(WISH, "key", Cancel())
        assert len(engine.swaps) == 1


def test_health_is_asked_for_now_and_then() -> None:
    moment = [0.0]
    with running(Canned()) as engine:
        settings = ServiceSettings.model_validate({"remote_engine_url": engine.url})
        found = RemoteEngine(settings, lambda: moment[0])
        assert found.alive()
        engine.well = False
        assert found.alive()
        moment[0] = 6.0
        assert not found.alive()
    assert len(engine.asked) == 2
    assert not remote("http://127.0.0.1:9").alive()


def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def engine_process(folder: Path, inputs_at: int) -> Iterator[str]:
    """A mien in a process of its own, with stand-ins for its processors."""
    number = port()
    environ = {
        **os.environ,
        "MIEN_FETCH_PORTS": f"443 {inputs_at}",
        "MIEN_FETCH_HTTP": "1",
        "MIEN_FETCH_ALLOW": "127.0.0.1/32",
    }
    command = [sys.executable, "-m", "tests.service.engine_process", str(folder), str(number)]
    process = subprocess.Popen(command, env=environ)
    url = f"http://127.0.0.1:{number}"
    try:
        _until(lambda: _answers(f"{url}/health"))
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, trust_env=False, timeout=10).is_success
    except httpx2.HTTPError:
        return False


def _until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def test_mien_swaps_for_mien(tmp_path: Path) -> None:
    from mien.server.app import create_app
    from mien.service.service import open_service
    from mien.settings import Settings
    from mien.storage import StorageSettings
    from tests.server.running import running as served_app

    gateway_port = port()
    with engine_process(tmp_path / "engine", gateway_port) as engine:
        about = httpx2.get(engine, trust_env=False, timeout=30).json()
        assert (about["service"], about["status"]) == ("mien", "running")
        settings = ServiceSettings.model_validate(
            {
                "data_dir": tmp_path / "gateway",
                "public_url": f"http://127.0.0.1:{gateway_port}",
                "remote_engine_url": engine,
                "shutdown_seconds": 5,
            }
        )
        made = Settings.from_environment({}).model_copy(
            update={"cache_dir": tmp_path / "cache", "offline": True}
        )
        storage = StorageSettings.from_environment({})
        with open_service(settings, made, storage, io.StringIO()) as service:
            service.start("all")
            with served_app(create_app(service), gateway_port) as client:
                base = str(client.base_url).replace("/api/v1/", "")
                ids = [
                    client.post("assets", files={"file": ("f.png", face_png(shade))}).json()["id"]
                    for shade in (1, 2)
                ]
                assert client.get(f"{base}/api/face-swap/health").json()["status"] == "healthy"
                body = {"source_url": ids[0], "target_url": ids[1], "resolution": "640x480"}
                answer = client.post(f"{base}/api/face-swap/process", json=body, timeout=120).json()
                assert answer["status"] == "success", answer
                row = service.store.row(answer["task_id"])
                assert (row.environment, row.status) == ("remote", "completed")
                assert (row.results[0]["width"], row.results[0]["height"]) == (32, 24)
                content = client.get(answer["result"]["output_url"]).content
                assert content.startswith(b"\x89PNG")
                assert b"face_swapper" in content  # marked here as well


def test_inputs_without_an_address_are_refused(tmp_path: Path) -> None:
    with (
        running(Canned()) as engine,
        served(tmp_path, processors=None, remote_engine_url=engine.url) as place,
    ):
        base = str(place.client.base_url).replace("/api/v1/", "")
        body = {"source_url": place.upload(1), "target_url": place.upload(2)}
        answer = place.client.post(f"{base}/api/face-swap/process", json=body).json()
        assert (answer["status"], "MIEN_PUBLIC_URL" in answer["error"]) == ("failed", True)
        assert engine.swaps == []
