"""Several machines, a folder each, that make the parts of one video; yet another one joins them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from mien.pipeline.engine import Engine
from mien.pipeline.step import Result, Step
from tests.pipeline.clips import frames_hash, times

Make: TypeAlias = Callable[[Path], Engine]
"""Makes the engine of a machine, given its folder."""


def step_on(folder: Path, step: Step) -> Step:
    """The step with this machine's own copies of its files."""
    inputs = folder / "inputs"
    target, *sources = (_elsewhere(path, inputs) for path in (step.target, *step.sources))
    return Step(target, folder / "result.mp4", tuple(sources), step.processors, step.options)


def _elsewhere(path: Path, folder: Path) -> Path:
    """The file as another machine has it: under another name, and as storages give it, from the year 1970."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{len(os.listdir(folder))}{path.suffix}"
    shutil.copyfile(path, copy)
    os.utime(copy, ns=(0, 0))
    return copy


def whole(make: Make, step: Step, folder: Path) -> Result:
    """The result of one run on one machine."""
    with make(folder / "whole") as engine:
        return engine.run(step_on(folder / "whole", step))


def made_apart(make: Make, step: Step, folder: Path) -> Result:
    """Make each part on a machine of its own, the last one first, and join them."""
    here = step_on(folder / "joining", step)
    with make(folder / "joining") as engine:
        parts = engine.parts(here)
        places = [None] * len(parts.frames) if parts.parallel else engine.scout(here)
        for index in reversed(range(len(parts.frames))):
            there = folder / f"machine{index}"
            with make(there) as worker:
                made = worker.make_part(step_on(there, step), index, place=places[index])
            engine.adopt_part(here, index, made.path, json.loads(json.dumps(made.note)))
        result = engine.run(here)
    assert result.resumed_segments == len(parts.frames) > 1
    assert result.frames == len(times(result.output))
    return result


def assert_same(joined: Result, whole: Result) -> None:
    """The same pictures at the same times, the same bytes, and the same of everything that was counted."""
    assert times(joined.output) == times(whole.output)
    assert frames_hash(joined.output) == frames_hash(whole.output)
    assert joined.output.read_bytes() == whole.output.read_bytes()
    assert (joined.frames, joined.faces, joined.content) == (whole.frames, whole.faces, whole.content)
