"""Stand-ins for the tests of the pipeline: processors and an analyser that need no models."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mien.faces.analyser import Observed
from mien.options import Options, option
from mien.pipeline.engine import Engine
from mien.processors.base import FrameContext, Processor, RunContext
from mien.settings import Settings
from mien.types import Box, Face, Frame, Landmarks


class InverterOptions(Options):
    group: ClassVar[str] = "inverter"

    strength: int = option(255, ge=0, le=255, help="How much of the picture is inverted.")
    delay: float = option(0.0, ge=0.0, le=10.0, help="Seconds that a frame takes.")


class Inverter(Processor[InverterOptions, InverterOptions]):
    """Inverts the picture; needs no faces, keeps nothing."""

    name = "inverter"
    Options = InverterOptions
    needs_faces = False
    synthetic = False

    def prepare(self, run: RunContext, options: InverterOptions) -> InverterOptions:
        return options

    def process(self, frame: FrameContext, state: InverterOptions) -> None:
        if state.delay:
            time.sleep(state.delay)
        frame.image = np.asarray(state.strength - np.minimum(frame.image, state.strength), np.uint8)


class Marker(Processor[Options, None]):
    """Paints the selected faces in white, and those that were filled in, in grey."""

    name = "marker"
    Options = Options

    def prepare(self, run: RunContext, options: Options) -> None:
        return None

    def process(self, frame: FrameContext, state: None) -> None:
        for face in frame.selected:
            x1, y1, x2, y2 = (round(value) for value in face.box.as_tuple())
            frame.image[max(y1, 0) : y2, max(x1, 0) : x2] = 255 if face.observed else 128


class Coverer(Marker):
    """Like Marker, with a look into the future."""

    name = "coverer"
    lookahead = 6


class EchoOptions(Options):
    group: ClassVar[str] = "echo"


class Echo(Processor[EchoOptions, dict[str, Any]]):
    """Mixes each frame with what it gave before: what comes out depends on the frames before."""

    name = "echo"
    Options = EchoOptions
    needs_faces = False
    sequential = True

    def prepare(self, run: RunContext, options: EchoOptions) -> dict[str, Any]:
        return {"indices": []}

    def process(self, frame: FrameContext, state: dict[str, Any]) -> None:
        if frame.cut:
            state["last"] = None
        if state["last"] is not None:
            frame.image = np.asarray((frame.image.astype(np.uint16) + state["last"]) // 2, np.uint8)
        state["last"] = frame.image.copy()


class Failing(Inverter):
    """Fails on one frame."""

    name = "failing"
    Options = Options

    def prepare(self, run: RunContext, options: Any) -> Any:
        return InverterOptions()

    def process(self, frame: FrameContext, state: InverterOptions) -> None:
        if frame.index == 7:
            raise RuntimeError("this processor is broken")


class Doubler(Inverter):
    """Makes the picture twice as large."""

    name = "doubler"
    Options = Options

    def prepare(self, run: RunContext, options: Any) -> Any:
        return InverterOptions()

    def process(self, frame: FrameContext, state: InverterOptions) -> None:
        frame.image = np.repeat(np.repeat(frame.image, 2, 0), 2, 1)

    def output_size(self, options: Any, width: int, height: int) -> tuple[int, int]:
        return 2 * width, 2 * height


class Cutout(Inverter):
    """Makes the left half of the picture transparent."""

    name = "cutout"
    Options = Options

    def prepare(self, run: RunContext, options: Any) -> Any:
        return InverterOptions()

    def process(self, frame: FrameContext, state: InverterOptions) -> None:
        alpha = np.full(frame.image.shape[:2], 255, np.uint8)
        alpha[:, : alpha.shape[1] // 2] = 0
        frame.alpha = alpha


class NeedsSource(Inverter):
    """Refuses to work without a source."""

    name = "needs_source"
    Options = Options
    needs_source = True

    def prepare(self, run: RunContext, options: Any) -> Any:
        return InverterOptions()


PROCESSORS: dict[str, Processor[Any, Any]] = {
    processor.name: processor()
    for processor in (Inverter, Marker, Coverer, Echo, Failing, Doubler, Cutout, NeedsSource)
}


def face_at(box: Box, track: int | None = None) -> Face:
    points = np.zeros((68, 2), np.float32)
    return Face(box, 0.9, Landmarks(points[:5], points[:5], points, points), track=track)


def green_box(image: Frame) -> Box | None:
    """The box around what is clearly green."""
    blue, green, red = (image[:, :, channel].astype(int) for channel in range(3))
    rows, columns = np.nonzero((green > 150) & (blue < 110) & (red < 110))
    if not len(rows):
        return None
    return Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


@dataclass
class FakeAnalyser:
    """Takes green rectangles for faces; in a video it is blind in frames whose upper left corner is red."""

    updates: list[int] = field(default_factory=list)

    def models(self) -> tuple[str, ...]:
        return ()

    def faces(self, image: Frame) -> tuple[Face, ...]:
        box = green_box(image)
        return () if box is None else (face_at(box),)

    def tracker(self, rate: float, **changes: Any) -> FakeTracker:
        return FakeTracker(self)


@dataclass
class FakeTracker:
    analyser: FakeAnalyser

    def update(self, image: Frame, index: int) -> Observed:
        self.analyser.updates.append(index)
        corner = image[:4, :4].astype(int).mean((0, 1))
        box = None if corner[2] > 150 and corner[1] < 100 else green_box(image)
        return Observed(() if box is None else (face_at(box, 1),), index=index)


def fake_engine(folder: Path, analyser: FakeAnalyser | None = None, **changes: Any) -> Engine:
    """An engine over the stand-ins whose caches lie in ``folder``."""
    on_notice: Callable[[str], None] | None = changes.pop("on_notice", None)
    processors = changes.pop("processors", PROCESSORS)
    settings = Settings(cache_dir=folder / "cache", offline=True, **changes)
    found = analyser or FakeAnalyser()
    return Engine(settings, processors=processors, make_analyser=lambda *_: found, on_notice=on_notice)


def left_over(folder: Path, *expected: str) -> list[str]:
    """Files under a folder that nobody expected."""
    found: Sequence[Path] = [path for path in folder.rglob("*") if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in found]
    ours = [name for name in names if not name.startswith(("cache/graphs", "cache/verified"))]
    return sorted(set(ours) - set(expected))
