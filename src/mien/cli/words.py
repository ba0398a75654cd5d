"""Reads the words of a command line as argparse does, and writes them in a form that leaves no doubt.

The field's users write ``--processors face_swapper face_enhancer``, abbreviate ``--face-swapper-m``, and
put numbers such as ``-0.5`` behind a flag. ``normalise`` rewrites all of that to ``--name=value`` for each
value, then ``--`` and the positional words, so that any parser behind it reads the same thing. The rules
are those of Python's argparse, and the tests compare the two: a list ends at the next option or at ``--``,
a word with a leading dash is a value only if it is a negative number or holds a space, and ``--name=value``
takes exactly that one value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from mien.errors import OptionError

Takes = Literal["none", "one", "many"]

NEGATIVE_NUMBER = re.compile(r"^-\d+$|^-\d*\.\d+$")


@dataclass(frozen=True, slots=True)
class Shape:
    """How one option is written: its names (long ones with two dashes) and how many values follow."""

    names: tuple[str, ...]
    takes: Takes

    @property
    def name(self) -> str:
        """The name to write: the first long one, else the first."""
        return next((name for name in self.names if name.startswith("--")), self.names[0])


@dataclass(frozen=True, slots=True)
class _Match:
    shape: Shape
    value: str | None
    """What stood behind ``=`` (or was glued to a short name); None when values follow as words."""
    rest: str | None = None
    """Further short flags in the same word, as a word of their own."""


def normalise(words: Sequence[str], shapes: Iterable[Shape]) -> list[str]:
    """Rewrite ``words``; raises OptionError for an unknown or ambiguous option and for a missing value."""
    table = {name: shape for shape in shapes for name in shape.names}
    options: list[str] = []
    positionals: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            positionals += queue
            break
        if is_value(word, table):
            positionals.append(word)
            continue
        match = _match(word, table)
        if match.rest is not None:
            queue.insert(0, match.rest)
        options += _write(match, _values(match, queue, table))
    return [*options, "--", *positionals]


def is_value(word: str, table: Mapping[str, Shape]) -> bool:
    """True if ``word`` is a value or a positional, False if it is read as an option."""
    if not word.startswith("-") or word == "-":
        return True
    if word in table or word.split("=", 1)[0] in table:
        return False
    if NEGATIVE_NUMBER.match(word):
        return True
    return " " in word and not _candidates(word, table)


def _values(match: _Match, queue: list[str], table: Mapping[str, Shape]) -> list[str]:
    shape = match.shape
    if match.value is not None:
        if shape.takes == "none":
            raise OptionError(f"{shape.name} takes no value, but {match.value!r} was given.")
        return [match.value]
    if shape.takes == "none":
        return []
    taken: list[str] = []
    while queue and queue[0] != "--" and is_value(queue[0], table):
        taken.append(queue.pop(0))
        if shape.takes == "one":
            break
    if not taken:
        raise OptionError(f"{shape.name} needs a value.")
    return taken


def _write(match: _Match, values: Sequence[str]) -> list[str]:
    name = match.shape.name
    return [f"{name}={value}" for value in values] if match.shape.takes != "none" else [name]


def _match(word: str, table: Mapping[str, Shape]) -> _Match:
    if word in table:
        return _Match(table[word], None)
    name, equals, value = word.partition("=")
    if equals and name in table:
        return _Match(table[name], value)
    found = _candidates(word, table)
    shapes = {id(match.shape): match for match in found.values()}
    if len(shapes) > 1:
        raise OptionError(f"{name} could mean {', '.join(sorted(found))}; write more of it.")
    if not shapes:
        near = get_close_matches(name, table, 1)
        raise OptionError(f"There is no option {name}{f'; did you mean {near[0]}' if near else ''}.")
    return next(iter(shapes.values()))


def _candidates(word: str, table: Mapping[str, Shape]) -> dict[str, _Match]:
    """All options that ``word`` may mean, by name: long ones it abbreviates, short ones it begins with."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return {
            known: _Match(shape, value if equals else None)
            for known, shape in table.items()
            if known.startswith(name) and len(name) > 2
        }
    short = table.get(word[:2])
    if short is None:
        return {}
    if short.takes == "none":
        return {word[:2]: _Match(short, None, rest="-" + word[2:])}
    return {word[:2]: _Match(short, word[2:])}
