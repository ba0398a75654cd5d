"""``mien options``: every option that a step can have, with key, default and range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mien.cli.command import Command, chosen, positionals
from mien.cli.flags import describe, panel_title
from mien.cli.program import Program, all_groups
from mien.cli.run_options import PROGRAM_GROUPS, PathOptions, processors_option
from mien.cli.terminal import Terminal
from mien.options import Declared, Options, declared


def options_command(program: Program, terminal: Terminal) -> Command:
    """Make the command."""

    def run(values: Mapping[str, Any]) -> None:
        words = chosen(values, "words")
        found = [
            (title, item)
            for title, items in sections(program)
            for item in items
            if all(word in item.key for word in words)
        ]
        data = [{**asdict(item), "title": title} for title, item in found]
        headings = ("flag", "section", "group", "help")
        rows = [(item.flag, item.section, title, describe(item)) for title, item in found]
        terminal.result(data, lambda: terminal.table(headings, rows))

    return Command(
        "options",
        "List all options of a step.",
        lambda: [positionals("words")],
        run,
        terminal,
        details="With words, only options whose name has all of them.",
        usage="[WORD...]",
        panel="Set up",
    )


def sections(program: Program) -> list[tuple[str, tuple[Declared, ...]]]:
    """All options under the headings of their groups."""
    groups: tuple[type[Options], ...] = (PathOptions, *all_groups(program), *PROGRAM_GROUPS)
    found = [(panel_title(group), declared(group)) for group in groups]
    found.insert(1, ("Processors", (processors_option(tuple(program.processors())),)))
    return found
