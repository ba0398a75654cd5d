"""Finds processors, ours and those of other people, through the entry-point group ``mien.processors``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias

from mien.errors import MienError, OptionError
from mien.options import Options
from mien.processors.base import Processor

GROUP = "mien.processors"

AnyProcessor: TypeAlias = Processor[Any, Any]


class Registry(Mapping[str, AnyProcessor]):
    """Processors by name. A processor's module is imported when it is asked for, not before."""

    def __init__(self, points: Mapping[str, EntryPoint] | None = None) -> None:
        found = points if points is not None else {point.name: point for point in entry_points(group=GROUP)}
        self._points = dict(sorted(found.items()))
        self._loaded: dict[str, AnyProcessor] = {}

    def __getitem__(self, name: str) -> AnyProcessor:
        if name not in self._loaded:
            self._loaded[name] = _load(self._points[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)


def named(processors: Mapping[str, AnyProcessor], name: str) -> AnyProcessor:
    """The processor of that name; raises OptionError with the nearest known name."""
    try:
        return processors[name]
    except KeyError:
        near = get_close_matches(name, list(processors), 1)
        hint = f"did you mean {near[0]}" if near else "known are " + (", ".join(processors) or "none")
        raise OptionError(f"There is no processor {name}; {hint}.") from None


def option_groups(processors: Mapping[str, AnyProcessor]) -> tuple[type[Options], ...]:
    """The option groups of all processors that can be loaded."""
    groups: list[type[Options]] = []
    for name in processors:
        try:
            groups.append(processors[name].Options)
        except PluginError:
            continue
    return tuple(groups)


class PluginError(MienError):
    """A processor of another package cannot be imported, or is not a processor."""

    code = "plugin_failed"


def _load(point: EntryPoint) -> AnyProcessor:
    try:
        found = point.load()
        processor = found() if isinstance(found, type) else found
    except (
        Exception
    ) as error:  # other people's code: whatever it raises must not end the run without its name
        raise PluginError(f"The processor {point.name} ({point.value}) cannot be loaded: {error}.") from error
    if not isinstance(processor, Processor):
        raise PluginError(f"The processor {point.name} ({point.value}) is not a Processor.")
    return processor
