"""Where the commands write: results to stdout, everything else to stderr, machine-readable when asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = Sequence[object]


@dataclass(slots=True)
class Terminal:
    """How one call of the program talks to its user. Made afresh for every call; nothing is global."""

    json: bool = False
    """Results go to stdout as JSON; nothing else does."""
    quiet: bool = False
    """No results, notes or progress; errors only."""
    debug: bool = False
    """Errors come with their traceback."""
    spell: Callable[[str], str] = str
    """Turns the keys of options in a sentence into flags; see ``mien.cli.spelling``."""
    answered: bool = False
    """A result was given; in JSON mode there is exactly one document on stdout."""

    def switch(self, *, json: bool = False, quiet: bool = False, debug: bool = False) -> None:
        """Turn modes on; none is turned off."""
        self.json |= json
        self.quiet |= quiet
        self.debug |= debug

    @property
    def shows_progress(self) -> bool:
        """True if a progress bar may be drawn."""
        return not (self.json or self.quiet) and sys.stderr.isatty()

    def result(self, data: Any, draw: Callable[[], str | None]) -> None:
        """Give the result of a command: ``data`` as JSON, or the text that ``draw`` returns."""
        self.answered = True
        if self.json:
            print(json.dumps(data, indent=2, ensure_ascii=False, default=plain))
        elif not self.quiet:
            text = draw()
            if text:
                print(text)

    def note(self, text: str) -> None:
        """One line on the side, on stderr."""
        if not self.quiet:
            print(f"mien: {self.spell(text)}", file=sys.stderr)

    def error(self, sentence: str, code: str = "internal") -> None:
        """Tell what went wrong: one sentence on stderr, in JSON mode an object on stdout too."""
        sentence = self.spell(sentence)
        if self.json and not self.answered:
            print(json.dumps({"error": {"code": code, "message": sentence}}, ensure_ascii=False))
        print(f"mien: {' '.join(sentence.split())}", file=sys.stderr)

    def table(self, headings: Sequence[str], rows: Iterable[Row], title: str | None = None) -> None:
        """Draw a table on stdout. Written to a file or a pipe it is as wide as it needs to be."""
        from rich import box
        from rich.table import Table

        table = Table(*headings, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*(cell(value) for value in row))
        self.print(table)

    def print(self, renderable: object) -> None:
        """Draw anything that rich draws, on stdout."""
        from rich.console import Console

        console = Console(highlight=False, soft_wrap=False)
        if not console.is_terminal:
            console.width = 10_000
        console.print(renderable)


def cell(value: object) -> str:
    """A value as a table shows it, with rich's markup characters taken literally."""
    from rich.markup import escape

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return escape(" ".join(str(part) for part in value))
    return escape(str(value))


def size(count: int | float) -> str:
    """A number of bytes in words: 3.7 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def plain(value: Any) -> Any:
    """What JSON has no type for: paths as text, arrays as lists, mappings as objects."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
