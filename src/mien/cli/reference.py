"""Writes docs/options.md from the declared options: ``python -m mien.cli.reference docs/options.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from mien.cli import values
from mien.cli.flags import panel_title
from mien.cli.program import Program, processor_groups
from mien.cli.run_options import PROGRAM_GROUPS, SHORT, PathOptions, processors_option
from mien.options import Declared, Options, declared

INTRODUCTION = """# Options

Every option of a step, as a flag of the command line. The key in ini files, job files and in Python is the flag
without its dashes, with underscores: `--face-mask-blur` is `face_mask_blur`. The ini section stands under each
heading. *Several* means one or more values, separated by spaces: `--face-mask-types box occlusion`. Options marked
with a star are folded away in `--help` and shown by `--help-all`.

This page is written by `python -m mien.cli.reference docs/options.md`; do not edit it by hand.
"""


def render(program: Program) -> str:
    """The page: files and processors first, then what steps share, each processor of this package, the run."""
    processors = program.processors()
    own = {
        name: group
        for name, group in processor_groups(program).items()
        if type(processors[name]).__module__.startswith("mien.")
    }
    parts = [INTRODUCTION, _part(PathOptions, [*declared(PathOptions), processors_option(tuple(own))])]
    groups = (*program.step_groups(), *own.values(), *PROGRAM_GROUPS)
    return "\n".join([*parts, *(_part(group, declared(group)) for group in groups)])


def _part(group: type[Options], items: Iterable[Declared]) -> str:
    rows = "\n".join(_row(item) for item in items)
    head = "| option | values | default | meaning |\n|---|---|---|---|"
    return f"## {panel_title(group)}\n\nini section `[{group.section}]`\n\n{head}\n{rows}\n"


def _row(item: Declared) -> str:
    flag = f"`--[no-]{item.flag[2:]}`" if item.kind == "bool" and not item.many else f"`{item.flag}`"
    flag = f"`{SHORT[item.key]}` {flag}" if item.key in SHORT else flag
    default = values.spell(item.default)
    cells = (
        flag + (" *" if item.advanced else ""),
        _values(item),
        f"`{default}`" if default else "",
        item.help,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _values(item: Declared) -> str:
    """What may be written, in a few words."""
    kind = {"str": "text", "int": "whole number", "float": "number", "bool": "on or off"}[item.kind]
    if item.choices:
        kind = ", ".join(f"`{values.spell(choice)}`" for choice in item.choices)
    elif item.ge is not None and item.le is not None:
        kind = f"{kind}, {item.ge:g} to {item.le:g}"
    elif item.ge is not None:
        kind = f"{kind}, at least {item.ge:g}"
    unit = f" ({item.unit})" if item.unit else ""
    return f"{'several: ' if item.many else ''}{kind}{unit}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(Program()), encoding="utf-8")
