"""Typed parameters of a workflow: what may be given, and which inputs of the graph it goes to."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mien.errors import InputMissing, WorkflowInvalid

ParameterType = Literal["str", "int", "float", "bool", "choice", "image", "seed", "resolution"]

MAX_SEED: Final = 2**53 - 1
"""Largest seed that is drawn: the largest number that every JSON reader keeps exactly."""
_LONGEST: Final = 10_000
_SIZE: Final = re.compile(r"\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*")


class Parameter(BaseModel):
    """One parameter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"\A[a-z][a-z0-9_]{0,63}\z")
    type: ParameterType
    title: str = ""
    description: str = ""
    required: bool = False
    default: Any = None
    min: float | None = None
    max: float | None = None
    """For numbers; for a resolution, of each side in pixels; for a text, its length."""
    step: int | None = Field(None, ge=1)
    """Whole numbers and sides must be multiples of it."""
    choices: tuple[str, ...] = ()
    """Values of a choice; empty: those that the instance offers."""
    places: tuple[str, ...] = ()
    """Inputs of the graph, each ``node.input``."""
    width_places: tuple[str, ...] = ()
    height_places: tuple[str, ...] = ()
    """Inputs for the two sides of a resolution."""
    option: str | None = None
    """For workflows of the face engine: ``sources``, ``target``, or the key of an option."""

    @model_validator(mode="after")
    def _check_default(self) -> Parameter:
        if self.type == "choice" and self.choices and self.default not in (None, *self.choices):
            raise ValueError(f"the default {self.default!r} of {self.name} is not one of its choices")
        if self.default is not None:
            try:
                self.check(self.default)
            except WorkflowInvalid as error:
                raise ValueError(f"the default is not allowed: {error}") from None
        return self

    def check(self, value: Any) -> Any:
        """The value as it is used: numbers, texts, a Path, or (width, height).

        Raises WorkflowInvalid, and InputMissing for a file that is not there.
        """
        return _CHECKS[self.type](self, value)

    def draw(self) -> int:
        """A seed inside the range of the parameter."""
        low = int(self.min or 0)
        high = int(min(self.max if self.max is not None else MAX_SEED, MAX_SEED))
        return low + secrets.randbelow(high - low + 1)

    def refuse(self, why: str) -> WorkflowInvalid:
        """The error for a value that is not allowed."""
        return WorkflowInvalid(f"The parameter {self.name} {why}.")

    def inside(self, number: float, what: str = "") -> None:
        """Check a number against range and step."""
        named = f"has a {what} of" if what else "is"
        if self.min is not None and number < self.min:
            raise self.refuse(f"{named} {number:g}, and at least {self.min:g} is allowed")
        if self.max is not None and number > self.max:
            raise self.refuse(f"{named} {number:g}, and at most {self.max:g} is allowed")
        if self.step is not None and number % self.step:
            raise self.refuse(f"{named} {number:g}, which is no multiple of {self.step}")


def _text(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str):
        raise parameter.refuse("is not a text")
    longest = int(parameter.max) if parameter.max is not None else _LONGEST
    if len(value) > longest:
        raise parameter.refuse(f"has {len(value)} characters, and {longest} are allowed")
    return value


def _whole(parameter: Parameter, value: Any) -> int:
    if isinstance(value, bool) or not (
        isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    ):
        raise parameter.refuse(f"is {value!r}, and a whole number is needed")
    parameter.inside(value)
    return int(value)


def _number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise parameter.refuse(f"is {value!r}, and a number is needed")
    parameter.inside(value)
    return float(value)


def _seed(parameter: Parameter, value: Any) -> int:
    seed = _whole(parameter, value)
    if not 0 <= seed < 2**64:
        raise parameter.refuse(f"is {seed}, and a seed lies between 0 and 2^64 - 1")
    return seed


def _switch(parameter: Parameter, value: Any) -> bool:
    if not isinstance(value, bool):
        raise parameter.refuse(f"is {value!r}, and true or false is needed")
    return value


def _choice(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str) or (parameter.choices and value not in parameter.choices):
        allowed = ", ".join(parameter.choices) or "a name"
        raise parameter.refuse(f"is {value!r}, and it can be {allowed}")
    return value


def _image(parameter: Parameter, value: Any) -> Path:
    if not isinstance(value, str | Path):
        raise parameter.refuse("is not a file")
    path = Path(value)
    if not path.is_file():
        raise InputMissing(f"The file {path} of the parameter {parameter.name} does not exist.")
    return path


def _resolution(parameter: Parameter, value: Any) -> tuple[int, int]:
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        value = [int(found[1]), int(found[2])]
    whole = isinstance(value, list | tuple) and len(value) == 2
    if not whole or not all(isinstance(side, int) and side > 0 for side in value):
        raise parameter.refuse(f"is {value!r}, and a size such as 768x512 is needed")
    for side, name in zip(value, ("width", "height"), strict=True):
        parameter.inside(side, name)
    return value[0], value[1]


_CHECKS: Final[Mapping[ParameterType, Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bool": _switch,
    "choice": _choice,
    "image": _image,
    "seed": _seed,
    "resolution": _resolution,
}
