"""What the process of the API loads, and that large files do not pass through its memory as a whole."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.server.running import command
from tests.server.served import face_png

MEDIA = {"numpy", "cv2", "av"}
HEAVY = MEDIA | {"onnxruntime", "ai_edge_litert", "dbos", "psycopg", "obstore", "c2pa", "cryptography"}
CLIENTS = {"httpx2", "httpcore2"}
MEGABYTE = 1 << 20


@contextmanager
def _api(folder: Path) -> Iterator[tuple[int, httpx2.Client]]:
    """A process that serves, which lists in ``log`` what it imports, and a client of it."""
    with (
        command(folder, "api", PYTHONPROFILEIMPORTTIME="1") as (process, address),
        httpx2.Client(base_url=f"{address}/api/v1", timeout=120, trust_env=False) as client,
    ):
        yield process.pid, client


def _loaded(folder: Path) -> set[str]:
    lines = (folder / "log").read_text().splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def test_a_library_is_loaded_when_something_needs_it(tmp_path: Path) -> None:
    with _api(tmp_path) as (_, client):
        begun = _loaded(tmp_path)
        assert {"fastapi", "sqlalchemy"} <= begun
        assert not begun & (HEAVY | CLIENTS)
        answer = client.post("assets", files={"file": ("face.png", face_png())})
        assert answer.status_code == 201, answer.text
        assert not _loaded(tmp_path) & (HEAVY | CLIENTS)
        shown = client.get(f"assets/{answer.json()['id']}/thumbnail", params={"size": 16})
        assert shown.status_code == 200, shown.text
        assert _loaded(tmp_path) & HEAVY == {"numpy", "cv2"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has had")
def test_a_large_file_does_not_pass_through_memory_as_a_whole(tmp_path: Path) -> None:
    size = 200 * MEGABYTE
    sound = _sound(tmp_path / "long.wav", size)
    with _api(tmp_path) as (pid, client):
        before = _most_memory(pid)
        with sound.open("rb") as file:
            answer = client.post("assets", files={"file": ("long.wav", file)})
        assert answer.status_code == 201, answer.text
        assert answer.json()["size"] == size
        with client.stream("GET", f"assets/{answer.json()['id']}/content") as got:
            assert sum(len(piece) for piece in got.iter_bytes()) == size
        assert _most_memory(pid) - before < size // 2


def _sound(path: Path, size: int) -> Path:
    """A WAV file of silence: 8 channels, 48 kHz, 16 bit."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 8, 48000, 768000, 16, 16
    )
    with path.open("wb") as file:
        file.write(head + struct.pack("<4sI", b"data", size - len(head) - 8))
        file.truncate(size)
    return path


def _most_memory(pid: int) -> int:
    """The most bytes that a process has had in memory so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10
