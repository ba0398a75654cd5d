"""Derives the flags of a command from declared options, and reads their values back.

``parameters`` gives the parameters of a command function (as typer reads them), one for each declared
option, in help panels by group; ``read`` turns what typer parsed into values by key. An option that was not
written has no value: its default belongs to the engine, which may know a better one.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import typer

from mien.cli import values
from mien.cli.run_options import SHORT
from mien.options import Declared, Options, declared

FEW = 16
"""Choices of at most so many characters stand in the value's place; longer ones in the help text."""


def panel_title(group: type[Options]) -> str:
    """Heading of a group in help."""
    return group.title or (group.group or group.section).replace("_", " ").capitalize()


def parameters(
    items: Iterable[Declared], panel: str, *, folded: bool = False, shown: Collection[str] = ()
) -> list[inspect.Parameter]:
    """One parameter per option; ``folded`` hides all but ``shown`` until ``--help-all`` is asked for."""
    return [
        _parameter(item, panel, hidden=(folded or item.advanced) and item.key not in shown) for item in items
    ]


def group_parameters(group: type[Options], *, folded: bool = False) -> list[inspect.Parameter]:
    """The parameters of one option group."""
    return parameters(declared(group), panel_title(group), folded=folded)


def _parameter(item: Declared, panel: str, *, hidden: bool) -> inspect.Parameter:
    names = [f"{item.flag}/--no-{item.flag[2:]}"] if item.kind == "bool" and not item.many else [item.flag]
    if item.key in SHORT:
        names.insert(0, SHORT[item.key])
    info = typer.Option(
        None,
        *names,
        help=describe(item),
        metavar=metavar(item),
        hidden=hidden,
        show_default=False,
        rich_help_panel=panel,
        autocompletion=_completion(item) if item.choices else None,
    )
    return inspect.Parameter(
        item.key, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=_annotation(item)
    )


def _annotation(item: Declared) -> Any:
    if item.many:
        return list[str] | None
    return bool | None if item.kind == "bool" else str | None


def _completion(item: Declared) -> Any:
    def complete(incomplete: str) -> list[str]:
        words = (values.spell(choice) for choice in item.choices)
        return [word for word in words if word.startswith(incomplete)]

    return complete


def metavar(item: Declared) -> str:
    """What stands for the value in help: the choices when they are few, else the kind."""
    if item.kind == "bool" and not item.many:
        return ""
    words = "|".join(values.spell(choice) for choice in item.choices)
    if words:
        name = words if len(words) <= FEW else "NAME"
    else:
        name = {"str": "TEXT", "int": "INT", "float": "NUMBER", "bool": "BOOL"}[item.kind]
    return f"{name}..." if item.many else name


def describe(item: Declared) -> str:
    """The help text of an option with its choices, range and default."""
    facts = []
    words = [values.spell(choice) for choice in item.choices]
    if len("|".join(words)) > FEW:
        facts.append("one of " + ", ".join(words))
    if item.ge is not None and item.le is not None:
        facts.append(f"{item.ge:g} to {item.le:g}")
    if item.unit:
        facts.append(item.unit)
    if values.spell(item.default):
        facts.append(f"default: {values.spell(item.default)}")
    return f"{item.help} ({'; '.join(facts)})" if facts else item.help


def read(items: Iterable[Declared], parsed: Mapping[str, Any]) -> dict[str, Any]:
    """Values by key of the options that were written; raises OptionError for a value that is not allowed."""
    return {item.key: _read(item, parsed[item.key]) for item in items if _written(parsed.get(item.key))}


def _written(value: Any) -> bool:
    return value is not None and value != [] and value != ()


def _read(item: Declared, value: bool | str | Sequence[str]) -> Any:
    if isinstance(value, bool):
        return value
    return values.parse(item, [value] if isinstance(value, str) else value)
