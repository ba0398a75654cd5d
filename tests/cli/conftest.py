"""A program made of stand-ins: two processors, an engine that records what it is asked, a store in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from mien.cli.main import run
from mien.cli.program import Program
from mien.errors import Canceled
from mien.models.catalogue import Catalogue, Model, ModelFile, UrlSource, Wheel, WheelSource
from mien.models.store import ModelStore
from mien.options import Options, option
from mien.pipeline.progress import Cancel, Progress
from mien.pipeline.step import Result, Step
from mien.processors.base import Processor
from mien.settings import Settings
from mien.types import Box, Face, Frame, Landmarks, Pose


class PainterOptions(Options):
    group: ClassVar[str] = "painter"
    title: ClassVar[str] = "Painter"

    model: Literal["oil", "chalk_2b"] = option("oil", help="What is painted with.")
    weight: float = option(0.5, ge=0.0, le=1.0, step=0.05, help="How thick.")
    color: tuple[int, ...] = option((0, 0, 0), ge=0, le=255, help="Red, green, blue.")
    areas: tuple[Literal["hair", "mouth"], ...] = option(("hair", "mouth"), help="Where.")
    angles: tuple[Literal[0, 90, 180], ...] = option((0,), help="Turns.")
    varnish: bool = option(False, help="Shine.")
    secret: int = option(1, ge=0, help="Rarely needed.", advanced=True)


class WriterOptions(Options):
    group: ClassVar[str] = "writer"

    words: str | None = option(None, help="What is written.")


class SharedOptions(Options):
    group: ClassVar[str] = "output"
    section: ClassVar[str] = "output_creation"
    title: ClassVar[str] = "Output"

    video_quality: int = option(80, ge=0, le=100, help="Quality.")


class SelectorOptions(Options):
    group: ClassVar[str] = "face_selector"
    section: ClassVar[str] = "face_selector"

    order: Literal["large-small", "small-large"] = option("large-small", help="Which comes first.")


class Painter(Processor[PainterOptions, None]):
    name = "painter"
    Options = PainterOptions


class Writer(Processor[WriterOptions, None]):
    name = "writer"
    Options = WriterOptions


Behave = Callable[[Step, Callable[[Progress], None], Cancel], None]


class FakeEngine:
    """Records its steps; ``behave`` says what happens inside a run."""

    def __init__(self, settings: Settings, on_notice: Callable[[str], None], behave: Behave | None) -> None:
        self.settings = settings
        self.steps: list[Step] = []
        self.closed = False
        self._notice = on_notice
        self._behave = behave

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True

    def run(self, step: Step, *, on_progress: Callable[[Progress], None], cancel: Cancel) -> Result:
        self.steps.append(step)
        self._notice("the model oil was chosen")
        on_progress(Progress("process", 1, 2, 3.0, 0.3))
        if self._behave is not None:
            self._behave(step, on_progress, cancel)
        if cancel.is_set:
            raise Canceled("The run was stopped on request.")
        return Result(step.output, "video", 2, 75.2, 4, ("oil",), ("the model oil was chosen",), 1)

    def seal_joined(self, parts: Sequence[Path], output: Path) -> None:
        """Nobody signs."""

    def detect(self, path: Path, options: Mapping[str, Any], *, frame: int) -> tuple[Frame, tuple[Face, ...]]:
        self.asked = (path, options, frame)
        return np.zeros((100, 120, 3), np.uint8), (face(10, 0.7), face(40, 0.9))


def face(size: float, score: float) -> Face:
    five = np.array([[1, 1], [3, 1], [2, 2], [1, 3], [3, 3]], np.float32)
    marks = Landmarks(five, five, np.full((68, 2), 2.0, np.float32), np.zeros((68, 2), np.float32))
    return Face(Box(5, 5, 5 + size, 5 + size), score, marks, pose=Pose(12.4, -3.0, 0.5))


class FakeProgram(Program):
    """The program without its heavy parts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engines: list[FakeEngine] = []
        self.behave: Behave | None = None
        self.opens = True

    def settings(self) -> Settings:
        return Settings(cache_dir=self.folder / "cache", offline=True, threads=3)

    def processors(self) -> Mapping[str, Any]:
        return {"painter": Painter(), "writer": Writer(), "face_swapper": Writer(), "face_editor": Painter()}

    def step_groups(self) -> tuple[type[Options], ...]:
        return (SharedOptions, SelectorOptions)

    def engine(self, settings: Settings, *, on_notice: Any, on_download: Any) -> Any:
        self.engines.append(FakeEngine(settings, on_notice, self.behave))
        return self.engines[-1]

    def store(self, settings: Settings, progress: Any = None) -> ModelStore:
        return ModelStore(settings, catalogue(), progress=progress)

    def providers(self) -> list[dict[str, Any]]:
        return [{"name": "cpu", "opens": self.opens, "remark": "" if self.opens else "broken"}]

    def encoders(self) -> list[dict[str, Any]]:
        return [{"name": "libx264", "kind": "video"}, {"name": "aac", "kind": "audio"}]

    @property
    def step(self) -> Step:
        """The one step that was run."""
        (engine,) = self.engines
        (step,) = engine.steps
        return step


def catalogue() -> Catalogue:
    wheel = Wheel("w", "w", "1", "w.whl", 9, "00", "3.12", "cp312", "any", "any")
    small = ModelFile("small.bin", (WheelSource(wheel, "small.bin"),), 5, sha256=SHA_OF_HELLO)
    large = ModelFile("large.bin", (UrlSource("http://127.0.0.1:9/large.bin"),), 12_345_678, sha256="00")
    return Catalogue(
        [
            Model("small", (small,), "detector", "Apache-2.0", "us", 2024, True),
            Model("large", (large,), "swap", "Non-Commercial [NC]", "them", 2023, False),
        ]
    )


SHA_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProgram:
    """A program of stand-ins; the current folder is an empty one."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return FakeProgram(tmp_path)


@pytest.fixture
def mien(program: FakeProgram) -> Callable[..., int]:
    """Runs a command line and returns its exit code."""
    return lambda *words: run([str(word) for word in words], program)
