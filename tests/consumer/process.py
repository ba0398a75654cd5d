"""A consumer process with a stand-in for the work."""

from __future__ import annotations

import io
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.consumer.composing import open_consumer
from mien.consumer.settings import ConsumerSettings
from mien.pipeline.adopting import Adopted
from mien.pipeline.progress import Cancel, Progress, Report
from mien.pipeline.step import PathInput, Result, Step
from mien.settings import Settings


@dataclass
class StandIn:
    """In the place of the face engine: the result is the target; ``behave`` is called before, with the request."""

    behave: Callable[[Step, Cancel], None] = lambda step, cancel: None
    marks: Path | None = None
    """A folder that gets a file for each result."""
    steps: list[Step] = field(default_factory=list)
    adopted: list[tuple[str, str, int]] = field(default_factory=list)

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *error: object) -> None: ...

    def run(self, step: Step, *, on_progress: Report | None = None, cancel: Cancel | None = None) -> Result:
        self.steps.append(step)
        if on_progress is not None:
            on_progress(Progress("process", 0, 1))
        self.behave(step, cancel or Cancel())
        shutil.copyfile(step.target, step.output)
        if self.marks is not None:
            (self.marks / f"{time.monotonic_ns()}").touch()
        return Result(step.output, "image", 1, 0.01, 1)

    def judge(self, files: Iterable[PathInput], options: Mapping[str, Any] | None = None) -> str:
        return "passed"

    def adopt_result(self, made: PathInput, output: PathInput, **about: Any) -> Adopted:
        shutil.copyfile(made, output)
        self.adopted.append((about["operation"], about["name"], len(about["sources"])))
        return Adopted("passed", False, (), Path(output))


def settings_for(url: str, folder: Path, **given: Any) -> ConsumerSettings:
    """Quick settings; ``folder`` is the work folder."""
    quick = {"poll_seconds": 0.05, "poll_max_seconds": 0.2, "lease_seconds": 30, "shutdown_seconds": 20}
    return ConsumerSettings.model_validate({"url": url, "work_dir": folder, **quick, **given})


def main(
    url: str,
    folder: str,
    marks: str,
    ready: Callable[[], None],
    hold: str = "",
    die_at: str = "",
    **given: Any,
) -> None:
    """A consumer whose work is quick, until it is told to stop.

    ``hold``: work waits as long as that file exists; ``die_at``: see ``_deadly``.
    """
    place = Path(marks)

    def behave(step: Step, cancel: Cancel) -> None:
        (place / "begun").touch()
        while hold and Path(hold).exists():
            cancel.wait(0.05)

    settings = settings_for(url, Path(folder), **given)
    made = Settings.from_environment({})
    _deadly(die_at, place)
    engine = StandIn(behave, place)
    with open_consumer(settings, made, log_to=io.StringIO(), engine=lambda _: engine) as consumer:  # type: ignore[arg-type,return-value]
        signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
        ready()
        consumer.run()


def _deadly(moment: str, place: Path) -> None:
    """Kill this process, once, just before (``name``) or after (``name+``) a call of a consumer's part."""
    from mien.consumer.gateway import Gateway
    from mien.consumer.journal import Entry

    if not moment or (place / "died").exists():
        return
    name = moment.rstrip("+")
    owner: Any = Entry if name == "write" else Gateway
    before = getattr(owner, name)

    def call(*args: Any, **more: Any) -> Any:
        if not moment.endswith("+"):
            _die(place)
        found = before(*args, **more)
        _die(place)
        return found

    def _die(place: Path) -> None:
        (place / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, call)
