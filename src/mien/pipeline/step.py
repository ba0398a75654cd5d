"""The nouns of a run: what is asked for (Step) and what came out (Result)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from mien.errors import OptionError
from mien.pipeline.people import Person
from mien.types import MediaKind

PathInput: TypeAlias = "str | PathLike[str]"


@dataclass(frozen=True)
class Step:
    """One piece of work: sources and a target in, an output out, through an ordered list of processors.

    ``options`` are flat keys as in ini and job files: ``{"face_swapper_weight": 0.8, "output_video_quality": 70}``;
    a key that is not named has its default. Paths may be given as text.

    ``people`` is a face map: who of the target gets whose face. Then each processor that takes pictures of a face
    works on each of them with their own sources, and other faces are left alone, whatever the selector options say.
    """

    target: Path
    output: Path
    sources: tuple[Path, ...] = ()
    processors: tuple[str, ...] = ("face_swapper",)
    options: Mapping[str, Any] = field(default_factory=dict)
    people: tuple[Person, ...] = ()

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "target", Path(self.target))
        set_field(self, "output", Path(self.output))
        set_field(self, "sources", paths(self.sources))
        set_field(self, "processors", _names(self.processors))
        set_field(self, "options", MappingProxyType(dict(self.options)))
        set_field(self, "people", tuple(self.people))

    @property
    def all_sources(self) -> tuple[Path, ...]:
        """The sources of the step and of its people, each once."""
        own = (path for person in self.people for path in person.sources)
        return tuple(dict.fromkeys((*self.sources, *own)))


@dataclass(frozen=True, slots=True)
class Result:
    """What a run produced."""

    output: Path
    kind: MediaKind
    frames: int
    seconds: float
    """Wall-clock time of the run."""
    faces: int
    """Faces that were worked on, summed over all frames."""
    models: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    """One line each: which model was chosen, what was substituted, what looks damaged."""
    resumed_segments: int = 0
    """Parts of the video that an earlier, interrupted run had finished already."""
    content: Literal["passed", "flagged", "unchecked"] = "unchecked"
    """What the content policy found in sources, target and result; unchecked: nothing that could look is installed."""
    signed: bool = False
    """Whether the output carries Content Credentials, or has them beside it."""
    watermark: str | None = None
    """Id of the invisible watermark (ten hexadecimal digits), if one was put in."""


def paths(value: PathInput | Iterable[PathInput]) -> tuple[Path, ...]:
    """One path or several, as a tuple of Path."""
    if isinstance(value, str | PathLike):
        return (Path(value),)
    return tuple(Path(item) for item in value)


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    if not names:
        raise OptionError("A step needs at least one processor, such as face_swapper.")
    return names
