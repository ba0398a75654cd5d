"""What a timeline shows of a video: a small picture and the faces of one moment in every second or so."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mien.errors import OptionError
from mien.faces.align import scale_face
from mien.media.reader import VideoReader
from mien.pipeline.resize import resized
from mien.types import Box, Face, Frame

if TYPE_CHECKING:
    from mien.faces.analyser import Analyser
    from mien.media.index import FrameIndex
    from mien.pipeline.frames import Frames
    from mien.pipeline.progress import Cancel

LOOKED_AT = 640
"""Longest side of the frame, in pixels, in which faces are searched."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One moment of a target."""

    frame: int
    """Number of the frame, counted from 0."""
    time: float
    """Seconds since the first frame."""
    faces: tuple[Face, ...]
    """In pixels of the target."""
    thumbnail: Frame | None
    """H×W×3 uint8 BGR."""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where the faces are, in pixels of the target."""
        return tuple(face.box for face in self.faces)


def scan(
    frames: Frames, analyser: Analyser, every: float, thumbnails: tuple[int, int] | None, cancel: Cancel
) -> Iterator[Moment]:
    """The moments of a target, in their order; see ``Engine.scan``."""
    if frames.info.kind == "image":
        yield _moment(frames.read(0).image, 0, 0.0, analyser, thumbnails)
        return
    index = frames.index
    wanted = moments(index, every)
    for _, group in groupby(wanted, lambda number: bisect_right(index.keys, index.times[number])):
        numbers = list(group)
        times = [index.times[number] for number in numbers]
        with VideoReader(
            frames.path, start_pts=times[0], end_pts=times[-1] + 1, only=times, info=frames.info
        ) as reader:
            for decoded in reader:
                cancel.raise_if_set()
                number = min(bisect_left(index.times, decoded.pts), len(index.times) - 1)
                seconds = float((decoded.pts - index.times[0]) * index.time_base)
                yield _moment(decoded.image, number, seconds, analyser, thumbnails)


def moments(index: FrameIndex, every: float) -> list[int]:
    """Numbers of the frames to look at: one for every so many seconds, a key frame where one is near enough.

    A key frame needs no other frame to be decoded.
    """
    step = every / float(index.time_base)
    numbers: list[int] = []
    count = int((index.times[-1] - index.times[0]) / step) + 1
    for place in range(count):
        pts = index.times[0] + place * step
        key = nearest_key(index.keys, pts, step / 2)
        number = bisect_left(index.times, pts if key is None else key)
        if number < len(index.times) and (not numbers or number > numbers[-1]):
            numbers.append(number)
    return numbers


def nearest_key(keys: Sequence[int], pts: float, reach: float) -> int | None:
    """The key frame that is nearest to a time and less than ``reach`` away, if there is one."""
    place = bisect_left(keys, pts)
    near = [key for key in keys[max(place - 1, 0) : place + 1] if abs(key - pts) < reach]
    return min(near, key=lambda key: abs(key - pts), default=None)


def check_scan(every: float, thumbnails: tuple[int, int] | None) -> None:
    """Raise OptionError for numbers by which nothing can be scanned."""
    if not every > 0:
        raise OptionError(f"A video cannot be looked at every {every:g} seconds; give more than 0.")
    if thumbnails is not None and min(thumbnails) < 1:
        raise OptionError(
            f"A thumbnail cannot be {thumbnails[0]}×{thumbnails[1]} pixels large; give at least 1×1."
        )


def _moment(
    image: Frame, number: int, seconds: float, analyser: Analyser, thumbnails: tuple[int, int] | None
) -> Moment:
    height, width = image.shape[:2]
    small = _within(image, (LOOKED_AT, LOOKED_AT))
    # Looked at as the first frame of a clip: a still picture is searched more closely, and that takes longer.
    faces = analyser.tracker(1.0).update(small, 0).faces
    x, y = width / small.shape[1], height / small.shape[0]
    return Moment(
        number,
        seconds,
        tuple(scale_face(face, x, y) for face in faces),
        None if thumbnails is None else _within(image, thumbnails),
    )


def _within(image: Frame, size: tuple[int, int]) -> Frame:
    """The picture, made so small that it fits into a size (width, height)."""
    height, width = image.shape[:2]
    share = min(size[0] / width, size[1] / height, 1.0)
    return resized(image, max(round(width * share), 1), max(round(height * share), 1))
