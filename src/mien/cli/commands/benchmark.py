"""``benchmark``: how fast this machine works through a clip with a face, size by size."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.commands.job_runs import run_sections
from mien.cli.job_command import About, Call, Section
from mien.cli.job_options import BenchmarkOptions
from mien.cli.program import Program
from mien.cli.running import open_engine
from mien.cli.step_args import make_step, step_keys, step_sections
from mien.options import declared

if TYPE_CHECKING:
    from mien.pipeline.engine import Engine
    from mien.pipeline.progress import Cancel, Progress
    from mien.pipeline.step import Step
    from mien.types import Frame

SIZES: Mapping[str, tuple[int, int]] = {
    "240p": (426, 240),
    "360p": (640, 360),
    "540p": (960, 540),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
}
FRAMES = 50
RATE = 25
SOURCE, TARGET = "sample_astronaut", "sample_hopper"
"""Portraits in the public domain that every installation can get."""


def _sections(program: Program) -> list[Section]:
    return [
        Section(BenchmarkOptions.title, declared(BenchmarkOptions)),
        *step_sections(program),
        *run_sections(program),
    ]


@dataclass
class Row:
    """What was measured for one size."""

    resolution: str
    frames: int
    seconds: list[float] = field(default_factory=list)
    """Wall-clock time of each run."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds in each stage, summed over the runs."""
    models: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The row as JSON and the table have it."""
        total = sum(self.seconds)
        return {
            "target_path": f"clip-{self.resolution}.mp4",
            "cycle_count": len(self.seconds),
            "average_run": round(total / len(self.seconds), 2),
            "fastest_run": round(min(self.seconds), 2),
            "slowest_run": round(max(self.seconds), 2),
            "relative_fps": round(self.frames * len(self.seconds) / total, 2),
            "frames": self.frames,
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "models": self.models,
        }


def benchmark(call: Call) -> None:
    """``benchmark``: a run that fails ends it with its error, so a refusal is never a fast run."""
    mode = call.values.get("benchmark_mode", "warm")
    sizes = call.values.get("benchmark_resolutions", ("240p",))
    cycles = int(call.values.get("benchmark_cycle_count", 5))
    with tempfile.TemporaryDirectory(prefix="mien-benchmark-") as folder, _interruptible(call) as cancel:
        bench = _Bench(call, Path(folder), cycles, mode == "cold", cancel)
        rows = [bench.measure(size).as_data() for size in sizes]
    data = {"mode": mode, "processors": bench.processors, "machine": machine(call), "results": rows}
    call.terminal.result(data, lambda: _table(call, rows))


def machine(call: Call) -> dict[str, Any]:
    """What the figures are true for."""
    from mien._version import __version__
    from mien.cli.run_options import settings_of

    settings = settings_of(call.values, call.program.settings())
    return {
        "mien": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": settings.threads or os.cpu_count(),
        "providers": settings.providers,
        "precision": settings.precision,
    }


@contextmanager
def _interruptible(call: Call) -> Iterator[Cancel]:
    from mien.cli.interrupt import stopping
    from mien.pipeline.progress import Cancel

    cancel = Cancel()
    with stopping(cancel, call.terminal.note):
        yield cancel


class _Bench:
    """One call of the command."""

    def __init__(self, call: Call, folder: Path, cycles: int, cold: bool, cancel: Cancel) -> None:
        self._call = call
        self._folder = folder
        self._cycles = cycles
        self._cold = cold
        self._cancel = cancel
        self._stored = make_step(call.program, call.values)
        self.processors = self._stored.processors

    def measure(self, size: str) -> Row:
        """Run through a clip of that size as often as was asked for."""
        self._call.terminal.note(f"measuring {size}")
        row = Row(size, FRAMES)
        step = self._step(size)
        if self._cold:
            for _ in range(self._cycles):
                with open_engine(self._call.program, self._call.terminal, self._call.values) as (engine, _):
                    self._time(engine, step, row)
            return row
        with open_engine(self._call.program, self._call.terminal, self._call.values) as (engine, _):
            engine.run(step, cancel=self._cancel)
            for _ in range(self._cycles):
                self._time(engine, step, row)
        return row

    def _time(self, engine: Engine, step: Step, row: Row) -> None:
        begin = time.perf_counter()
        marks: list[tuple[str, float]] = []

        def watch(progress: Progress) -> None:
            if not marks or marks[-1][0] != progress.stage:
                marks.append((progress.stage, time.perf_counter()))

        result = engine.run(step, on_progress=watch, cancel=self._cancel)
        end = time.perf_counter()
        row.seconds.append(end - begin)
        row.models = result.models
        for (stage, since), (_, until) in zip(marks, [*marks[1:], ("", end)], strict=True):
            row.stages[stage] = row.stages.get(stage, 0.0) + until - since

    def _step(self, size: str) -> Step:
        from mien.jobs.recipe import options_of
        from mien.pipeline.step import Step

        store = self._call.program.store(self._call.program.settings())
        clip = self._folder / f"clip-{size}.mp4"
        write_clip(store.path(TARGET), clip, *SIZES[size])
        return Step(
            sources=(store.path(SOURCE),),
            target=clip,
            output=self._folder / f"result-{size}.mp4",
            processors=self._stored.processors,
            options=options_of(self._stored, step_keys(self._call.program)),
        )


def write_clip(portrait: Path, path: Path, width: int, height: int) -> None:
    """A clip of 2 s, 25 frames/s, H.264: the portrait fills the height and drifts from side to side."""
    from mien.media.images import read_image
    from mien.media.writer import VideoSpec, VideoWriter

    picture = read_image(portrait).pixels
    spec = VideoSpec(width, height, Fraction(1, RATE), Fraction(RATE))
    with VideoWriter(path, spec) as writer:
        for index in range(FRAMES):
            writer.write(_view(picture, width, height, index / (FRAMES - 1)), index)


def _view(picture: Frame, width: int, height: int, share: float) -> Frame:
    import cv2
    import numpy as np

    scale = height / picture.shape[0]
    left = (width - picture.shape[1] * scale) * (0.4 + 0.2 * share)
    matrix = np.array([[scale, 0, left], [0, scale, 0]], np.float64)
    shown = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(shown, np.uint8)


COLUMNS = ("target_path", "cycle_count", "average_run", "fastest_run", "slowest_run", "relative_fps")


def _table(call: Call, rows: list[dict[str, Any]]) -> None:
    call.terminal.table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


COMMANDS = (
    About(
        "benchmark",
        "Measure how fast clips of several sizes are worked on.",
        benchmark,
        _sections,
        details="All analysis is done as in a real run; seconds are those of whole runs, from checks to the file.",
    ),
)
"""The command of this module."""
