"""Where the face that is followed is when each piece of a video begins to read, before any piece is worked on.

A piece begins by choosing the face that is nearest to where the piece before it lost sight of it. Where a piece shows
one face only there is nothing to choose, and its first frames tell; only where there are several is the piece before
it looked through. The places are those that a run over all pieces in their order hands on.
"""

from __future__ import annotations

from mien.pipeline.video import Video
from mien.types import Place


class Scout:
    """Finds the places of one video, each once. Nothing is worked on, and nothing is kept on the disk."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._needed: dict[int, bool] = {}
        self._places: dict[int, Place | None] = {0: None}

    def place(self, index: int) -> Place | None:
        """Where the followed face is when a piece begins to read; None where the piece need not know.

        Raises Canceled, and what reading raises.
        """
        first = index
        while first not in self._places and self._needs(first):
            first -= 1
        self._places.setdefault(first, None)
        for number in range(first, index):
            pieces = self._video.pieces
            run = self._video.looks(pieces[number], self._places[number])
            self._places[number + 1] = run.handover()
        return self._places[index]

    def _needs(self, index: int) -> bool:
        if not self._video.scene.finder.follows:
            return False
        if index not in self._needed:
            self._needed[index] = self._video.looks(self._video.pieces[index], None).needs_place()
        return self._needed[index]
