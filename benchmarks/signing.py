"""How much memory and time it takes to sign a large video, and to verify it.

    python benchmarks/signing.py                 a made MP4 of 400 MB
    python benchmarks/signing.py --megabytes 50

The file is a real MP4 whose frames are noise. Each measurement runs in a process of its own, so that peak memory is
its own; what Python and the libraries take before the work begins is told beside it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SIDE = 1024


def make(path: Path, megabytes: int) -> None:
    """Noise in motion JPEG: every frame is a key frame of about the same size."""
    random = np.random.default_rng(1)
    frames = [random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(3)]
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.options = "yuvj420p", {"qscale": "2"}
        written = number = 0
        while written < megabytes * 1_000_000:
            frame = av.VideoFrame.from_ndarray(frames[number % 3], "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                written += packet.size
                container.mux(packet)
            number += 1
        container.mux(stream.encode(None))


def peak() -> float:
    """Peak resident memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # The system's own figure begins anew with each program; getrusage keeps that of the parent.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def work(task: str, path: Path, keys: Path) -> dict[str, Any]:
    from mien.safety.credentials import Claim, Operation, sign_file
    from mien.safety.keys import ROOT
    from mien.safety.manifests import read_manifest
    from mien.safety.marking import COMPOSITE
    from mien.safety.signer import load_signer

    before, start, cpu = peak(), time.monotonic(), time.process_time()
    state = "signed"
    if task == "sign":
        claim = Claim((Operation("face_swapper", COMPOSITE, ("inswapper_128",)),), path, "mp4")
        sign_file(path, "mp4", claim, load_signer(keys))
    else:
        state = read_manifest(path, "mp4", [(keys / ROOT).read_text()]).state
    seconds, used = time.monotonic() - start, time.process_time() - cpu
    return {"state": state, "before": before, "peak": peak(), "seconds": seconds, "cpu": used}


def apart(task: str, path: Path, keys: Path) -> dict[str, Any]:
    words = [sys.executable, __file__, "--task", task, str(path), str(keys)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--task", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.task:
        task, path, keys = chosen.task
        print(json.dumps(work(task, Path(path), Path(keys))))
        return
    from mien.safety.keys import create_keys

    with tempfile.TemporaryDirectory() as folder:
        path, keys = Path(folder) / "clip.mp4", Path(folder) / "keys"
        create_keys(keys)
        make(path, chosen.megabytes)
        size = path.stat().st_size
        for task in ("sign", "verify"):
            found = apart(task, path, keys)
            print(
                f"{task:7} {size / 1e6:.0f} MB ({found['state']}): peak {found['peak']:.0f} MB of memory "
                f"({found['before']:.0f} MB before), {found['seconds']:.1f} s, {found['cpu']:.1f} s of CPU"
            )
        print(f"the signature adds {(path.stat().st_size - size) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
