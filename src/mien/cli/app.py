"""Builds the whole command line. Nothing is kept outside what ``build_app`` returns."""

from __future__ import annotations

from collections.abc import Callable

import typer
import typer.main
from typer.core import TyperGroup

from mien.cli.command import DEBUG, JSON, QUIET, Group
from mien.cli.commands.audit import audit_group
from mien.cli.commands.batch import BATCH_COMMANDS
from mien.cli.commands.benchmark import BENCHMARK_COMMANDS
from mien.cli.commands.demo import demo_command
from mien.cli.commands.doctor import doctor_command
from mien.cli.commands.download import DOWNLOAD_COMMANDS
from mien.cli.commands.faces import faces_command
from mien.cli.commands.job_runs import RUN_COMMANDS
from mien.cli.commands.jobs import JOB_COMMANDS
from mien.cli.commands.keys import keys_group
from mien.cli.commands.models import models_group
from mien.cli.commands.options import options_command
from mien.cli.commands.steps import STEP_COMMANDS, step_command
from mien.cli.commands.storage import storage_group
from mien.cli.commands.studio import STUDIO_COMMANDS
from mien.cli.commands.verify import verify_command
from mien.cli.job_command import job_command
from mien.cli.program import Program
from mien.cli.terminal import Terminal

SUMMARY = "Swap, edit, debug and anonymise faces in pictures and video."

FACEFUSION_COMMANDS = (
    *STUDIO_COMMANDS,
    *RUN_COMMANDS[:1],
    *BATCH_COMMANDS,
    *DOWNLOAD_COMMANDS,
    *BENCHMARK_COMMANDS,
    *JOB_COMMANDS,
    *RUN_COMMANDS[1:],
)
"""In the order of FaceFusion's help."""


OWN_COMMANDS = (
    faces_command,
    demo_command,
    verify_command,
    models_group,
    keys_group,
    audit_group,
    doctor_command,
    storage_group,
    options_command,
)


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
    for about in STEP_COMMANDS:
        root.add_command(step_command(about, program, terminal))
    for make in OWN_COMMANDS:
        root.add_command(make(program, terminal))
    for also in FACEFUSION_COMMANDS:
        root.add_command(job_command(also, program, terminal))
    return root


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
