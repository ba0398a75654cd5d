"""Names of files that strangers give: for people to read, safe in headers, in archives and on any disk."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

LONGEST: Final = 120
"""Characters of a name."""
_LONGEST_BYTES: Final = 200

_FORBIDDEN = re.compile(r'[<>:"|?*;%]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def safe_name(name: str, ending: str = "") -> str:
    """The last part of ``name`` without what has a meaning to a system, with ``ending`` (without its dot).

    ``../../etc/passwd`` becomes ``passwd.jpg``; where nothing is left the name is ``file.jpg``.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    # Categories C: control and format characters, such as those that turn the direction of writing.
    shown = "".join(char for char in last if unicodedata.category(char)[0] != "C")
    stem = _FORBIDDEN.sub("_", " ".join(shown.split())).strip(" .")
    if ending and stem.lower().endswith(f".{ending}"):
        stem = stem[: -len(ending) - 1].rstrip(" .")
    if not stem or _DEVICES.match(stem):
        stem = f"file {stem}".strip()
    stem = _cut(stem)
    return f"{stem}.{ending}" if ending else stem


def distinct(names: Iterator[str]) -> Iterator[str]:
    """The same names; those that came before (whatever their case) get a number: ``a.png``, ``a (2).png``."""
    seen: set[str] = set()
    for name in names:
        stem, dot, ending = name.rpartition(".") if "." in name else (name, "", "")
        candidate, number = name, 1
        while candidate.lower() in seen:
            number += 1
            candidate = f"{stem} ({number}){dot}{ending}"
        seen.add(candidate.lower())
        yield candidate


def _cut(stem: str) -> str:
    return stem[:LONGEST].encode()[:_LONGEST_BYTES].decode(errors="ignore").rstrip(" .")
