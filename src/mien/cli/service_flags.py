"""The flags of the commands that run the service: one for each of its settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

import typer

from mien.errors import OptionError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from mien.service.settings import ServiceSettings

OFTEN: Final = ("host", "port", "public_url", "data_dir", "database_url", "auth", "workers", "video_workers")
"""Settings whose flags are listed without --help-all."""
LISTENING: Final = (
    "host",
    "port",
    "public_url",
    "root_path",
    "forwarded_allow_ips",
    "cors_origins",
    "studio",
)
NOT_FLAGS: Final = ("role", "webhook_secret", "remote_engine_key")
"""The command says the role; secrets would be seen in lists of processes."""


def service_flags(*, without: tuple[str, ...] = ()) -> list[inspect.Parameter]:
    """A parameter for each setting; without a value the environment counts."""
    from mien.service.settings import ServiceSettings

    skipped = {*NOT_FLAGS, *without}
    fields = ServiceSettings.model_fields.items()
    return [_parameter(name, field) for name, field in fields if name not in skipped]


def storage_place() -> list[inspect.Parameter]:
    """The flags that say which database is meant."""
    from mien.service.settings import ServiceSettings

    fields = ServiceSettings.model_fields
    return [_parameter(name, fields[name]) for name in ("data_dir", "database_url")]


def service_settings(values: Mapping[str, Any], **more: Any) -> ServiceSettings:
    """The settings of the environment, with those of the flags over them. Raises OptionError that names the flag."""
    from mien.service.settings import ServiceSettings

    given = {name: values.get(name) for name in ServiceSettings.model_fields}
    return ServiceSettings.from_environment(**{**_words(given), **more})


def _words(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was written; flags that were not are None. Raises OptionError for an empty word."""
    for name, value in given.items():
        if value == "":
            raise OptionError(f"--{name.replace('_', '-')} needs a value.")
    return {
        name: tuple(value) or None if isinstance(value, list | tuple) else value
        for name, value in given.items()
    }


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    kind = field.annotation
    many = get_origin(kind) is tuple
    names = [f"{flag}/--no-{flag[2:]}"] if kind is bool else [flag]
    info = typer.Option(
        None,
        *names,
        help=f"{field.description} [{described_default(name, field)}]",
        metavar="" if kind is bool else _metavar(kind),
        show_default=False,
        hidden=name not in OFTEN,
        rich_help_panel="Service",
    )
    annotation: Any = bool | None if kind is bool else list[str] | None if many else str | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=annotation)


def described_default(name: str, field: FieldInfo) -> str:
    """What counts when nobody says anything, in a word."""
    value = field.default
    if name == "data_dir":
        return "the user's data folder"
    if value is None or value == () or value == "" or field.default_factory is not None:
        return "unset"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _metavar(kind: Any) -> str:
    choices = [word for word in get_args(kind) if isinstance(word, str)]
    if choices:
        return "|".join(choices)
    parts = get_args(kind) or (kind,)
    if Path in parts:
        return "FOLDER"
    return "NUMBER" if {int, float} & {*parts} else "TEXT"
