"""What processes tell each other of instances that get no work for a while, so that not each has to find out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

ALL: Final = ""
"""In the place of what an instance lacks: it gets no work at all."""
SAME: Final = 1.0
"""Seconds by which two ends of one fault may differ."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An instance gets no work, or none that needs something that it lacks."""

    url: str
    """Without user name and password."""
    what: str
    """A node class or a file of a model; ALL for an instance that is broken."""
    reason: str
    left: float
    """Seconds for which it holds."""


@dataclass(frozen=True, slots=True)
class News:
    """What the others do not know yet."""

    faults: Sequence[Fault] = ()
    over: Sequence[tuple[str, str]] = ()
    """Address and what of faults that were found to be over before their time."""

    def __bool__(self) -> bool:
        return bool(self.faults or self.over)


@dataclass(slots=True)
class Shared:
    """What all processes know of one instance: the moments until which faults hold, by what they are about."""

    until: Mapping[str, float] = field(default_factory=dict)

    def unknown(self, own: Sequence[Fault], now: float) -> list[Fault]:
        """Those that are known here only, or hold for longer than the others know."""
        return [fault for fault in own if now + fault.left > self.until.get(fault.what, now) + SAME]
