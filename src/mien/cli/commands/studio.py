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
    """Run the service on this machine, and show its page."""
    from mien.cli.commands.serve import run_server

    ignored = sorted(call.values.keys() - {"open_browser", "ui_layouts", "ui_workflow"})
    if ignored:
        call.terminal.note(f"the studio keeps its own settings; without effect here: {', '.join(ignored)}.")
    wanted = call.values.get("open_browser", True)
    run_server(
        call.program,
        call.terminal,
        {},
        with_worker=True,
        on_ready=_show if wanted else lambda address: None,
    )


def _show(address: str) -> None:
    """Open the browser where there is one; the address stands in the terminal for all others."""
    import threading
    import webbrowser

    # A browser that has to start first would keep the server from answering it.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


COMMANDS = (About("run", "Open the studio in the browser.", open_studio, _sections, config=True),)
"""The command of this module."""
