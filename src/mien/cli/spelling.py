"""Sentences of the library, in which options have their keys, as the command line says them: with flags.

The library, the service and the studio share these sentences, and each of their users writes keys. Only who types
commands writes flags, so they are put in where commands speak. A key is known by its underscores; one of a single word
is named as ``the option compat``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mien.cli.program import Program

# Not in a path, a name of a file, or where the sentence is about an ini file ("KEY in FILE").
_KEY: Final = re.compile(
    r"(?<![\w./-])(?:the option (?P<word>[a-z]+)\b|[a-z]+(?:_[a-z0-9]+)+(?![\w-]|\.\w|/| in \S))"
)


def speller(program: Program) -> Callable[[str], str]:
    """A function that writes the keys in a sentence as flags. Options are looked up when a sentence may have one."""
    return lambda text: _spelled(text, program) if _KEY.search(text) else text


def _spelled(text: str, program: Program) -> str:
    flags = _flags(program)
    return _KEY.sub(lambda found: flags.get(found["word"] or found[0], found[0]), text)


def _flags(program: Program) -> Mapping[str, str]:
    from mien.cli.program import all_groups, items_of
    from mien.cli.run_options import PROGRAM_GROUPS

    return {item.key: item.flag for item in items_of((*all_groups(program), *PROGRAM_GROUPS))}
