"""Faces in the gaps: where a track lost its face for some frames, the frames between are filled in.

This is what keeps a face covered that no detector saw: between two sightings it is interpolated, and before
the first and after the last one it is held in place for a while. Nothing is filled in across a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mien.faces.analyser import Observed
from mien.faces.views import quarter_turn
from mien.types import Box, Face, Landmarks, Points, Pose

HIDDEN = 0.5
"""A held face that overlaps a seen one by more is that face under another number, and is left out."""


def fill(window: Sequence[Observed | None], middle: int, *, hold: int = 0) -> tuple[Face, ...]:
    """The faces of the frame at ``middle`` of a window of consecutive frames (None beyond the clip).

    Seen faces come first, unchanged. Faces of tracks that are seen before and after it are interpolated;
    faces of tracks that were last seen at most ``hold`` frames before, or are first seen at most ``hold``
    frames after, are held where they are then. What is filled in has ``observed=False``.
    """
    here = window[middle]
    seen = here.faces if here else ()
    first, last = _scene(window, middle)
    before = _nearest(window, range(middle - 1, first - 1, -1))
    after = _nearest(window, range(middle + 1, last + 1))
    known = {face.track for face in seen}
    filled = []
    for track in sorted({*before, *after} - known):
        face = _at(before.get(track), after.get(track), middle, hold)
        if face is not None and all(face.box.iou(other.box) <= HIDDEN for other in seen):
            filled.append(face)
    return (*seen, *filled)


def between(first: Face, second: Face, share: float) -> Face:
    """The face between two, ``share`` of the way to the second; scores are those of the nearer one."""
    nearer = first if share < 0.5 else second
    landmarks = _mixed_landmarks(first.landmarks, second.landmarks, share)
    a, b = (np.asarray(face.box.as_tuple()) for face in (first, second))
    x1, y1, x2, y2 = (a + share * (b - a)).tolist()
    pose = _mixed_pose(first.pose, second.pose, share)
    angle = quarter_turn(pose.roll) if pose else nearer.angle
    return replace(
        nearer, box=Box(x1, y1, x2, y2), landmarks=landmarks, pose=pose, angle=angle, observed=False
    )


def _scene(window: Sequence[Observed | None], middle: int) -> tuple[int, int]:
    """First and last index of the frames around ``middle`` that belong to its scene."""
    cuts = [index for index, frame in enumerate(window) if frame is not None and frame.cut]
    first = max((index for index in cuts if index <= middle), default=0)
    last = min((index for index in cuts if index > middle), default=len(window)) - 1
    return first, last


def _nearest(window: Sequence[Observed | None], indices: range) -> dict[int, tuple[int, Face]]:
    """For each track the nearest frame, in the order of ``indices``, that shows it, and its face there."""
    found: dict[int, tuple[int, Face]] = {}
    for index in indices:
        frame = window[index]
        for face in frame.faces if frame else ():
            if face.track is not None and face.observed:
                found.setdefault(face.track, (index, face))
    return found


def _at(
    before: tuple[int, Face] | None, after: tuple[int, Face] | None, middle: int, hold: int
) -> Face | None:
    if before and after:
        return between(before[1], after[1], (middle - before[0]) / (after[0] - before[0]))
    only = before or after
    if only and abs(only[0] - middle) <= hold:
        return replace(only[1], observed=False)
    return None


def _mixed_landmarks(a: Landmarks, b: Landmarks, share: float) -> Landmarks:
    return Landmarks(
        five=_mixed(a.five, b.five, share),
        five_of_68=_mixed(a.five_of_68, b.five_of_68, share),
        sixty_eight=_mixed(a.sixty_eight, b.sixty_eight, share),
        sixty_eight_of_five=_mixed(a.sixty_eight_of_five, b.sixty_eight_of_five, share),
        mesh=_mixed(a.mesh, b.mesh, share) if a.mesh is not None and b.mesh is not None else None,
    )


def _mixed_pose(a: Pose | None, b: Pose | None, share: float) -> Pose | None:
    """Pose between two; the roll takes the shorter way round."""
    if a is None or b is None:
        return None
    way = (b.roll - a.roll + 180.0) % 360.0 - 180.0
    roll = (a.roll + share * way + 180.0) % 360.0 - 180.0
    return Pose(a.yaw + share * (b.yaw - a.yaw), a.pitch + share * (b.pitch - a.pitch), roll)


def _mixed(a: Points, b: Points, share: float) -> Points:
    return np.asarray(a + share * (b - a), np.float32)
