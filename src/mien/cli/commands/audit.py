"""``mien audit``: checks the log that every run leaves where the settings name one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from mien.cli.command import Command, Group, chosen, one, positionals, text
from mien.cli.program import Program
from mien.cli.terminal import Terminal
from mien.errors import OptionError

BROKEN = 4
"""Exit code for a log that was changed; that of ``mien verify`` for a file that was."""


def audit_group(program: Program, terminal: Terminal) -> Group:
    """The group with its one command."""

    def verify(values: Mapping[str, Any]) -> None:
        from mien.safety.audit import check

        path = _log(chosen(values, "files"), program)
        found = check(path, values["head"])
        data = {"file": str(path), "whole": not found.problem, **asdict(found)}
        end = f"the last hash is {found.head}."
        sentence = f"{path}: {found.records} records, none changed; {end}"
        if found.problem:
            sentence = f"{path}: {found.problem} Before it are {found.records} whole records; {end}"
        terminal.result(data, lambda: sentence)
        if found.problem:
            raise typer.Exit(BROKEN)

    head = "A hash that was noted earlier: it must be in the log, so that nothing up to it was cut off."
    command = Command(
        "verify",
        "Check that no record of an audit log was changed, put in or removed.",
        lambda: [positionals("files"), text("head", "--head", help=head, metavar="HASH", panel="Options")],
        verify,
        terminal,
        details="Without FILE, the log of the settings (MIEN_AUDIT_LOG). Records cut off the end are only noticed with "
        "--head. Exit code 4 if the log is not whole.",
        usage="[FILE]",
    )
    return Group(
        name="audit",
        help="Check the audit log.",
        commands={"verify": command},
        rich_help_panel="Provenance",
    )


def _log(words: tuple[str, ...], program: Program) -> Path:
    if words:
        return Path(one(words, "audit log", "mien audit verify [FILE]"))
    named = program.settings().audit_log
    if named is None:
        raise OptionError("No audit log is named: mien audit verify FILE, or set MIEN_AUDIT_LOG.")
    return named
