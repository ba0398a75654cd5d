"""A server of its own for a test: a real one, on a port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import uvicorn

from mien.server.serving import Protocol


@contextmanager
def running(app: Any, port: int = 0) -> Iterator[httpx2.Client]:
    """A client of the app, which is served in a thread until the end of the block."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, http=Protocol, log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive(), "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(60)
