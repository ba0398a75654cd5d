"""Fast analysis: downloaded networks look at some frames of a clip, and faces are followed between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mien.faces.neural.following import Following, Seen
from mien.pipeline.finding import ByPerson, Found
from mien.types import Frame, Place

SECONDS = 0.24
"""Time from one frame that the networks look at to the next …"""
MOST = 8
"""… and the most frames that this may be: they wait in memory until the next one is looked at."""


def frames_between(rate: float) -> int:
    """Frames from one that the networks look at to the next, in a clip of ``rate`` frames a second."""
    return min(max(round(SECONDS * rate), 1), MOST)


@dataclass(frozen=True, slots=True)
class BetweenKeys:
    """Faces by downloaded networks in every ``every``-th frame, chosen by who they are, and followed between."""

    by_person: ByPerson
    every: int
    remembers: bool = True
    follows: bool = False

    @property
    def lookahead(self) -> int:
        """A frame is known when the next one that the networks look at is."""
        return self.every - 1

    def still(self, image: Frame) -> Found:
        """The faces of a picture."""
        return self.by_person.still(image)

    def clip(self, rate: float, place: Place | None) -> _Clip:
        """Start on a part of a clip."""
        by_person = self.by_person
        return _Clip(
            Following(
                by_person.analyser,
                lambda analysis: by_person.selector_for(analysis)(analysis, analysis.faces),
                self.every,
            )
        )


@dataclass(frozen=True, slots=True)
class _Clip:
    following: Following
    place: Place | None = None
    needs_place: bool = False

    def see(self, image: Frame, index: int) -> Seen:
        return self.following.see(image, index)

    def found(self, seen: Sequence[Seen], middle: int) -> Found:
        here = seen[middle]
        faces = here.settle()
        return Found(faces=lambda: faces, select=lambda given: given, analysis=here.analysis, cut=here.cut)
