"""Reads defaults of options from ``mien.ini``, or from ``facefusion.ini`` as FaceFusion's users have it.

Sections and keys are those of ``options.declared``; a blank key means "not set", lists are separated by white
space, ``%`` is written ``%%``. Read is what the file says, not what it leaves out.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.cli import values
from mien.errors import OptionError
from mien.options import Declared

NAMES = ("mien.ini", "facefusion.ini")
"""Looked for in the current folder, in this order."""


@dataclass(frozen=True, slots=True)
class Ini:
    """What an ini file sets."""

    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    """Keys with a value that no option of the program reads, as ``section.key``."""


def find(named: str | None, folder: Path) -> Path | None:
    """The file to read: the named one, else the first of ``NAMES`` that the folder has."""
    if named is not None:
        return Path(named)
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def read(path: Path | None, items: Iterable[Declared]) -> Ini:
    """Read the values of ``items``. A missing file sets nothing.

    Raises OptionError for a file that is no ini file, and for a value that is not allowed.
    """
    if path is None or not path.is_file():
        return Ini(path)
    parser = configparser.ConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
        written = {
            (section, key): text for section in parser.sections() for key, text in parser.items(section)
        }
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise OptionError(f"{path} cannot be read as an ini file: {reason}.") from None
    known = {(item.section, item.key): item for item in items}
    found = {
        item.key: _parse(item, written[place], path)
        for place, item in known.items()
        if written.get(place, "").strip()
    }
    unread = tuple(".".join(place) for place, text in written.items() if text.strip() and place not in known)
    return Ini(path, found, unread)


def _parse(item: Declared, text: str, path: Path) -> Any:
    # A single value may hold spaces (a path); only lists are split.
    words = text.split() if item.many else [text.strip()]
    return values.parse(item, words, f"{item.key} in {path.name}")
