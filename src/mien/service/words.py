"""Reads options that come as JSON or as the text of a form, by their declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from mien.errors import OptionError
from mien.options import Declared, Options, build, check_keys, declared
from mien.service.problems import Problems

Groups = Sequence[type[Options]]


def checked(
    values: Mapping[str, Any], groups: Groups, problems: Problems, field: str = "options"
) -> dict[str, Any]:
    """The values as JSON has them, each as its option has it; those that are null say nothing and are left out.

    What is wrong is noted, by the name of the option below ``field``.
    """
    owners = _owners(tuple(groups))
    found: dict[str, Any] = {}
    for key, value in values.items():
        with problems.at(f"{field}.{key}"):
            if key not in owners:
                check_keys({key: value}, groups)
            elif value is not None:
                found[key] = _checked(*owners[key], value)
    for group in dict.fromkeys(owners[key][0] for key in found):
        own = {item.key: found[item.key] for item in declared(group) if item.key in found}
        if len(own) > 1:
            with problems.at(field):
                build(group, own)
    return found


def from_text(words: Sequence[str], item: Declared) -> Any:
    """The value that the text of form fields spells; lists as several fields, or as words with commas between.

    Text that spells no value is returned as it is, for ``checked`` to refuse.
    """
    if not item.many:
        return _of_text(words[-1], item)
    parts = [part for word in words for part in word.replace(",", " ").split()]
    return [_of_text(part, item) for part in parts]


@lru_cache(maxsize=8)
def _owners(groups: tuple[type[Options], ...]) -> Mapping[str, tuple[type[Options], Declared]]:
    return {item.key: (group, item) for group in groups for item in declared(group)}


def _of_text(word: str, item: Declared) -> Any:
    if item.optional and word == "":
        return None
    if item.choices:
        return {str(choice): choice for choice in item.choices}.get(word, word)
    readers: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": _truth, "str": str}
    try:
        return readers[item.kind](word)
    except ValueError:
        return word


def _truth(word: str) -> bool:
    truths = {
        "1": True,
        "yes": True,
        "true": True,
        "on": True,
        "0": False,
        "no": False,
        "false": False,
        "off": False,
    }
    if word.lower() not in truths:
        raise ValueError(word)
    return truths[word.lower()]


def _checked(group: type[Options], item: Declared, value: Any) -> Any:
    if isinstance(value, str) and item.kind != "str" and not item.many:
        raise OptionError(
            f"{item.key} cannot be {value!r}: give a value of the type {item.kind}, without quotes."
        )
    built = getattr(build(group, {item.key: value}), item.name)
    return list(built) if isinstance(built, tuple) else built
