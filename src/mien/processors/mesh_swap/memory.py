"""What the swap remembers of one person from frame to frame, so that nothing flickers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from mien.faces.canonical import Floats
from mien.processors.mesh_swap.colour import ColourMatch
from mien.processors.mesh_swap.shape import OPEN_EYE
from mien.processors.mesh_swap.sharpness import Sharpening
from mien.processors.mesh_swap.source import SourceFace

COLOUR_EVERY = 3
SHARPNESS_EVERY = 15
COLOUR_SHARE = 0.2
"""How far each new measurement of colour moves the one in use."""

_OPENINGS = 90
_FEWEST_OPENINGS = 15


@dataclass(slots=True)
class Memory:
    """State of one track; a still picture uses a fresh one. Not for two threads at once."""

    frames: int = 0
    """Frames of this person done since the last cut."""
    source: SourceFace | None = None
    colour: ColourMatch | None = None
    skin: Floats | None = None
    sharpening: Sharpening | None = None
    openings: tuple[deque[float], deque[float]] = field(
        default_factory=lambda: (deque(maxlen=_OPENINGS), deque(maxlen=_OPENINGS))
    )

    def use(self, source: SourceFace) -> None:
        """Go on with this source; what was measured with another one is forgotten."""
        if source is not self.source:
            self.source, self.colour, self.sharpening = source, None, None

    def see_eyes(self, openings: Iterable[float]) -> tuple[float, float]:
        """Note how far both eyes are open; return how far they are when open: of this person, so far."""
        for history, opening in zip(self.openings, openings, strict=True):
            history.append(opening)
        left, right = (_open_eye(history) for history in self.openings)
        return left, right


def _open_eye(history: deque[float]) -> float:
    filled = [*history, *[OPEN_EYE] * (_FEWEST_OPENINGS - len(history))]
    return float(np.clip(np.percentile(filled, 80), 0.16, 0.42))
