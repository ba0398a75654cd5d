"""Builds the whole command line. Nothing is kept outside what ``build_app`` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from mien.cli.command import DEBUG, JSON, QUIET, Group
from mien.cli.program import Program
from mien.cli.terminal import Terminal

SUMMARY = "Swap, edit, debug and anonymise faces in pictures and video."

STEPS = ("swap", "anonymize", "edit", "debug", "background", "apply")
"""Commands of ``mien.cli.commands.steps``."""

OWN: Mapping[str, str] = {
    "faces": "faces_command",
    "demo": "demo_command",
    "verify": "verify_command",
    "models": "models_group",
    "keys": "keys_group",
    "audit": "audit_group",
    "doctor": "doctor_command",
    "settings": "settings_command",
    "storage": "storage_group",
    "serve": "serve_command",
    "api": "api_command",
    "worker": "worker_command",
    "consumer": "consumer_command",
    "workflows": "workflows_group",
    "remote": "remote_group",
    "options": "options_command",
}
"""The function that makes each command, in the module of that name in ``mien.cli.commands``."""

FACEFUSION: Mapping[str, str] = {
    "run": "studio",
    "headless-run": "job_runs",
    "batch-run": "batch",
    "force-download": "download",
    "benchmark": "benchmark",
    "job-list": "jobs",
    "job-create": "jobs",
    "job-submit": "jobs",
    "job-submit-all": "jobs",
    "job-delete": "jobs",
    "job-delete-all": "jobs",
    "job-add-step": "jobs",
    "job-remix-step": "jobs",
    "job-insert-step": "jobs",
    "job-remove-step": "jobs",
    "job-run": "job_runs",
    "job-run-all": "job_runs",
    "job-retry": "job_runs",
    "job-retry-all": "job_runs",
}
"""The module of ``mien.cli.commands`` whose ``COMMANDS`` describe each; in the order of FaceFusion's help."""


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name; the module of one is imported when it is asked for, so that each starts fast."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._makers[name] = lambda: command
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._makers[name]
        self._made.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def build_app(program: Program, terminal: Terminal | None = None) -> TyperGroup:
    """The command ``mien`` over the given parts of the program."""
    terminal = terminal or Terminal()
    app = typer.Typer(
        name="mien",
        cls=Group,
        help=SUMMARY,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_root(terminal))
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    root.commands = LazyCommands(_makers(program, terminal))
    return root


def _makers(program: Program, terminal: Terminal) -> dict[str, Callable[[], Any]]:
    def step(name: str) -> Callable[[], Any]:
        return lambda: _step(name, program, terminal)

    def own(name: str, function: str) -> Callable[[], Any]:
        return lambda: getattr(_module(name), function)(program, terminal)

    def facefusion(name: str, module: str) -> Callable[[], Any]:
        return lambda: _facefusion(name, module, program, terminal)

    found = {name: step(name) for name in STEPS}
    found |= {name: own(name, function) for name, function in OWN.items()}
    return found | {name: facefusion(name, module) for name, module in FACEFUSION.items()}


def _step(name: str, program: Program, terminal: Terminal) -> Any:
    from mien.cli.commands.steps import STEP_COMMANDS, step_command

    about = next(about for about in STEP_COMMANDS if about.name == name)
    return step_command(about, program, terminal)


def _facefusion(name: str, module: str, program: Program, terminal: Terminal) -> Any:
    from mien.cli.job_command import job_command

    about = next(about for about in _module(module).COMMANDS if about.name == name)
    return job_command(about, program, terminal)


def _module(name: str) -> Any:
    return import_module(f"mien.cli.commands.{name}")


def _root(terminal: Terminal) -> Callable[..., None]:
    def root(
        json: bool = typer.Option(False, "--json", help=JSON, show_default=False),
        quiet: bool = typer.Option(False, "--quiet", help=QUIET, show_default=False),
        debug: bool = typer.Option(False, "--debug", help=DEBUG, show_default=False),
        version: bool = typer.Option(
            False,
            "--version",
            "-v",
            help="Show the version.",
            show_default=False,
            is_eager=True,
            callback=_version,
        ),
    ) -> None:
        terminal.switch(json=json, quiet=quiet, debug=debug)

    return root


def _version(ctx: typer.Context, value: bool) -> None:
    from mien._version import __version__

    if value and not ctx.resilient_parsing:
        typer.echo(f"mien {__version__}")
        raise typer.Exit
