"""Single frames of a picture or video, for detection, references and previews."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import NDArray

from mien.errors import CorruptMedia
from mien.media.images import read_image
from mien.media.index import FrameIndex, read_index
from mien.media.probe import probe
from mien.media.reader import Decoded, VideoReader
from mien.media.sniff import sniff
from mien.types import Frame, MediaInfo

if TYPE_CHECKING:
    import numpy as np


def read_frame(path: Path, number: int, max_pixels: int, info: MediaInfo | None = None) -> Frame:
    """The picture, or frame ``number`` of the video counted from 0; the last one if there are fewer.

    Decodes from the beginning, since only that gives an exact count for all files.
    """
    if sniff(path).kind == "image":
        return read_image(path, max_pixels=max_pixels).pixels
    last: Frame | None = None
    with VideoReader(path, info=info, max_pixels=max_pixels) as reader:
        for frame in reader:
            last = frame.image
            if frame.index >= number:
                break
    if last is None:
        raise CorruptMedia(f"{path} holds no frame that can be decoded.")
    return last


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """One frame that was looked up."""

    image: Frame
    alpha: NDArray[np.uint8] | None
    number: int
    """Its number in the target; smaller than the one that was asked for where there are fewer frames."""
    time: float
    """Seconds since the first frame."""


class Frames:
    """The frames of a picture or video by number, as a run counts them: by packets, which are read once.

    Only the frames since the last key frame are decoded. Safe to use from many threads.
    """

    def __init__(self, path: Path, max_pixels: int, info: MediaInfo | None = None) -> None:
        self.path = path
        self.info = info or probe(path, max_pixels=max_pixels)
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._index: FrameIndex | None = None

    @property
    def index(self) -> FrameIndex:
        """The times of all frames of the video."""
        with self._lock:
            if self._index is None:
                self._index = read_index(self.path)
            return self._index

    def read(self, number: int) -> Sought:
        """The picture, or frame ``number`` counted from 0; the last one if there are fewer.

        Raises what reading raises: InputMissing, CorruptMedia, UnsupportedMedia, MediaTooLarge.
        """
        if self.info.kind == "image":
            picture = read_image(self.path, max_pixels=self._max_pixels)
            return Sought(picture.pixels, picture.alpha, 0, 0.0)
        times = self.index.times
        number = min(max(number, 0), len(times) - 1)
        time = float((times[number] - times[0]) * self.index.time_base)
        found = self._at(times[number])
        if found is None:  # a damaged place: what a reader from the beginning shows there
            image = read_frame(self.path, number, self._max_pixels, self.info)
            return Sought(image, None, number, time)
        return Sought(found.image, found.alpha, number, time)

    def _at(self, pts: int) -> Decoded | None:
        with VideoReader(self.path, start_pts=pts, info=self.info, max_pixels=self._max_pixels) as reader:
            return next(iter(reader), None)
