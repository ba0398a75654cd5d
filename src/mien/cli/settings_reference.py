"""Writes the page of all settings: ``python -m mien.cli.settings_reference docs/settings.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.service_flags import described_default

if TYPE_CHECKING:
    from pydantic import BaseModel

HEAD = """# Settings

This page is written by `python -m mien.cli.settings_reference docs/settings.md`; do not edit it by hand.

`mien settings` shows what counts on this machine and where each value comes from. Variables of the service are flags
of `mien serve`, `mien api` and `mien worker` too: `MIEN_MAX_QUEUE` is `--max-queue`. Where a setting has several names,
the first that is set counts. Lists are separated by commas or spaces. Settings of storages are on
[their own page](storage.md).
"""


def render() -> str:
    """The page."""
    from mien import settings as engine
    from mien.service import settings as service

    lines = [
        HEAD,
        *_table("The service", service.ServiceSettings, service.ALIASES),
        *_table("The engine", engine.Settings, engine.ALIASES),
    ]
    return "\n".join(lines)


def _table(title: str, settings: type[BaseModel], aliases: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| variable | default | meaning |"
    yield "|---|---|---|"
    for name, field in settings.model_fields.items():
        names = " ".join(f"`{word}`" for word in (f"MIEN_{name.upper()}", *aliases.get(name, ())))
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| {names} | {described_default(name, field)} | {meaning} |"
    yield ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
