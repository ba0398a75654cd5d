"""Node classes that the fake knows: how they look in `/object_info`, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mien.testing.comfyui.files import Folders, Image


class Run(Protocol):
    """What a node can ask of the server while it runs."""

    folders: Folders

    def progress(self, value: int, total: int) -> None:
        """Report a step; this is where a node notices that it was interrupted."""

    def preview(self, image: Image) -> None:
        """Send a preview picture."""

    def text(self, words: str) -> None:
        """Send a progress text."""

    def wait(self, seconds: float) -> None:
        """Take time without looking at the interrupt flag."""

    def inner(self, name: str) -> None:
        """Report a node of a subgraph into which this one expands."""

    def metadata(self) -> Mapping[str, Any]:
        """What saving nodes write into files: the graph, and `extra_pnginfo`."""


class Blocked(Exception):
    """A node blocks its output with a message."""


@dataclass
class Result:
    """What a node gives on, and what it shows."""

    values: tuple[Any, ...] = ()
    shown: dict[str, list[Any]] | None = None


Input = list[Any]
"""``[type or list of options, settings]``, as in `/object_info`."""
Check = Callable[[Folders, Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Node:
    """One node class."""

    name: str
    run: Callable[..., Result]
    """Called with a Run and the inputs by name."""
    required: Mapping[str, Input] = field(default_factory=dict)
    optional: Mapping[str, Input] = field(default_factory=dict)
    output: tuple[str, ...] = ()
    output_node: bool = False
    check: Check | None = None
    """The class's own check of its literal inputs: None, or ``input - what is wrong``."""
    fingerprint: Callable[[Folders, Mapping[str, Any]], str] | None = None
    """What besides its inputs decides whether a cached result may be used."""
    unchecked: frozenset[str] = frozenset()
    """Inputs whose lists of options are not checked, because ``check`` does."""

    def describe(self) -> dict[str, Any]:
        """The entry in `/object_info`."""
        inputs: dict[str, Any] = {"required": {name: list(value) for name, value in self.required.items()}}
        if self.optional:
            inputs["optional"] = {name: list(value) for name, value in self.optional.items()}
        if self.output_node:
            inputs["hidden"] = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
        return {
            "input": inputs,
            "input_order": {group: list(names) for group, names in inputs.items()},
            "is_input_list": False,
            "output": list(self.output),
            "output_is_list": [False] * len(self.output),
            "output_name": [name.lower() for name in self.output],
            "name": self.name,
            "display_name": self.name,
            "description": "",
            "python_module": "nodes",
            "category": "fake",
            "output_node": self.output_node,
            "has_intermediate_output": False,
            "search_aliases": [],
        }
