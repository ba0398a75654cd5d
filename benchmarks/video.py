"""How much a face swap in a video costs, beyond reading and writing the video.

    python benchmarks/video.py                       480p, 720p and 1080p, 10 seconds each
    python benchmarks/video.py --sizes 720p --seconds 10 60 --processors face_anonymizer

Makes its own clips: a portrait that moves and turns before a picture with noise. Every measurement runs in a process of
its own, so that peak memory is its own. Costs are milliseconds of CPU time per frame, over all threads and cores,
and ratios to the floor: decoding and encoding the same clip with the same settings and nothing between.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.faces.analyser import make_analyser
from mien.media.images import read_image
from mien.media.reader import VideoReader
from mien.media.writer import VideoSpec, VideoWriter
from mien.pipeline.engine import Engine
from mien.pipeline.progress import Progress
from mien.pipeline.step import Step
from mien.processors.base import FrameContext, Processor
from mien.settings import Settings

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
RATE = 30
QUALITY, PRESET = 65, "veryfast"
"""CRF 18 of x264; quality 80, the default, is CRF 10, where the encoder takes twice as long."""


class Stopwatch:
    """CPU seconds of one thread at a time, summed over all threads."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0
        self._lock = threading.Lock()

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                with self._lock:
                    self.seconds += time.thread_time() - started
                    self.calls += 1

        return call


class TimedProcessor(Processor[Any, Any]):
    """Another processor, and the time that it takes."""

    def __init__(self, inner: Processor[Any, Any], watch: Stopwatch) -> None:
        self._inner = inner
        self._process = watch.timed(inner.process)
        for name in (
            "name",
            "Options",
            "needs_source",
            "needs_faces",
            "synthetic",
            "sequential",
            "lookahead",
        ):
            setattr(self, name, getattr(inner, name))
        self.models = inner.models  # type: ignore[method-assign]
        self.prepare = inner.prepare  # type: ignore[method-assign]
        self.output_size = inner.output_size  # type: ignore[method-assign]
        self.in_order = inner.in_order  # type: ignore[method-assign]

    def process(self, frame: FrameContext, state: Any) -> None:
        self._process(frame, state)


