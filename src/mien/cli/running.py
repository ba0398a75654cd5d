"""Runs one step for a command: settings, engine, progress, Ctrl-C, and what is said at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.interrupt import stopping
from mien.cli.memory import limit_memory
from mien.cli.program import Program
from mien.cli.progress import ProgressBars, clock
from mien.cli.run_options import settings_of
from mien.cli.terminal import Terminal

if TYPE_CHECKING:
    from mien.pipeline.engine import Engine
    from mien.pipeline.step import PathInput, Result


@contextmanager
def open_engine(
    program: Program, terminal: Terminal, values: Mapping[str, Any]
) -> Iterator[tuple[Engine, ProgressBars]]:
    """An engine with the settings of ``values`` whose notices and downloads are shown."""
    settings = settings_of(values, program.settings())
    limit_memory(values.get("system_memory_limit") or 0)
    with (
        ProgressBars(terminal) as bars,
        program.engine(settings, on_notice=bars.note, on_download=bars.download) as engine,
    ):
        yield engine, bars


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one step as they were named; inputs may be URLs until ``inputs.local`` has fetched them."""

    sources: tuple[PathInput, ...]
    target: PathInput
    output: PathInput


def run_step(
    engine: Engine, bars: ProgressBars, files: Files, processors: Sequence[str], options: Mapping[str, Any]
) -> Result:
    """Run one step with a progress bar; Ctrl-C stops it after the current frame."""
    from mien.pipeline.progress import Cancel
    from mien.pipeline.step import Step, paths

    step = Step(
        sources=paths(files.sources),
        target=Path(files.target),
        output=Path(files.output),
        processors=tuple(processors),
        options=options,
    )
    cancel = Cancel()
    bars.watch(cancel)
    with stopping(cancel, bars.note):
        return engine.run(step, on_progress=bars.work, cancel=cancel)


def as_data(result: Result) -> dict[str, Any]:
    """A result as JSON has it."""
    return asdict(result)


def summary(result: Result) -> str:
    """A result in one line."""
    facts = []
    if result.kind == "video":
        facts.append(f"{result.frames} frames")
    if result.faces:
        facts.append("1 face" if result.faces == 1 else f"{result.faces} faces")
    if result.resumed_segments:
        facts.append(f"{result.resumed_segments} finished parts kept from before")
    took = clock(result.seconds) + " min" if result.seconds >= 60 else f"{result.seconds:.1f} s"
    return f"{result.output}: {', '.join([*facts, took])}"
