"""``mien settings``: all settings with their values, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mien.cli.command import Command, positionals
from mien.cli.program import Program
from mien.cli.terminal import Terminal

if TYPE_CHECKING:
    from pydantic import BaseModel

DEFAULT = "default"
HIDDEN = "***"


def settings_command(program: Program, terminal: Terminal) -> Command:
    """Make the command."""

    def run(values: Mapping[str, Any]) -> None:
        words = [word.lower() for word in values.get("words") or ()]
        found = [row for row in rows(program) if all(word in str(row).lower() for word in words)]
        terminal.result(found, lambda: _show(terminal, found))

    return Command(
        "settings",
        "Show all settings of the service, of the engine and of the storage, and where each value comes from.",
        lambda: [positionals("words")],
        run,
        terminal,
        details="With words, only the settings that mention all of them. Secrets are not shown.",
        usage="[WORD...]",
        panel="Set up",
    )


def rows(program: Program) -> list[dict[str, Any]]:
    """One record for each setting. Raises OptionError for a variable with a wrong value."""
    from mien import settings as engine
    from mien.service import settings as service
    from mien.storage import StorageSettings
    from mien.storage.settings import VARIABLES

    environ = os.environ
    of_service, of_engine = service.ServiceSettings.from_environment(), program.settings()
    of_storage = StorageSettings.from_environment()
    named = {
        field: next((name for name in names if environ.get(name)), DEFAULT)
        for field, names in VARIABLES.items()
    }
    return [
        *_part("service", of_service, of_service.named(environ), service.ALIASES, "MIEN_"),
        *_part("engine", of_engine, of_engine.named(environ), engine.ALIASES, "MIEN_"),
        *_part("storage", of_storage, named, VARIABLES, None),
    ]


def _part(
    part: str,
    settings: BaseModel,
    named: Mapping[str, str],
    aliases: Mapping[str, tuple[str, ...]],
    prefix: str | None,
) -> Iterator[dict[str, Any]]:
    for name, field in type(settings).model_fields.items():
        own = (f"{prefix}{name.upper()}",) if prefix else ()
        yield {
            "part": part,
            "variables": [*own, *aliases.get(name, ())],
            "value": _plain(getattr(settings, name)),
            "from": named.get(name, DEFAULT),
            "meaning": field.description,
        }


def _plain(value: Any) -> Any:
    from pydantic import SecretStr

    from mien.db.database import is_database_url, without_password

    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return without_password(text) if is_database_url(text) else HIDDEN
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _show(terminal: Terminal, found: list[dict[str, Any]]) -> str:
    for part in ("service", "engine", "storage"):
        own = [row for row in found if row["part"] == part]
        if own:
            lines = [(" ".join(row["variables"]), row["value"], row["from"], row["meaning"]) for row in own]
            terminal.table(("variable", "value", "from", "meaning"), lines, f"Settings of the {part}")
    return "" if found else "No setting says that."
