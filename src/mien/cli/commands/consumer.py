"""``mien consumer``: work on tasks that a gateway gives out."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import typer

from mien.cli.command import Command, switch
from mien.cli.program import Program
from mien.cli.terminal import Terminal

if TYPE_CHECKING:
    from mien.consumer.settings import ConsumerSettings
    from mien.pipeline.engine import Engine
    from mien.settings import Settings

FLAGS: Final[Mapping[str, str]] = {
    "url": "TEXT",
    "environments": "face_swap|comm",
    "concurrency": "NUMBER",
    "lease_seconds": "NUMBER",
    "poll_seconds": "NUMBER",
    "poll_max_seconds": "NUMBER",
    "report_seconds": "NUMBER",
    "run_seconds": "NUMBER",
    "shutdown_seconds": "NUMBER",
    "name": "TEXT",
    "work_dir": "FOLDER",
    "content_policy": "refuse|flag|off",
    "log_level": "debug|info|warning|error",
    "log_format": "auto|console|json",
}
"""Settings that are flags. The key is none: it would be seen in lists of processes."""
OFTEN: Final = ("url", "environments", "concurrency", "name", "work_dir")


def consumer_command(program: Program, terminal: Terminal) -> Command:
    """``mien consumer``."""
    return Command(
        "consumer",
        "Fetch tasks from a gateway over HTTP and work on them here; nothing needs to reach this machine.",
        _parameters,
        lambda values: _consume(program, terminal, values),
        terminal,
        details=(
            "The address may also be in TASK_API_URL; the key, one with the scope work, is in MIEN_KEY. Ctrl-C or "
            "SIGTERM finishes what can be finished soon and gives the rest back; asked twice, it ends at once, and "
            "the next start goes on from there."
        ),
        panel="Service",
    )


def _consume(program: Program, terminal: Terminal, values: Mapping[str, Any]) -> None:
    from mien.comfyui import ComfySettings
    from mien.consumer.composing import open_consumer, own_storage

    settings = consumer_settings(values)

    def make(engine_settings: Settings) -> Engine:
        return program.engine(engine_settings, on_notice=terminal.note, on_download=lambda download: None)

    with open_consumer(
        settings, program.settings(), ComfySettings.from_environment(), own_storage(), engine=make
    ) as consumer:
        _on_end(consumer.stop)
        if not terminal.json:
            terminal.note(f"asking {settings.url} for tasks; press Ctrl-C to stop")
        clean = consumer.run(once=bool(values.get("once")))
        counts = dict(consumer.outcomes)
        terminal.result(counts, lambda: ", ".join(f"{n} {name}" for name, n in counts.items()) or "no tasks")
    if not clean:
        # Work that does not listen would keep the process alive; the next start takes it up.
        terminal.note("some work did not stop in time; the next start in the same folder goes on with it")
        sys.stdout.flush()
        os._exit(0)


def consumer_settings(values: Mapping[str, Any]) -> ConsumerSettings:
    """The settings of the environment, with those of the flags over them. Raises OptionError that names the flag."""
    from mien.consumer.settings import ConsumerSettings

    given: dict[str, Any] = {name: values.get(name) for name in FLAGS}
    words = given["environments"] or []
    names = tuple(part for word in words for part in word.lower().replace(",", " ").split())
    given["environments"] = names or None
    return ConsumerSettings.from_environment(**given)


def _parameters() -> list[inspect.Parameter]:
    from mien.consumer.settings import ConsumerSettings

    fields = ConsumerSettings.model_fields
    found = [_parameter(name, fields[name].description or "", metavar) for name, metavar in FLAGS.items()]
    once = switch(
        "once",
        "--once",
        help="End when there is no task any more, instead of waiting for one.",
        panel="Service",
    )
    return [*found, once]


def _parameter(name: str, description: str, metavar: str) -> inspect.Parameter:
    info = typer.Option(
        None,
        f"--{name.replace('_', '-')}",
        help=description,
        metavar=metavar,
        show_default=False,
        hidden=name not in OFTEN,
        rich_help_panel="Service",
    )
    annotation: Any = list[str] | None if name == "environments" else str | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=annotation)


def _on_end(stop: Callable[[], None]) -> None:
    """Stop on SIGINT and SIGTERM; asked twice, the process ends at once."""
    asked = False

    def handle(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            os._exit(130)
        asked = True
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):  # not in the main thread
            signal.signal(number, handle)
