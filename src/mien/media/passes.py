"""Pictures through FFmpeg's own scaling and encoding, for repeating FaceFusion's results to the last bit.

FaceFusion works on a copy of the target that FFmpeg wrote in the working size, keeps the result in that file, and lets
FFmpeg write the output from it. In PNG, TIFF and BMP that costs nothing unless a size changes; a JPEG or WebP is
encoded four times on its way. Outside of its repetition nobody wants that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import av
import av.error
import cv2
import numpy as np
from av.codec.codec import find_best_pix_fmt_of_list
from av.codec.context import CodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from mien.errors import CorruptMedia, OutputError
from mien.media.orientation import UPRIGHT, Orientation
from mien.types import Frame

FORMATS: Final = frozenset({"bmp", "jpeg", "png", "tiff", "webp"})
"""Formats (canonical names) that FaceFusion knows."""

FINEST_JPEG: Final = 2
"""The lowest quantiser that FFmpeg uses for JPEG unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class _Coding:
    decoder: str
    encoder: str
    pixel_formats: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)


_CODINGS: Final = {
    "bmp": _Coding("bmp", "bmp"),
    "jpeg": _Coding("mjpeg", "mjpeg", ("yuvj420p", "yuvj422p", "yuvj444p")),
    "png": _Coding("png", "png", options={"compression_level": "1"}),
    "tiff": _Coding("tiff", "tiff"),
    "webp": _Coding("webp", "libwebp_anim"),
}


def passed(
    data: bytes,
    format: str,
    size: tuple[int, int],
    quality: int,
    *,
    output: str | None = None,
    orientation: Orientation = UPRIGHT,
) -> bytes:
    """A picture file after ``ffmpeg -i IN -s WxH -q:v Q OUT``: scaled by bicubic interpolation, encoded again.

    ``size`` is (width, height) of the upright picture, ``quality`` 0 to 100, ``output`` the format to write (by
    default that of ``data``). Raises CorruptMedia, or OutputError where FFmpeg cannot write the picture.
    """
    try:
        frame = _upright(_decoded(data, format), orientation)
    except av.error.FFmpegError as error:
        raise CorruptMedia(f"The {format.upper()} picture cannot be decoded ({error.strerror}).") from error
    try:
        return _encoded(frame, _CODINGS[output or format], size, quality)
    except av.error.FFmpegError as error:
        kind = (output or format).upper()
        raise OutputError(f"FFmpeg cannot write the picture as {kind} ({error.strerror}).") from error


def scaled(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """An image (H×W×3 BGR or H×W×4 BGRA) in another size, by FFmpeg's bicubic interpolation."""
    name = "bgr24" if image.shape[2] == 3 else "bgra"
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), name)
    return np.asarray(_reformatted(frame, width, height, name).to_ndarray())


def load(data: bytes) -> tuple[Frame, NDArray[np.uint8] | None]:
    """(image, opacity or None) of a picture file in memory, as OpenCV reads it unchanged."""
    array: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise CorruptMedia("The picture cannot be decoded.")
    if array.ndim == 2:
        return np.asarray(cv2.cvtColor(array, cv2.COLOR_GRAY2BGR)), None
    if array.shape[2] == 3:
        return array, None
    return np.ascontiguousarray(array[:, :, :3]), np.ascontiguousarray(array[:, :, 3])


def store(image: Frame, alpha: NDArray[np.uint8] | None, format: str) -> bytes:
    """A picture file as OpenCV writes it unasked: JPEG in quality 95, WebP without loss; opacity only if need be."""
    pixels: NDArray[np.uint8] = image
    if alpha is not None and int(alpha.min()) < 255:
        pixels = np.dstack((image, alpha))
    done, buffer = cv2.imencode(f".{format}", pixels)
    if not done:
        raise OutputError(f"A picture of {image.shape[1]}×{image.shape[0]} pixels cannot be stored.")
    return buffer.tobytes()


def _decoded(data: bytes, format: str) -> VideoFrame:
    decoder = CodecContext.create(_CODINGS[format].decoder, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    if not frames:
        raise CorruptMedia(f"The {format.upper()} picture cannot be decoded.")
    return frames[0]


def _upright(frame: VideoFrame, orientation: Orientation) -> VideoFrame:
    """The frame as it is to be looked at; in its own pixel format, so that it is encoded as it was."""
    if orientation.is_upright:
        return frame
    turned = np.ascontiguousarray(orientation.apply(frame.to_ndarray(format="bgr24")))
    return VideoFrame.from_ndarray(turned, "bgr24").reformat(format=frame.format.name)


def _reformatted(frame: VideoFrame, width: int, height: int, format: str) -> VideoFrame:
    if (frame.width, frame.height, frame.format.name) == (width, height, format):
        return frame
    return VideoReformatter().reformat(
        frame, width, height, format, interpolation=Interpolation.BICUBIC, threads=1
    )


def _encoded(frame: VideoFrame, coding: _Coding, size: tuple[int, int], quality: int) -> bytes:
    encoder = CodecContext.create(coding.encoder, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    known = coding.pixel_formats or [known.name for known in encoder.codec.video_formats or ()]
    format = frame.format.name
    if format not in known:
        has_alpha = any(component.is_alpha for component in frame.format.components)
        best = find_best_pix_fmt_of_list(known, format, has_alpha)[0]
        assert best is not None  # the list of an encoder is never empty
        format = best.name
    frame = _reformatted(frame, *size, format)
    frame.pts = 0
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, format
    encoder.time_base = Fraction(1, 25)
    encoder.options = {**coding.options, **_quality(coding.encoder, quality)}
    if coding.encoder == "mjpeg":
        encoder.color_range = 2
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


def _quality(encoder: str, quality: int) -> dict[str, str]:
    """FaceFusion's ``-q:v``: the quality itself for WebP, a quantiser of 31 to 0 for all others."""
    if encoder == "libwebp_anim":
        return {"quality": str(quality)}
    if encoder == "mjpeg":
        # With a fixed quantiser the encoder takes the lowest that is allowed.
        quantiser = max(round(31 - 0.31 * quality), FINEST_JPEG)
        return {"flags": "+qscale", "qmin": str(quantiser)}
    return {}
