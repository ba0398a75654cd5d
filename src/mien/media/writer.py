"""BGR pictures with exact times into one video stream of a file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from mien.errors import MienError, OptionError
from mien.media import color, encoders
from mien.media.container import muxing_errors
from mien.media.convert import SCALER_MATRIX
from mien.media.writable import CONTAINERS, container_of
from mien.types import ColorTags, Frame


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """How a video is encoded.

    ``width`` and ``height`` are those of the pictures that are written; formats with halved chroma lose
    the last column or row of an odd size. ``rate`` is only nominal: the times of the frames are what
    counts. ``container`` is the kind of the finished file (a key of ``writable.CONTAINERS``), also
    while its parts are written. ``color`` is what ``VideoReader.color`` says, open values are filled in
    by height. ``tags`` are stored in the file.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    encoder: str = "libx264"
    quality: int = 80
    preset: str = "veryfast"
    pixel_format: str | None = None
    color: ColorTags = field(default_factory=ColorTags)
    sample_aspect: Fraction = Fraction(1)
    alpha: bool = False
    container: str = "mp4"
    threads: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def stored_format(self) -> str:
        """The pixel format that the encoder gets."""
        return self.pixel_format or encoders.pixel_format(self.encoder, alpha=self.alpha)

    @property
    def cropped_size(self) -> tuple[int, int]:
        """(width, height) that is left of a picture: even where the chroma is halved in that direction."""
        shape = av.VideoFormat(self.stored_format)
        if self.width < 2 or self.height < 2 or shape.is_rgb:
            return self.width, self.height
        # How much smaller the chroma planes are says which direction must be even.
        wide = self.width - self.width % 2 if shape.chroma_width(64) < 64 else self.width
        high = self.height - self.height % 2 if shape.chroma_height(64) < 64 else self.height
        return wide, high

    @property
    def keeps_sample_aspect(self) -> bool:
        """Whether pixels that are not square can be said: not for VP9 and AV1 in Matroska, through PyAV."""
        codec = encoders.video_codec(self.encoder)
        return self.sample_aspect == 1 or codec not in ("vp9", "av1") or self.container not in ("webm", "mkv")

    @property
    def encoded_size(self) -> tuple[int, int]:
        """(width, height) in the file. Where the sample aspect cannot be kept, the shorter side is
        stretched.
        """
        width, height = self.cropped_size
        if self.keeps_sample_aspect:
            return width, height
        if self.sample_aspect > 1:
            return round(width * self.sample_aspect / 2) * 2, height
        return width, round(height / self.sample_aspect / 2) * 2

    @property
    def part_suffix(self) -> str:
        """Extension for parts that are joined later: a container that keeps this codec and its times
        exactly.
        """
        codec = encoders.video_codec(self.encoder)
        if codec == "vp9" and self.alpha:
            return ".mkv"
        return _PART_SUFFIXES.get(codec, ".mp4")


# Without accurate rounding the scaler makes every picture 2/255 darker; it costs 1.5 ms of CPU at 720p
# (measured).
_EXACT: Final = Interpolation.BILINEAR | Interpolation.ACCURATE_RND

_PART_SUFFIXES: Final = {"prores": ".mov", "ffv1": ".nut", "rawvideo": ".nut"}
_MUXERS: Final = {".nut": "nut", ".part": "matroska"}


