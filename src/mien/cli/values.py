"""Turns the words of a flag or an ini key into the value of an option, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mien.errors import OptionError
from mien.options import Declared, Kind, allowed

TRUE = frozenset({"1", "yes", "true", "on"})
FALSE = frozenset({"0", "no", "false", "off"})


def parse(item: Declared, words: Sequence[str], where: str | None = None) -> Any:
    """The value of ``item`` that ``words`` spell: a tuple for a list option, the last word's value otherwise.

    ``where`` names the place for the error (the flag by default). Raises OptionError with what is allowed.
    """
    where = where or item.flag
    values = tuple(_value(item, word, where) for word in words)
    return values if item.many else values[-1]


def spell(value: Any) -> str:
    """A value as it is written behind a flag or in an ini file; empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return " ".join(spell(part) for part in value)
    return str(value)


def _value(item: Declared, word: str, where: str) -> Any:
    if item.choices:
        by_word = {spell(choice): choice for choice in item.choices}
        if word not in by_word:
            raise _refusal(item, word, where)
        return by_word[word]
    try:
        value = _of_kind(item.kind, word)
    except ValueError:
        raise _refusal(item, word, where) from None
    if _outside(item, value):
        raise _refusal(item, word, where)
    return value


def _of_kind(kind: Kind, word: str) -> Any:
    if kind == "bool":
        if word.lower() not in TRUE | FALSE:
            raise ValueError(word)
        return word.lower() in TRUE
    return {"int": int, "float": float, "str": str}[kind](word)


def _outside(item: Declared, value: Any) -> bool:
    if item.kind not in ("int", "float"):
        return False
    # A comparison with NaN is false, so that NaN counts as outside whenever there is a bound.
    too_low = item.ge is not None and not value >= item.ge
    too_high = item.le is not None and not value <= item.le
    return too_low or too_high


def _refusal(item: Declared, word: str, where: str) -> OptionError:
    hint = range_of(item) or allowed(item)
    return OptionError(f"{where} cannot be {word!r}{': ' + hint if hint else ''}.")


def range_of(item: Declared) -> str:
    """The bounds of a number in words; empty when both or neither is set elsewhere."""
    if item.choices or (item.ge is None) == (item.le is None):
        return ""
    return f"give at least {item.ge:g}" if item.ge is not None else f"give at most {item.le:g}"
