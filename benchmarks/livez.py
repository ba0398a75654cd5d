"""How long ``/livez`` takes while the service is as busy as it can be: pictures and a video, in one ``mien serve``.

    python benchmarks/livez.py [--pictures 20] [--seconds 30]

Prints the figures as JSON. The models that are built in are fetched first, if they are not here.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

EVERY = 0.02
PATIENCE = 120.0


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--pictures", type=int, default=20)
    words.add_argument("--seconds", type=float, default=30.0)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, target = _model("sample_astronaut"), _model("sample_hopper")
        video = _video(Path(folder), target)
        server, address = _start(Path(folder))
        try:
            with httpx2.Client(base_url=address, timeout=60) as client:
                idle = _measure(client, 3.0)
                jobs = _submit(client, source, target, video, given.pictures)
                busy = _measure(client, given.seconds)
                states = Counter(client.get(f"/api/v1/jobs/{id}").json()["status"] for id in jobs)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    print(
        json.dumps(
            {"cores": os.cpu_count(), "jobs": len(jobs), "states": states, "idle": idle, "busy": busy},
            indent=1,
        )
    )


def _model(id: str) -> Path:
    subprocess.run([sys.executable, "-m", "mien", "models", "fetch", "--quiet"], check=True)
    found = subprocess.run(
        [sys.executable, "-m", "mien", "models", "path", id], check=True, capture_output=True, text=True
    )
    return Path(found.stdout.splitlines()[-1])


def _video(folder: Path, picture: Path) -> Path:
    """Twenty seconds of a picture that moves, at 25 frames a second."""
    import av
    import cv2
    import numpy as np

    image = cv2.imread(str(picture))
    height, width = (side // 2 * 2 for side in image.shape[:2])
    path = folder / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(500):
            moved = np.roll(image[:height, :width], number % 40, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(moved), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [
        sys.executable,
        "-m",
        "mien",
        "serve",
        "--port",
        "0",
        "--data-dir",
        str(folder / "data"),
        "--json",
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert server.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        line = server.stdout.readline()
        if not line:
            raise SystemExit((folder / "log").read_text())
        text += line
    address = str(json.loads(text)["address"])
    _wait_for_worker(address)
    return server, address


def _wait_for_worker(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        workers = httpx2.get(f"{address}/api/v1/system", timeout=60).json()["workers"]
        if any(worker["role"] == "worker" for worker in workers):
            return
        time.sleep(0.2)
    raise SystemExit("no worker came up")


def _submit(client: httpx2.Client, source: Path, target: Path, video: Path, pictures: int) -> list[str]:
    assets = [_upload(client, path) for path in (source, target, video)]
    wishes: list[dict[str, Any]] = [
        {"sources": [assets[0]], "target": assets[2], "processors": ["face_swapper"]}
    ]
    for number in range(pictures):
        weight = round(0.5 + number / 1000, 3)
        wishes.append(
            {"sources": [assets[0]], "target": assets[1], "options": {"face_swapper_weight": weight}}
        )
    answers = [client.post("/api/v1/jobs", json=wish) for wish in wishes]
    for answer in answers:
        answer.raise_for_status()
    return [answer.json()["id"] for answer in answers]


def _upload(client: httpx2.Client, path: Path) -> str:
    with path.open("rb") as file:
        answer = client.post("/api/v1/assets", files={"file": (path.name, file)})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _measure(client: httpx2.Client, seconds: float) -> dict[str, float]:
    """Milliseconds that the server takes, as a client beside it sees them."""
    found: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.perf_counter()
        client.get("/livez").raise_for_status()
        found.append((time.perf_counter() - started) * 1000)
        time.sleep(EVERY)
    cuts = statistics.quantiles(found, n=1000)
    return {
        "count": len(found),
        "p50": round(cuts[499], 1),
        "p95": round(cuts[949], 1),
        "p99": round(cuts[989], 1),
        "max": round(max(found), 1),
    }


if __name__ == "__main__":
    main()
