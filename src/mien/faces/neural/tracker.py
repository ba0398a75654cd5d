"""FaceFusion's tracker: bridges short gaps in detection within a window of frames round the current one.

It keeps nothing between output frames: each window is looked at for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.faces.neural.analyser import Analysis
from mien.faces.neural.landmarkers import angle_of_68
from mien.types import Box, Face, Landmarks

_Track: TypeAlias = dict[int, Face]
"""Faces of one track by the index of their frame in the window, in the order of frames."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A face of the middle frame; ``index`` (of a frame) and ``original`` say where its identity is from."""

    face: Face
    index: int
    original: Face


def follow(window: Sequence[Sequence[Face]], score: float, *, compat: bool = False) -> tuple[Followed, ...]:
    """The faces of the middle frame of a window, gaps filled; frames beyond the clip are empty.

    A face continues the track whose last face overlaps it most, by more than ``score``. With ``compat`` two
    overlapping faces of one frame can fall into one track, and the first is lost.
    """
    tracks = _tracks(window, score, compat)
    middle = len(window) // 2
    followed = (_at(track, middle) for track in tracks)
    return tuple(item for item in followed if item is not None)


def follow_analyses(
    window: Sequence[Analysis | None], score: float, *, compat: bool = False
) -> tuple[Face, ...]:
    """As ``follow``, over analyses (None beyond the clip); the middle one adopts the faces filled in."""
    middle = window[len(window) // 2]
    faces = [() if analysis is None else analysis.faces for analysis in window]
    followed = follow(faces, score, compat=compat)
    for item in followed:
        owner = window[item.index]
        if middle is not None and owner is not None and owner is not middle:
            middle.adopt(item.face, owner, item.original)
    return tuple(item.face for item in followed)


def _tracks(window: Sequence[Sequence[Face]], score: float, compat: bool) -> list[_Track]:
    tracks: list[_Track] = []
    for index, faces in enumerate(window):
        for face in faces:
            open_ = [track for track in tracks if compat or index not in track]
            best = max(open_, key=lambda track: _overlap(track, face), default=None)
            if best is not None and _overlap(best, face) > score:
                best[index] = face
            else:
                tracks.append({index: face})
    return tracks


def _overlap(track: _Track, face: Face) -> float:
    return track[max(track)].box.iou(face.box)


def _at(track: _Track, middle: int) -> Followed | None:
    if middle in track:
        return Followed(track[middle], middle, track[middle])
    before = max((index for index in track if index < middle), default=None)
    after = min((index for index in track if index > middle), default=None)
    if before is None or after is None:
        return None
    share = (middle - before) / (after - before)
    nearest = before if share < 0.5 else after
    return Followed(blend(track[before], track[after], share), nearest, track[nearest])


def blend(first: Face, second: Face, share: float) -> Face:
    """The face between two: geometry by ``share`` (0: the first), scores from the nearer; not observed."""
    nearer = first if share < 0.5 else second

    def mix(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((1 - share) * one + share * other, np.float32)

    a, b = first.landmarks, second.landmarks
    estimated = mix(a.sixty_eight_of_five, b.sixty_eight_of_five)
    box = (1 - share) * np.array(first.box.as_tuple()) + share * np.array(second.box.as_tuple())
    return Face(
        box=Box(*map(float, box)),
        score=nearer.score,
        landmarks=Landmarks(
            five=mix(a.five, b.five),
            five_of_68=mix(a.five_of_68, b.five_of_68),
            sixty_eight=mix(a.sixty_eight, b.sixty_eight),
            sixty_eight_of_five=estimated,
        ),
        landmark_score=nearer.landmark_score,
        angle=angle_of_68(estimated),
        track=nearer.track,
        observed=False,
    )
