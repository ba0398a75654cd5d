"""Servers of their own for a test: real ones, on a port of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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


@contextmanager
def command(folder: Path, *words: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A ``mien`` command that serves, which writes its log to ``log`` in a folder, and its address."""
    environment = {
        **os.environ,
        "MIEN_DATA_DIR": str(folder / "data"),
        "MIEN_SHUTDOWN_SECONDS": "5",
        **variables,
    }
    arguments = [sys.executable, "-m", "mien", *words, "--port", "0", "--json"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    assert process.stdout is not None
    try:
        text = ""
        while not text.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, (folder / "log").read_text()[-2000:]
            text += line
        yield process, json.loads(text)["address"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
