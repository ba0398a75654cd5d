"""Draws help: the usage line, what a command does, and its options in panels, flags never cut short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup, TyperOption

OPTIONS = "Options"
COMMANDS = "Commands"


def explain(command: Any, ctx: Any) -> str:
    """The help of a command or a group as text, coloured if stdout is a terminal."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    console.width = min(console.width, 120)
    with console.capture() as captured:
        console.print()
        console.print(Padding(Text(" ".join(command.get_usage(ctx).split()), "bold"), (0, 1)))
        for paragraph in (command.help or "").split("\n\n"):
            console.print(Padding(Text(paragraph), (1, 1, 0, 1)))
        console.print()
        for title, rows in panels(command, ctx).items():
            console.print(_panel(title, rows))
    return captured.get()


def panels(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Rows (what to write, what it does) by panel: commands of a group first, then its options."""
    found: dict[str, list[tuple[str, str]]] = {}
    if isinstance(command, TyperGroup):
        for name in command.list_commands(ctx):
            member: Any = command.get_command(ctx, name)
            rows = found.setdefault(member.rich_help_panel or COMMANDS, [])
            rows.append((name, member.get_short_help_str(200)))
    for param in command.get_params(ctx):
        if isinstance(param, TyperOption) and not param.hidden:
            found.setdefault(param.rich_help_panel or OPTIONS, []).append((written(param), param.help or ""))
    return found


def written(param: TyperOption) -> str:
    """How an option is written: its names, short ones first, and what stands for its value."""
    names = sorted(param.opts, key=len)
    if param.secondary_opts:
        names[-1] = names[-1].replace("--", "--[no-]", 1)
    value = "" if param.is_flag else param.metavar or "TEXT"
    return " ".join(part for part in (", ".join(names), value) if part)


def _panel(title: str, rows: Sequence[tuple[str, str]]) -> object:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for left, right in rows:
        grid.add_row(Text(left, "cyan"), Text(right))
    return Panel(grid, title=title, title_align="left", border_style="dim")
