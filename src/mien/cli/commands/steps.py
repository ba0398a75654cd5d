"""Commands that run one step: ``swap``, ``anonymize``, ``edit``, ``debug``, ``background``, ``apply``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.cli import flags, ini, inputs
from mien.cli.command import Command, chosen, positionals, text
from mien.cli.program import Program, all_groups, items_of, processor_groups
from mien.cli.run_options import PROGRAM_GROUPS, PathOptions, processors_option, settings_of
from mien.cli.running import Files, as_data, open_engine, run_step, summary
from mien.cli.terminal import Terminal
from mien.errors import OptionError
from mien.options import Declared


@dataclass(frozen=True, slots=True)
class StepCommand:
    """What sets one such command apart."""

    name: str
    summary: str
    processors: tuple[str, ...]
    usage: str
    details: str
    takes_sources: bool = False


STEP_COMMANDS = (
    StepCommand(
        "swap",
        "Put the face of one picture into another picture or a video.",
        ("face_swapper",),
        "SOURCE... TARGET",
        "SOURCE is a picture of the face to put in; with several pictures of one person the one whose head "
        "pose is nearest is used for each frame. TARGET, the last file, is the picture or video to work on.",
        takes_sources=True,
    ),
    StepCommand(
        "anonymize",
        "Make faces in a picture or a video unrecognisable.",
        ("face_anonymizer",),
        "TARGET",
        "TARGET is the picture or video to work on. All faces are covered unless a selector leaves some out.",
    ),
    StepCommand(
        "edit",
        "Change the expression and the pose of faces.",
        ("face_editor",),
        "TARGET",
        "TARGET is the picture or video to work on.",
    ),
    StepCommand(
        "debug",
        "Draw what the program sees: boxes, landmarks, masks.",
        ("face_debugger",),
        "TARGET",
        "TARGET is the picture or video to draw on.",
    ),
    StepCommand(
        "background",
        "Remove or replace what is behind people.",
        ("background_remover",),
        "TARGET",
        "TARGET is the picture or video to work on.",
    ),
    StepCommand(
        "apply",
        "Run any processors, one after the other.",
        (),
        "TARGET",
        "TARGET is the picture or video to work on; sources, where needed, are given with -s.",
    ),
)


def step_command(about: StepCommand, program: Program, terminal: Terminal) -> Command:
    """Make one of the commands."""
    builder = _Builder(about, program, terminal)
    return Command(
        about.name,
        about.summary,
        builder.parameters,
        builder.run,
        terminal,
        details=f"{about.details} Inputs may be URLs. Several values of one option are separated by "
        "spaces; write files before options, or after --.",
        usage=f"{about.usage} -o OUTPUT",
        panel="Work on faces",
    )


class _Builder:
    """Parameters and action of one command."""

    def __init__(self, about: StepCommand, program: Program, terminal: Terminal) -> None:
        self._about = about
        self._program = program
        self._terminal = terminal

    def parameters(self) -> list[inspect.Parameter]:
        """Files, the command's own processors, what all steps share, the run; the rest is folded."""
        own = self._about.processors
        by_processor = processor_groups(self._program)
        first = [group for name, group in by_processor.items() if name in own or not own]
        rest = [group for name, group in by_processor.items() if own and name not in own]
        found = [positionals("files"), *flags.group_parameters(PathOptions)]
        found += flags.parameters([self._processors()], "Processors", folded=bool(own))
        for group in (*first, *self._program.step_groups(), *PROGRAM_GROUPS):
            found += flags.group_parameters(group)
        for group in rest:
            found += flags.group_parameters(group, folded=True)
        return [
            *found,
            text("config_path", "--config-path", help=CONFIG_HELP, metavar="FILE", panel="Messages"),
        ]

    def run(self, parsed: Mapping[str, Any]) -> None:
        """Run the step that the command line describes."""
        groups = all_groups(self._program)
        items = (*items_of((*groups, *PROGRAM_GROUPS, PathOptions)), self._processors())
        typed = flags.read(items, parsed)
        values = {**read_ini(parsed.get("config_path"), items, self._terminal), **typed}
        level = values.get("log_level")
        self._terminal.switch(quiet=level == "error", debug=level == "debug")
        files = self._files(chosen(parsed, "files"), typed, values)
        step_keys = {item.key for item in items_of(groups)}
        options = {key: value for key, value in values.items() if key in step_keys}
        processors = self._chosen_processors(typed, values)
        settings = settings_of(values, self._program.settings())
        with (
            open_engine(self._program, self._terminal, values) as (engine, bars),
            inputs.local(files, settings, bars) as here,
        ):
            result = run_step(engine, bars, here, processors, options)
        self._terminal.result(as_data(result), lambda: summary(result))

    def _processors(self) -> Declared:
        return processors_option(tuple(self._program.processors()))

    def _chosen_processors(self, typed: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[str, ...]:
        # The list of an ini file is for the general command; `mien anonymize` stays what its name says.
        names: tuple[str, ...] = (
            typed.get("processors") or self._about.processors or values.get("processors") or ()
        )
        if not names:
            raise OptionError(
                "mien apply needs --processors, such as --processors face_swapper face_debugger."
            )
        return names

    def _files(self, words: tuple[str, ...], typed: Mapping[str, Any], values: Mapping[str, Any]) -> Files:
        """Sources, target and output: what was typed first, the ini file for what is left out."""
        usage = f"mien {self._about.name} {self._about.usage} -o OUTPUT"
        target = typed.get("target_path")
        if target is None and words:
            words, target = words[:-1], words[-1]
        target = values.get("target_path") if target is None else target
        if words and not self._about.takes_sources:
            raise OptionError(f"One target is needed, but {', '.join(words)} is there as well: {usage}.")
        sources = (*typed.get("source_paths", ()), *words) or values.get("source_paths") or ()
        if target is None or (self._about.takes_sources and not sources):
            missing = "target" if target is None else "source picture"
            raise OptionError(f"There is no {missing}: {usage}. Files stand before options, or after --.")
        if values.get("output_path") is None:
            raise OptionError(f"There is no output file: {usage}.")
        return Files(tuple(sources), target, values["output_path"])


CONFIG_HELP = (
    "Ini file with defaults for options; mien.ini or facefusion.ini of the current folder when unset."
)


def read_ini(named: str | None, items: tuple[Declared, ...], terminal: Terminal) -> dict[str, Any]:
    """Values by key of the named ini file, or of the one in the current folder."""
    found = ini.read(ini.find(named, Path.cwd()), items)
    if named is not None and not Path(named).is_file():
        terminal.note(f"there is no configuration file {named}; the built-in defaults apply")
    if found.unread:
        terminal.note(f"{found.path} sets what no option reads: {', '.join(found.unread)}")
    return found.values
