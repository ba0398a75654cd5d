"""An option is declared once, as a field of an ``Options`` class; flag, ini key, JSON schema and form derive from it.

    class FaceSwapperOptions(Options):
        group = "face_swapper"
        weight: float = option(0.5, ge=0.0, le=1.0, step=0.05, help="How much of the source's identity …")

gives the flag ``--face-swapper-weight``, the key ``face_swapper_weight`` (ini files, job files, HTTP bodies) in the
ini section ``processors``, and the description that ``declared(FaceSwapperOptions)`` returns.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from mien.errors import OptionError

Kind = Literal["str", "int", "float", "bool"]
O = TypeVar("O", bound="Options")  # noqa: E741


class Options(BaseModel):
    """Base of all option groups: frozen, unknown names refused, every field made by ``option()``."""

    # A command line knows forty groups and checks few of them: each validator is built when it is first used.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False, defer_build=True)

    group: ClassVar[str] = ""
    """Prefix of the keys of the group: ``face_swapper`` gives ``face_swapper_model``."""
    section: ClassVar[str] = "processors"
    """Section of the ini file."""
    title: ClassVar[str] = ""
    """Heading of the group in help and forms; the group's name in words when empty."""


def option(
    default: Any,
    *,
    help: str,
    ge: float | None = None,
    le: float | None = None,
    step: float | None = None,
    key: str | None = None,
    unit: str | None = None,
    advanced: bool = False,
) -> Any:
    """Declare one option with its default, range, step of the grid, and help text.

    ``key`` replaces the derived key where the field's users know it by another name. ``advanced`` options are folded
    away in forms and listed last in help.
    """
    extra: dict[str, Any] = {"step": step, "key": key, "unit": unit, "advanced": advanced}
    return Field(default, ge=ge, le=le, description=help, json_schema_extra=extra)


@dataclass(frozen=True, slots=True)
class Declared:
    """One option as all surfaces see it."""

    group: str
    section: str
    name: str
    """Field name inside its Options class."""
    key: str
    flag: str
    kind: Kind
    many: bool
    """True for a list of values."""
    optional: bool
    """True where None (unset) is a value."""
    choices: tuple[Any, ...]
    default: Any
    ge: float | None
    le: float | None
    step: float | None
    unit: str | None
    advanced: bool
    help: str


@cache
def declared(options: type[Options]) -> tuple[Declared, ...]:
    """Describe every option of a group, in the order of declaration."""
    return tuple(_describe(options, name, info) for name, info in options.model_fields.items())


def _describe(options: type[Options], name: str, info: FieldInfo) -> Declared:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    prefix = f"{options.group}_" if options.group else ""
    key = typing.cast(str, extra.get("key")) or f"{prefix}{name}"
    optional, many, kind, choices = _shape(info.annotation)
    bounds = {type(rule).__name__: rule for rule in info.metadata}
    return Declared(
        group=options.group,
        section=options.section,
        name=name,
        key=key,
        flag="--" + key.replace("_", "-"),
        kind=kind,
        many=many,
        optional=optional,
        choices=choices,
        default=info.get_default(call_default_factory=True),
        ge=getattr(bounds.get("Ge"), "ge", None),
        le=getattr(bounds.get("Le"), "le", None),
        step=typing.cast("float | None", extra.get("step")),
        unit=typing.cast("str | None", extra.get("unit")),
        advanced=bool(extra.get("advanced")),
        help=info.description or "",
    )


def _shape(annotation: Any) -> tuple[bool, bool, Kind, tuple[Any, ...]]:
    """(optional, many, kind, choices) of an annotation such as ``tuple[Literal["a", "b"], ...] | None``."""
    optional = many = False
    if typing.get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        annotation = members[0]
    if typing.get_origin(annotation) is tuple:
        many, annotation = True, typing.get_args(annotation)[0]
    choices: tuple[Any, ...] = ()
    if typing.get_origin(annotation) is Literal:
        choices = typing.get_args(annotation)
        annotation = type(choices[0])
    kinds: dict[Any, Kind] = {str: "str", int: "int", float: "float", bool: "bool"}
    if annotation not in kinds:
        raise TypeError(f"an option cannot be of type {annotation!r}")
    return optional, many, kinds[annotation], choices


def build(options: type[O], values: Mapping[str, Any]) -> O:
    """Make an option group from a flat mapping of *keys* (``face_swapper_weight``), ignoring keys of other groups.

    Raises OptionError, naming the first key that is wrong, its value, and what is allowed.
    """
    known = {item.key: item for item in declared(options)}
    fields = {known[key].name: value for key, value in values.items() if key in known}
    try:
        return options.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        item = next(item for item in known.values() if item.name == first["loc"][0])
        own = first["msg"].removeprefix("Value error, ") if first["type"] == "value_error" else ""
        reason = own or allowed(item) or first["msg"]
        raise OptionError(f"{item.key} cannot be {values[item.key]!r}: {reason}.") from None


def allowed(item: Declared) -> str:
    """Say in words which values an option takes; empty when any will do."""
    if item.choices:
        return "choose from " + ", ".join(str(choice) for choice in item.choices)
    if item.ge is not None and item.le is not None:
        return f"give a number from {item.ge:g} to {item.le:g}"
    return {"int": "give a whole number", "float": "give a number", "bool": "give true or false", "str": ""}[
        item.kind
    ]


def check_keys(values: Mapping[str, Any], groups: Iterable[type[Options]]) -> None:
    """Refuse a key that no group declares; raises OptionError with the nearest known key."""
    from difflib import get_close_matches

    known = {item.key for group in groups for item in declared(group)}
    for key in values:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}" if near else "the page docs/options.md lists all of them"
            raise OptionError(f"There is no option {key}; {hint}.")
