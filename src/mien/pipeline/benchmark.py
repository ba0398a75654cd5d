"""Measuring: a clip with a face, made in the size that is asked for, is worked on as often as is asked for."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mien.pipeline.progress import Cancel, Progress, Report
from mien.pipeline.step import Step

if TYPE_CHECKING:
    from mien.models.store import ModelStore
    from mien.pipeline.engine import Engine
    from mien.settings import Settings
    from mien.types import Frame

Resolution: TypeAlias = Literal["240p", "360p", "540p", "720p", "1080p", "1440p", "2160p"]

SIZES: Final[Mapping[Resolution, tuple[int, int]]] = {
    "240p": (426, 240),
    "360p": (640, 360),
    "540p": (960, 540),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
}
FRAMES: Final = 50
RATE: Final = 25
SOURCE: Final = "sample_astronaut"
TARGET: Final = "sample_hopper"
"""Portraits in the public domain that every installation can get."""


@dataclass
class Row:
    """What was measured for one size."""

    resolution: str
    frames: int = FRAMES
    """Of each run; fewer than the clip has where options leave some out."""
    seconds: list[float] = field(default_factory=list)
    """Wall-clock time of each run."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds in each stage, summed over the runs."""
    models: tuple[str, ...] = ()
    first: float | None = None
    """Seconds of the run before, which does not count; None where there was none."""

    def as_data(self) -> dict[str, Any]:
        """The row as JSON and tables have it; at least one run was made."""
        total = sum(self.seconds)
        return {
            "target_path": f"clip-{self.resolution}.mp4",
            "cycle_count": len(self.seconds),
            "average_run": round(total / len(self.seconds), 2),
            "fastest_run": round(min(self.seconds), 2),
            "slowest_run": round(max(self.seconds), 2),
            "relative_fps": round(self.frames * len(self.seconds) / total, 2),
            "first_run": None if self.first is None else round(self.first, 2),
            "frames": self.frames,
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "models": list(self.models),
        }


def bench_step(
    portraits: tuple[Path, Path],
    folder: Path,
    size: Resolution,
    processors: Sequence[str],
    options: Mapping[str, Any],
) -> Step:
    """What is measured for one size; makes its clip in ``folder``. ``portraits``: who is put in, and who is shown."""
    source, shown = portraits
    clip = folder / f"clip-{size}.mp4"
    write_clip(shown, clip, *SIZES[size])
    return Step(
        sources=(source,),
        target=clip,
        output=folder / f"result-{size}.mp4",
        processors=tuple(processors),
        options=options,
    )


def portraits_of(store: ModelStore) -> tuple[Path, Path]:
    """The two portraits, brought when they are not here. Raises ModelMissing."""
    return store.path(SOURCE), store.path(TARGET)


def measure_warm(
    engine: Engine, step: Step, row: Row, cycles: int, cancel: Cancel, on_progress: Report | None = None
) -> None:
    """Run once without counting it, then ``cycles`` times. ``on_progress`` hears of the frames of all these runs.

    Raises what ``Engine.run`` raises, so that a refusal is never a fast run.
    """
    for run in range(cycles + 1):
        time_run(
            engine, step, row, cancel, counts=run > 0, on_progress=_overall(on_progress, run, cycles + 1)
        )


def _overall(report: Report | None, run: int, runs: int) -> Report | None:
    """Tells of one of several runs as a part of all."""
    if report is None:
        return None

    def tell(progress: Progress) -> None:
        if progress.stage == "process":
            done = run * progress.total + progress.done
            report(Progress("process", done, runs * progress.total, progress.rate))

    return tell


def time_run(
    engine: Engine,
    step: Step,
    row: Row,
    cancel: Cancel,
    *,
    counts: bool = True,
    on_progress: Report | None = None,
) -> None:
    """Run a step and add what it took to the row, or note it as the first. Raises what ``Engine.run`` raises."""
    begin = time.perf_counter()
    marks: list[tuple[str, float]] = []

    def watch(progress: Progress) -> None:
        if not marks or marks[-1][0] != progress.stage:
            marks.append((progress.stage, time.perf_counter()))
        if on_progress is not None:
            on_progress(progress)

    result = engine.run(step, on_progress=watch, cancel=cancel)
    end = time.perf_counter()
    row.models, row.frames = result.models, result.frames
    if not counts:
        row.first = end - begin
        return
    row.seconds.append(end - begin)
    for (stage, since), (_, until) in zip(marks, [*marks[1:], ("", end)], strict=True):
        row.stages[stage] = row.stages.get(stage, 0.0) + until - since


def machine(settings: Settings) -> dict[str, Any]:
    """What the figures are true for."""
    from mien._version import __version__

    return {
        "mien": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": settings.threads or os.cpu_count(),
        "providers": list(settings.providers),
        "precision": settings.precision,
    }


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
