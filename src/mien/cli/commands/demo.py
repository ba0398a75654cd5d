"""``mien demo``: shows on two public-domain portraits what the program does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.cli.command import Command, text
from mien.cli.program import Program
from mien.cli.terminal import Terminal


def demo_command(program: Program, terminal: Terminal) -> Command:
    """Make the command."""

    def run(values: Mapping[str, Any]) -> None: ...

    return Command(
        "demo",
        "Swap the faces of two public-domain portraits and of a short video, to see what comes out.",
        lambda: [
            text(
                "folder",
                "-o",
                "--output-path",
                help="Folder for the results; mien-demo when unset.",
                metavar="FOLDER",
            )
        ],
        run,
        terminal,
        panel="Work on faces",
    )
