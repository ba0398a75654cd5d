"""The frame of all commands that FaceFusion has too: its flags and ini file in, its exit codes out.

Whatever goes wrong after the command line was understood is exit code 1, as FaceFusion's scripts expect it; the finer
code stands in the JSON answer and in the job's file. A command line that is not understood is 2.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli import flags, ini
from mien.cli.command import Command, chosen, positionals, text
from mien.cli.job_options import EVERYWHERE
from mien.cli.program import Program, items_of
from mien.cli.terminal import Terminal
from mien.errors import Canceled, MienError, OptionError
from mien.options import Declared

if TYPE_CHECKING:
    from mien.jobs.store import JobStore

CONFIG = "Ini file with defaults for options; mien.ini or facefusion.ini of the current folder when unset."
PANEL = "FaceFusion's commands"
DEFAULT_JOBS = ".jobs"


@dataclass(frozen=True, slots=True)
class Section:
    """Options that stand together in help; ``folded`` ones only in the long help."""

    title: str
    items: tuple[Declared, ...]
    folded: bool = False


Sections = Callable[[Program], Sequence[Section]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a command: what was said, on the command line or in the ini file, and by whom it is answered."""

    name: str
    words: tuple[str, ...]
    values: Mapping[str, Any]
    """By key; only what was said."""
    program: Program
    terminal: Terminal

    def store(self) -> JobStore:
        """The store that the call names."""
        from mien.jobs.store import open_store

        return open_store(self.values.get("jobs_path", DEFAULT_JOBS))

    def fail(self, sentence: str, code: str = "job_refused") -> typer.Exit:
        """Tell what went wrong; to be raised."""
        self.terminal.error(sentence, code)
        return typer.Exit(1)


@dataclass(frozen=True, slots=True)
class About:
    """What sets one such command apart."""

    name: str
    summary: str
    run: Callable[[Call], None]
    sections: Sections
    usage: str = ""
    details: str = ""
    config: bool = False
    """Takes ``--config-path``; the others read the file of the current folder."""


def job_command(about: About, program: Program, terminal: Terminal) -> Command:
    """Make one of the commands."""

    def parameters() -> list[inspect.Parameter]:
        found = [positionals("words")]
        for section in about.sections(program):
            found += flags.parameters(section.items, section.title, folded=section.folded)
        if about.config:
            found.append(text("config_path", "--config-path", help=CONFIG, metavar="FILE", panel="Messages"))
        return found

    def run(parsed: dict[str, Any]) -> None:
        items = tuple(item for section in about.sections(program) for item in section.items)
        values = {**_from_ini(about, parsed, items, terminal), **flags.read(items, parsed)}
        _set_level(values.get("log_level"), terminal)
        call = Call(about.name, chosen(parsed, "words"), values, program, terminal)
        try:
            about.run(call)
        except (OptionError, Canceled):
            raise
        except MienError as error:
            if terminal.debug:
                traceback.print_exception(error)
            raise call.fail(str(error), error.code) from None

    return Command(
        about.name,
        about.summary,
        parameters,
        run,
        terminal,
        details=about.details,
        usage=about.usage,
        panel=PANEL,
    )


def _from_ini(
    about: About, parsed: Mapping[str, Any], items: tuple[Declared, ...], terminal: Terminal
) -> dict[str, Any]:
    named = parsed.get("config_path")
    path = ini.find(named, Path.cwd())
    if named is not None and not Path(named).is_file():
        terminal.note(f"there is no configuration file {named}; the built-in defaults apply")
    found = ini.read(path, items)
    known = {f"{item.section}.{item.key}" for item in (*items, *items_of(EVERYWHERE))}
    # A command that takes no step options cannot tell a foreign key from one that it does not need.
    unread = [name for name in found.unread if name not in known] if about.config else []
    if unread and any(item.key == "processors" for item in items):
        terminal.note(f"{found.path} sets what no option reads: {', '.join(unread)}")
    return found.values


def _set_level(level: str | None, terminal: Terminal) -> None:
    terminal.switch(quiet=level == "error", debug=level == "debug")


def job_id(call: Call, usage: str) -> str:
    """The job id that is the only positional word."""
    from mien.jobs.ids import safe_id

    return safe_id(_exactly(call, 1, usage)[0])


def id_and_index(call: Call) -> tuple[str, int]:
    """The positional words JOB STEP; raises OptionError."""
    from mien.jobs.ids import safe_id

    id, index = _exactly(call, 2, "JOB STEP")
    try:
        return safe_id(id), int(index)
    except ValueError:
        raise OptionError(
            f"STEP cannot be {index!r}: give a whole number, counted from 0; negative means the last one."
        ) from None


def _exactly(call: Call, count: int, usage: str) -> tuple[str, ...]:
    if len(call.words) != count:
        given = f"{len(call.words)} words were given" if call.words else "none was given"
        raise OptionError(f"mien {call.name} {usage}: {given}.")
    return call.words