def make_clip(path: Path, portrait: Path, size: tuple[int, int], seconds: float, rate: int = RATE) -> None:
    """A portrait that sways, nods and comes nearer, with noise as of a camera."""
    width, height = size
    image = read_image(portrait).pixels
    noise = np.random.default_rng(1).normal(0, 3, (4, height, width, 3))
    spec = VideoSpec(width, height, Fraction(1, 15360), Fraction(rate), quality=QUALITY, preset=PRESET)
    with VideoWriter(path, spec) as writer:
        for number in range(round(seconds * rate)):
            angle = number / rate * 2 * math.pi
            scale = height / image.shape[0] * (1.25 + 0.1 * math.sin(angle / 5))
            turn = cv2.getRotationMatrix2D((224, 120), 6 * math.sin(angle / 4), scale)
            turn[:, 2] += (
                width / 2 - 224 + 0.1 * width * math.sin(angle / 6),
                height / 2 - 120 + 8 * math.sin(angle / 3),
            )
            frame = cv2.warpAffine(
                image, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            )
            frame = np.clip(frame + noise[number % 4], 0, 255).astype(np.uint8)
            writer.write(frame, number * 15360 // rate)


def floor(clip: Path, folder: Path, **_: Any) -> dict[str, float]:
    """Decode, and decode with encode, in milliseconds of CPU per frame."""
    with VideoReader(clip) as reader:
        started = time.process_time()
        frames = sum(1 for _ in reader)
        decode = (time.process_time() - started) / frames
    with VideoReader(clip) as reader:
        info = reader.video
        spec = VideoSpec(
            info.width,
            info.height,
            info.time_base,
            info.rate,
            quality=QUALITY,
            preset=PRESET,
            color=reader.color,
        )
        started = time.process_time()
        with VideoWriter(folder / "floor.mp4", spec) as writer:
            for frame in reader:
                writer.write(frame.image, frame.pts)
        whole = (time.process_time() - started) / frames
    return {
        "frames": frames,
        "decode": 1000 * decode,
        "encode": 1000 * (whole - decode),
        "floor": 1000 * whole,
    }


def whole(
    clip: Path, folder: Path, source: Path, processors: tuple[str, ...], settings: Settings
) -> dict[str, float]:
    """A run of the engine, with the share of analysis and processors."""
    analyse, process = Stopwatch(), Stopwatch()
    marks: dict[str, tuple[float, float]] = {}

    def timed_analyser(*args: Any) -> Any:
        analyser = make_analyser(*args)
        begin = analyser.tracker

        def tracker(*args: Any, **changes: Any) -> Any:
            made = begin(*args, **changes)
            made.update = analyse.timed(made.update)  # type: ignore[method-assign]
            return made

        analyser.tracker = tracker  # type: ignore[method-assign]
        return analyser

    def listen(progress: Progress) -> None:
        marks.setdefault(progress.stage, (time.process_time(), time.monotonic()))

    with Engine(settings) as plain:
        timed = {name: TimedProcessor(plain.processors[name], process) for name in processors}
    with Engine(settings, processors=timed, make_analyser=timed_analyser) as engine:
        options: dict[str, Any] = {"output_video_quality": QUALITY, "output_video_preset": PRESET}
        step = Step(clip, folder / "out.mp4", (source,), processors, options)
        result = engine.run(step, on_progress=listen)
    end = time.process_time(), time.monotonic()
    frames = result.frames
    return {
        "frames": frames,
        "whole": 1000 * (end[0] - marks["process"][0]) / frames,
        "analyse": 1000 * analyse.seconds / frames,
        "process": 1000 * process.seconds / frames,
        "warm_up": (process.calls - frames) / frames,
        "rate": frames / (end[1] - marks["process"][1]),
        "before": marks["process"][0] - marks["models"][0],
    }


MEASUREMENTS: Mapping[str, Callable[..., dict[str, float]]] = {"floor": floor, "whole": whole}


def measure(name: str, **arguments: Any) -> dict[str, float]:
    """Run one measurement in a new process; adds its peak memory in MB."""
    command = [sys.executable, __file__, "--measure", name, json.dumps(arguments, default=str)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(name: str, arguments: str) -> None:
    """The other side of ``measure``."""
    given = json.loads(arguments)
    settings = Settings.from_environment()
    work = Path(given["folder"])
    found = MEASUREMENTS[name](
        clip=Path(given["clip"]),
        folder=work,
        source=Path(given["source"]),
        processors=tuple(given["processors"]),
        settings=settings.model_copy(update={"work_dir": work / "work"}),
    )
    unit = 2**20 if sys.platform == "darwin" else 2**10
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(json.dumps(found))


def report(size: str, seconds: float, base: Mapping[str, float], run: Mapping[str, float]) -> None:
    rest = run["whole"] - base["floor"] - run["analyse"] - run["process"]
    print(
        f"{size}, {seconds:g} s, {run['frames']:.0f} frames: {run['rate']:.1f} frames/s, peak {run['memory']:.0f} MB"
    )
    rows = {
        "decode": base["decode"],
        "encode": base["encode"],
        "floor (decode + encode)": base["floor"],
        "find and follow faces": run["analyse"],
        "processors": run["process"],
        "copies, queues, warm-up, join": rest,
        "whole run": run["whole"],
        "whole run without the floor": run["whole"] - base["floor"],
    }
    for label, cost in rows.items():
        print(f"  {label:32}{cost:8.1f} ms CPU/frame{cost / base['floor']:8.2f} of the floor")
    print(f"  warm-up: {run['warm_up']:.1%} more frames; before the first frame {run['before']:.1f} s CPU")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--seconds", nargs="+", type=float, default=[10.0])
    parser.add_argument("--processors", nargs="+", default=["face_swapper"])
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        child(*given.measure)
        return
    with Engine(Settings.from_environment()) as engine, tempfile.TemporaryDirectory() as name:
        portrait, source = (engine.models.path(model) for model in ("sample_astronaut", "sample_hopper"))
        clip = Path(name) / "clip.mp4"
        for size in given.sizes:
            for seconds in given.seconds:
                make_clip(clip, portrait, SIZES[size], seconds)
                common = {"clip": clip, "folder": name, "source": source, "processors": given.processors}
                report(size, seconds, measure("floor", **common), measure("whole", **common))


if __name__ == "__main__":
    main()
