"""``run``: FaceFusion's command for its browser application."""

from __future__ import annotations

from mien.cli.commands.job_runs import run_sections
from mien.cli.commands.jobs import jobs_section
from mien.cli.job_command import About, Call, Section
from mien.cli.job_options import FILES, BenchmarkOptions, InterfaceOptions
from mien.cli.program import Program
from mien.cli.step_args import step_sections
from mien.options import declared


def _sections(program: Program) -> list[Section]:
    return [
        Section(InterfaceOptions.title, declared(InterfaceOptions)),
        *step_sections(program, *FILES),
        jobs_section(),
        *run_sections(program),
        Section(BenchmarkOptions.title, declared(BenchmarkOptions), folded=True),
    ]


def open_studio(call: Call) -> None:
    """There is none yet."""
    raise call.fail(
        "The studio is not part of this version; mien headless-run takes the same flags and runs at once.",
        "studio_missing",
    )


COMMANDS = (About("run", "Open the studio (not part of this version).", open_studio, _sections, config=True),)
"""The command of this module."""
