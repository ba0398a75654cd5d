"""An engine that writes text instead of pictures, and a process that dies between two file operations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from mien.jobs.job import JobStep
from mien.jobs.runner import Runner
from mien.jobs.store import JobStore
from mien.media.atomic import replacing
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Result, Step

Behave = Callable[[Step], None]


class TextEngine:
    """The result of a step is the content of its target and the step's label."""

    def __init__(self, behave: Behave | None = None) -> None:
        self.done: list[str] = []
        self.behave = behave

    def run(self, step: Step, *, on_progress: Any = None, cancel: Cancel | None = None) -> Result:
        if self.behave is not None:
            self.behave(step)
        content = step.target.read_text() + f"+{step.options['label']}"
        with replacing(step.output) as part:
            part.write_text(content)
        self.done.append(str(step.options["label"]))
        return Result(step.output, "image", 1, 0.25, 2, (), ("said",), 0)


def text_step(folder: Path, label: str, output: str, target: str = "target.png") -> JobStep:
    return JobStep(
        {
            "source_paths": None,
            "target_path": str(folder / target),
            "output_path": str(folder / output),
            "processors": ["painter"],
            "label": label,
        }
    )


def runner(store: JobStore, engine: TextEngine, **more: Any) -> Runner:
    return Runner(store, engine, frozenset({"label"}), **more)


class Death(BaseException):
    """The process is killed here."""


@contextmanager
def mortal(operations: int | None) -> Iterator[Callable[[], bool]]:
    """Let the process die before the file operation of that number, or never; yields whether it has died.

    What runs after its death (clean-up that a killed process would not do) can do nothing to files any more.
    """
    left = operations
    dead = False

    def step(path: object) -> None:
        nonlocal left, dead
        if isinstance(path, str | Path) and ".locks" in str(path):
            return
        if left is not None:
            left -= 1
        dead = dead or (left is not None and left < 0)
        if dead:
            raise Death

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **more: Any) -> Any:
            step(path)
            return function(path, *rest, **more)

        return call

    def write(path: Path, content: bytes) -> int:
        step(path)
        with open(path, "wb") as file:  # a killed writer leaves half of it
            file.write(content[: len(content) // 2])
        step(path)
        return _write_bytes(path, content)

    names = ("replace", "rename", "link", "unlink", "fsync", "mkdir", "open")
    deadly = {name: guarded(getattr(os, name)) for name in names}
    with mock.patch.multiple(os, **deadly), mock.patch.object(Path, "write_bytes", write):
        yield lambda: dead


_write_bytes = Path.write_bytes
