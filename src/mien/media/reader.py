"""Video as upright BGR pictures with exact times, whole or between two of them."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import av
import av.error
import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from mien.errors import CorruptMedia, UnsupportedMedia
from mien.media import color
from mien.media.container import input_errors, open_input, video_stream
from mien.media.convert import Deinterlacer, FrameConverter
from mien.media.index import timestamp
from mien.media.orientation import Orientation
from mien.media.probe import MAX_PIXELS, probe
from mien.media.streams import alpha_decoder, orientation_of
from mien.types import ColorTags, Frame, MediaInfo, VideoInfo

HdrMode = Literal["tonemap", "refuse"]

# Seconds before the wanted time at which seeking is tried before the file is decoded from its
# beginning: transport streams have no index and land behind the wanted frame.
_SEEK_BACK: Final = (0, 2, 12)


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """One frame: H×W×3 BGR (writable, contiguous, upright), its alpha or None, and when it is shown.

    ``pts`` counts in ``VideoInfo.time_base``, ``time`` is the same in seconds, ``index`` counts the
    frames of this reading from 0.
    """

    image: Frame
    alpha: NDArray[np.uint8] | None
    pts: int
    index: int
    time: float


class VideoReader:
    """Iterates over the frames with ``start_pts`` ≤ pts < ``end_pts`` of a video; a context manager.

    With ``only`` (rising times), of all these frames just the first at or after each of the times is given.
    ``threads`` are those of the decoder (0: one per core; 1 where several readers run). ``info`` is
    what ``probe`` said, ``color`` describes the pictures that come out. ``warnings`` fills with
    sentences while reading: a damaged end does not stop the frames before it. Raises what ``probe``
    raises, and UnsupportedMedia for HDR with ``hdr="refuse"``; a file without any readable frame raises
    CorruptMedia.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_pts: int | None = None,
        end_pts: int | None = None,
        only: Sequence[int] | None = None,
        threads: int = 0,
        hdr: HdrMode = "tonemap",
        deinterlace: bool = True,
        info: MediaInfo | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.path = path
        self.info = info or probe(path, max_pixels=max_pixels)
        self.warnings: list[str] = []
        if self.info.video is None:
            raise UnsupportedMedia(f"{path} has no video stream.")
        self.video: VideoInfo = self.info.video
        if self.video.is_hdr and hdr == "refuse":
            raise UnsupportedMedia(f"{path} is an HDR video; convert it to SDR first, or allow tone mapping.")
        self._start, self._end = start_pts, end_pts
        self._only = only
        self._threads = threads
        self._deinterlace = deinterlace and self.video.is_interlaced
        self._container: InputContainer | None = None
        self._tags = color.resolved(self.video.color, self.video.height)
        self._note_special_sources()

    @property
    def color(self) -> ColorTags:
        """Matrix, primaries and transfer that an encoder should give to the pictures, so that they
        look the same.
        """
        if self.video.is_hdr:
            return ColorTags(color.BT709, color.BT709, color.BT709, False)
        return color.resolved(self.video.color, self.video.height)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and the decoder."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[Decoded]:
        convert: FrameConverter | None = None
        last: int | None = None
        waiting = self._only
        index = 0
        for frame, pts in self._filtered(self._in_range()):
            if convert is None:
                convert = self._converter(frame)
            if last is not None and pts <= last:
                # Damaged files repeat times; players and encoders need them to grow.
                pts = last + 1
            last = pts
            if waiting is not None:
                before, waiting = len(waiting), waiting[bisect_right(waiting, pts) :]
                if len(waiting) == before:
                    continue
            image, alpha = convert(frame)
            yield Decoded(image, alpha, pts, index, float(pts * self.video.time_base))
            index += 1
        if not index and self._start is None and self._end is None:
            raise CorruptMedia(f"{self.path} holds no frame that can be decoded.")

    def _note_special_sources(self) -> None:
        if self._deinterlace:
            self.warnings.append(f"{self.path.name} is interlaced and was deinterlaced.")
        if self.video.is_hdr:
            self.warnings.append(f"{self.path.name} is an HDR video and was tone-mapped to SDR.")

    def _converter(self, frame: VideoFrame) -> FrameConverter:
        size = (self.video.width, self.video.height)
        orientation = self._orientation
        return FrameConverter(orientation.size(*size), self._tags, orientation, alpha=self.video.has_alpha)

    def _filtered(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, int]]:
        """Frames with their times, deinterlaced where the source needs it."""
        self._orientation = Orientation()
        chain: Deinterlacer | None = None
        seen = 0
        for frame in frames:
            if not seen:
                self._orientation = orientation_of(frame)
            seen += 1
            if not self._deinterlace:
                yield frame, int(frame.pts or 0)
                continue
            chain = chain or Deinterlacer(frame, self.video.time_base, self._tags)
            for ready in chain.push(frame):
                yield ready, int(ready.pts or 0)
        if chain is not None:
            for ready in chain.flush():
                yield ready, int(ready.pts or 0)

    def _in_range(self) -> Iterator[VideoFrame]:
        """Decoded frames from the wanted start up to the wanted end; times are on ``frame.pts``."""
        with input_errors(self.path):
            for frame in self._from_start():
                pts = int(frame.pts or 0)
                if self._end is not None and pts >= self._end:
                    return
                if self._start is None or pts >= self._start:
                    yield frame

    def _from_start(self) -> Iterator[VideoFrame]:
        """Frames from one at or before the start on: by seeking where that works, else from the
        beginning.
        """
        if self._start is None or self._start <= self.video.start_pts:
            yield from self._decode(None)
            return
        for back in _SEEK_BACK:
            target = self._start - int(back / self.video.time_base)
            if target <= self.video.start_pts:
                break
            frames = self._decode(target)
            first = next(frames, None)
            if first is not None and not first.is_corrupt and int(first.pts or 0) <= self._start:
                yield first
                yield from frames
                return
        yield from self._decode(None)

    def _decode(self, seek: int | None) -> Iterator[VideoFrame]:
        """Frames in the order of showing, after seeking to ``seek``; stops with a warning where the
        file is torn.
        """
        self.close()
        container = self._container = open_input(self.path)
        stream = video_stream(container, self.path)
        special = alpha_decoder(stream)
        decoder = CodecContext.create(special, "r") if special else stream.codec_context
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.thread_type = "AUTO"
        decoder.thread_count = self._threads
        if seek is not None:
            container.seek(seek, stream=stream)
        times: deque[int] = deque()
        by_order = self.info.format == "avi"
        damaged = 0
        try:
            for packet in container.demux(stream):
                time = timestamp(packet, self.info.format)
                if by_order and time is not None and packet.size:
                    times.append(time)
                try:
                    frames = decoder.decode(packet if packet.size else None)
                except av.error.InvalidDataError:
                    damaged += 1
                    continue
                for frame in frames:
                    damaged += frame.is_corrupt
                    if by_order and times:
                        frame.pts = times.popleft()
                    yield frame
        except av.error.InvalidDataError:
            damaged += 1
        if damaged:
            self._warn(f"{self.path.name} is damaged; what could not be decoded was left out.")

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)
