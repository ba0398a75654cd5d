"""How a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mien.settings import Precision


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a model is loaded; the same file with other options is another session."""

    providers: tuple[str, ...] = ("cpu",)
    device_ids: tuple[int, ...] = (0,)
    precision: Precision = "exact"
    workers: int = 0
    """Calls that will run at the same time; 0: one for each core. Only OpenVINO needs to know."""
    threads: int = 1
    """Threads inside one call; more than one is for the latency of a single picture."""
    low_memory: bool = False
    """Give memory back after every call instead of keeping it for the next (up to 10 % more CPU time)."""
    cache_graph: bool = True
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Options for a provider, by its name, that are laid over those of the table."""