class VideoWriter:
    """Writes pictures into a video file without sound; a context manager.

    The muxer goes by the extension of ``path``. ``write`` wants growing times in ``spec.time_base``.
    Nothing is atomic here: write to a temporary name. Raises ProviderError when the encoder does not
    open, OptionError for a wrong value, and DiskFull, OutputNotWritable or OutputError while writing.
    """

    def __init__(self, path: Path, spec: VideoSpec) -> None:
        self.path = path
        self.spec = spec
        self.frames = 0
        self._size = spec.encoded_size
        self._format = spec.stored_format
        self._is_rgb = av.VideoFormat(self._format).is_rgb
        self._color = color.resolved(spec.color, spec.height)
        self._reformatter = VideoReformatter()
        self._last: int | None = None
        if not encoders.opens(spec.encoder):
            encoders.choose(spec.container, spec.encoder)
        with muxing_errors(path):
            self._container = av.open(
                str(path.absolute()), "w", format=self._muxer(), options=self._options()
            )
            self._stream: Any = self._add_stream()
            self._container.metadata.update(spec.tags)
            self._open()

    def write(self, image: Frame, pts: int, alpha: NDArray[np.uint8] | None = None) -> None:
        """Encode one H×W×3 uint8 BGR picture that is shown from ``pts`` on; the array may be reused
        afterwards.
        """
        if image.shape[:2] != (self.spec.height, self.spec.width):
            raise ValueError(f"expected {self.spec.height}×{self.spec.width} pixels, got {image.shape}")
        if self._last is not None and pts <= self._last:
            raise ValueError(f"times must grow: {pts} after {self._last}")
        self._last = pts
        frame = self._converted(image, alpha)
        frame.pts = pts
        frame.time_base = self.spec.time_base
        with muxing_errors(self.path):
            self._mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        with muxing_errors(self.path):
            try:
                self._mux(self._stream.encode(None))
            finally:
                self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(MienError, av.error.FFmpegError):
            self._container.close()

    def _mux(self, packets: list[av.Packet[Any]]) -> None:
        for packet in packets:
            if self.frames < 3:
                # Two frames cannot be out of order, and libx265 leaves these times unset for so few.
                packet.dts = packet.pts
            self._container.mux(packet)

    def _muxer(self) -> str:
        suffix = self.path.suffix.lower()
        if suffix in _MUXERS:
            return _MUXERS[suffix]
        return CONTAINERS[container_of(self.path)].muxer

    def _options(self) -> dict[str, str]:
        if self._muxer() not in ("mp4", "mov"):
            return {}
        # A first frame later than 0 becomes an edit of that length, which is counted in the movie's
        # time scale.
        scale = str(min(self.spec.time_base.denominator, 2**31 - 1))
        tags = {"movflags": "+use_metadata_tags"} if self.spec.tags else {}
        return {"movie_timescale": scale, "video_track_timescale": scale, **tags}

    def _add_stream(self) -> Any:
        spec = self.spec
        stream: Any = self._container.add_stream(spec.encoder, rate=spec.rate)
        stream.width, stream.height = self._size
        stream.pix_fmt = self._format
        stream.time_base = spec.time_base
        context = stream.codec_context
        context.time_base = spec.time_base
        context.sample_aspect_ratio = spec.sample_aspect if spec.keeps_sample_aspect else Fraction(1)
        context.thread_count = spec.threads
        context.options = encoders.video_options(spec.encoder, spec.quality, spec.preset)
        if spec.container == "avi":
            context.max_b_frames = 0  # AVI has no times of its own, only an order
        if encoders.video_codec(spec.encoder) == "hevc" and self._muxer() in ("mp4", "mov"):
            context.codec_tag = "hvc1"
        context.color_primaries = self._color.primaries
        context.color_trc = self._color.transfer
        context.colorspace = color.RGB if self._is_rgb else self._color.matrix
        context.color_range = 2 if self._is_rgb else 1
        if spec.alpha and self._muxer() in ("matroska", "webm"):
            stream.metadata["alpha_mode"] = "1"
        return stream

    def _open(self) -> None:
        try:
            self._container.start_encoding()
        except (av.error.ArgumentError, av.error.ExternalError, av.error.OptionNotFoundError) as error:
            width, height = self._size
            with suppress(av.error.FFmpegError):
                self._container.close()
            raise OptionError(
                f"The encoder {self.spec.encoder} does not take {width}×{height} pixels of {self._format}"
                f" ({error.strerror})."
            ) from error

    def _converted(self, image: Frame, alpha: NDArray[np.uint8] | None) -> VideoFrame:
        width, height = self.spec.cropped_size
        if self.spec.alpha:
            opaque = np.full(image.shape[:2], 255, np.uint8) if alpha is None else alpha
            source, name = np.ascontiguousarray(np.dstack((image, opaque))[:height, :width]), "bgra"
        else:
            # A view keeps the row length; only its rows must be contiguous.
            source, name = image[:height, :width], "bgr24"
            if source.strides[1:] != (3, 1):
                source = np.ascontiguousarray(source)
        if name == self._format:
            return VideoFrame.from_ndarray(np.ascontiguousarray(source), name)  # a copy: the encoder keeps it
        frame = VideoFrame.from_numpy_buffer(source, name)
        if self._is_rgb:
            return self._reformatter.reformat(frame, format=self._format, threads=1)
        return self._reformatter.reformat(
            frame,
            *self._size,
            format=self._format,
            src_color_range=2,
            dst_colorspace=SCALER_MATRIX[self._color.matrix],
            dst_color_range=1,
            interpolation=_EXACT,
            threads=1,
        )
