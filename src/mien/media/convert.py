"""Decoded video frames to upright BGR arrays: matrix and range, alpha, interlaced and HDR sources."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import av
import av.error
import cv2
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mien.media import color
from mien.media.orientation import Orientation
from mien.media.tonemap import ToneMapper
from mien.types import ColorTags, Frame

# FFmpeg's matrix numbers -> those of its scaler.
SCALER_MATRIX: Final = {
    color.BT709: 1,
    color.FCC: 4,
    color.BT470BG: 5,
    color.SMPTE170M: 5,
    color.SMPTE240M: 7,
    color.BT2020: 9,
    10: 9,
}


class FrameConverter:
    """Turns decoded frames of one stream into pictures. One per thread: it keeps the scaler's tables.

    ``size`` is (width, height) as stored; frames of another size (a stream may change it) are scaled to
    it. ``tags`` must be resolved: they hold for frames that carry none.
    """

    def __init__(
        self, size: tuple[int, int], tags: ColorTags, orientation: Orientation, *, alpha: bool = False
    ) -> None:
        self._size = size
        self._tags = tags
        self._orientation = orientation
        self._tonemap = ToneMapper(tags.transfer) if color.is_hdr(tags) else None
        self._format = "bgr48le" if self._tonemap else "bgra" if alpha else "bgr24"
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> tuple[Frame, NDArray[np.uint8] | None]:
        """(image, alpha): H×W×3 uint8 BGR, contiguous and writable, and H×W uint8 or None; both upright.

        The image may be a view of memory that belongs to it alone.
        """
        array: NDArray[Any] = self._reformat(frame).to_ndarray()
        alpha = None
        if self._tonemap is not None:
            array = self._tonemap(array)
        if self._format == "bgra":
            alpha = self._orientation.apply(np.ascontiguousarray(array[:, :, 3]))
            array = cv2.cvtColor(array, cv2.COLOR_BGRA2BGR)
        image = self._orientation.apply(array)
        if not (image.flags.c_contiguous and image.flags.writeable):
            image = image.copy()
        return image, alpha

    def _reformat(self, frame: VideoFrame) -> VideoFrame:
        width, height = self._size
        if frame.format.is_rgb or frame.format.has_palette:
            return self._reformatter.reformat(frame, width, height, self._format, threads=1)
        matrix = SCALER_MATRIX.get(int(frame.colorspace)) or SCALER_MATRIX[self._tags.matrix]
        full = self._tags.full_range if frame.color_range == 0 else frame.color_range == 2
        return self._reformatter.reformat(
            frame,
            width,
            height,
            self._format,
            src_colorspace=matrix,
            src_color_range=2 if full else 1,
            dst_color_range=2,
            threads=1,
        )


class Deinterlacer:
    """One progressive frame for each interlaced one, by motion-adaptive interpolation of the missing lines.

    It holds a frame back; ``flush`` gives what is left. Times of the frames are kept.
    """

    def __init__(self, frame: VideoFrame, time_base: Fraction, tags: ColorTags) -> None:
        self._graph = Graph()
        self._time_base = time_base
        nodes = [self._graph.add("buffer", _buffer_arguments(frame, time_base, tags))]
        nodes.append(self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=all"))
        nodes.append(self._graph.add("buffersink"))
        self._graph.link_nodes(*nodes).configure()
        self._times: list[int | None] = []

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Feed one frame; yields the frames that are ready."""
        self._times.append(frame.pts)
        self._graph.vpush(frame)
        return self._pull()

    def flush(self) -> Iterator[VideoFrame]:
        """The frames that were held back."""
        self._graph.vpush(None)
        return self._pull()

    def _pull(self) -> Iterator[VideoFrame]:
        while True:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            # Filters count in time bases of their own; the frames come out in the order in which they
            # went in.
            if self._times:
                frame.pts = self._times.pop(0)
                frame.time_base = self._time_base
                yield frame


def _buffer_arguments(frame: VideoFrame, time_base: Fraction, tags: ColorTags) -> str:
    matrix = int(frame.colorspace) if int(frame.colorspace) in SCALER_MATRIX else tags.matrix
    full = tags.full_range if frame.color_range == 0 else frame.color_range == 2
    return (
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
        f":time_base={time_base.numerator}/{time_base.denominator}"
        f":colorspace={matrix}:range={2 if full else 1}"
    )
