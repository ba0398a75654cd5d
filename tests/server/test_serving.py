from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
import websockets.sync.client

from mien.server import serving
from mien.server.serving import AddressRefused, address_of, listen
from tests.server.running import command

PATIENCE = 60.0


def test_a_port_that_is_taken_is_told_in_one_sentence() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressRefused, match=f"Port {port} of 127.0.0.1 is in use"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(AddressRefused, match="--host"):
        listen("192.0.2.1", 0)
    with pytest.raises(AddressRefused, match="--host"):
        listen("name.invalid", 0)


def test_the_address_is_one_that_a_browser_takes() -> None:
    with listen("127.0.0.1", 0) as sock:
        assert address_of(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}"
    with listen("0.0.0.0", 0) as sock:
        assert address_of(sock).startswith("http://localhost:")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with command(tmp_path, "api") as (process, address):
        assert httpx2.get(f"{address}/readyz", timeout=60).text == "ok\n"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_serve_runs_a_worker_that_ends_with_it_however_it_ends(tmp_path: Path) -> None:
    with command(tmp_path, "serve") as (process, address):
        worker = _worker(address)
        process.kill()
        process.wait()
        _wait(lambda: not _lives(worker))


def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    with command(tmp_path, "serve") as (process, address):
        first = _worker(address)
        os.kill(first, signal.SIGKILL)
        _wait(lambda: _worker(address) != first)
        second = _worker(address)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert not _lives(second)
    assert "worker_died" in (tmp_path / "log").read_text()


def test_a_client_that_sends_no_request_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.3)
    with _served_here() as (port, client):
        for words in (b"", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
                sock.sendall(words)
                assert sock.recv(100) == b""
        assert client.get("/slow").text == "done"


def test_a_websocket_may_be_quiet_for_longer_than_the_head_of_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.3)
    with _served_here() as (port, _), websockets.sync.client.connect(f"ws://127.0.0.1:{port}/echo") as socket:
        time.sleep(1)
        socket.send("there")
        assert socket.recv(PATIENCE) == "there"


@pytest.mark.parametrize(
    "words", ["POST /echo HTTP/1.1\r\nContent-Length: 2", f"GET /echo HTTP/1.1\r\nX: {'a' * 20_000}"]
)
def test_a_handshake_that_websockets_do_not_read_is_refused(words: str) -> None:
    upgrade = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with _served_here() as (port, _), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(f"{words}\r\n{upgrade}".encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")


_BEGUN = b"POST /size HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (b"GET /", b"a" * 1000),
        (_BEGUN + b"X-Long: ", b"a" * 1000),
        (_BEGUN, b"X-Many: a\r\n" * 100),
        (_BEGUN, b"X-" + b"a" * 1000),
        (b"", b"\r\n" * 500),
        (_BEGUN + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 1000),
        (_BEGUN + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Many: a\r\n" * 100),
    ],
    ids=["address", "one header", "headers", "a name", "empty lines", "size of a piece", "trailers"],
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(begun: bytes, more: bytes) -> None:
    with _served_here() as (port, _), socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(begun)
        answer = _flooded(sock, more, 10 * serving.HEAD_BYTES)
    assert answer is None or answer.startswith(b"HTTP/1.1 400 ")


def test_a_head_of_the_allowed_size_and_large_bodies_are_taken() -> None:
    with _served_here() as (_, client):
        long = {"X-Long": "a" * (serving.HEAD_BYTES // 2)}
        for content in (b"a" * (2 << 20), iter([b"a" * 5000] * 300)):
            assert client.post("/size", headers=long, content=content).json() > 1 << 20


def _flooded(sock: socket.socket, more: bytes, most: int) -> bytes | None:
    """What a server answers to bytes without end; None when it cut the connection."""
    sock.settimeout(0.01)
    sent = 0
    while sent < most:
        try:
            sock.sendall(more)
            sent += len(more)
            with suppress(TimeoutError):
                return sock.recv(1000)
        except OSError:
            return None
    raise AssertionError(f"{sent} bytes were taken")


@contextmanager
def _served_here() -> Iterator[tuple[int, httpx2.Client]]:
    """The protocol of the server in a thread, over an app with one slow route."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    def slow(request: object) -> PlainTextResponse:
        time.sleep(0.8)  # longer than a client may take for the head of a request
        return PlainTextResponse("done")

    async def size(request: Request) -> JSONResponse:
        return JSONResponse(len(await request.body()))

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    routes = [Route("/slow", slow), Route("/size", size, methods=["POST"]), WebSocketRoute("/echo", echo)]
    app = Starlette(routes=routes)
    config = uvicorn.Config(app, http=serving.Protocol, log_config=None, lifespan="off")
    ready = threading.Event()
    server = serving.Server(config, ready.set, lambda: None)
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                yield port, client
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def _worker(address: str) -> int:
    """The process number of the worker that lives."""
    found: list[int] = []

    def look() -> bool:
        workers = httpx2.get(f"{address}/api/v1/system", timeout=60).json()["workers"]
        found[:] = [
            worker["pid"] for worker in workers if worker["role"] == "worker" and _lives(worker["pid"])
        ]
        return bool(found)

    _wait(look)
    return found[0]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def _wait(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)
