"""The only door to FFmpeg's demuxers: by path, after sniffing, with allow-lists for format and protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from mien.errors import CorruptMedia, OutOfMemory, OutputError, UnsupportedMedia
from mien.media.atomic import refusal_of
from mien.media.sniff import Sniffed, sniff

_MOV: Final = "mov,mp4,m4a,3gp,3g2,mj2"

_DEMUXERS: Final = {
    "mp4": _MOV,
    "mov": _MOV,
    "m4a": _MOV,
    "matroska": "matroska,webm",
    "webm": "matroska,webm",
    "avi": "avi",
    "mpegts": "mpegts",
    "mpeg": "mpeg",
    "flv": "flv",
    "asf": "asf",
    "mxf": "mxf",
    "gif": "gif",
    "ogg": "ogg",
    "wav": "wav",
    "mp3": "mp3",
    "flac": "flac",
    "aac": "aac",
}

# Bytes and microseconds that are looked at to find out what the streams are; FFmpeg's own defaults,
# said aloud.
_PROBING: Final = {"probesize": "5000000", "analyzeduration": "5000000"}

# Tags that are no UTF-8 must not stop a file from being opened: PyAV 19 sees to that itself, 18 on request.
_METADATA: Final[dict[str, Any]] = (
    {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
)


def open_input(path: Path, sniffed: Sniffed | None = None) -> InputContainer:
    """Open a video or sound file by path with the one demuxer that fits its content.

    Raises what ``sniff`` raises, UnsupportedMedia for a picture, and CorruptMedia when the demuxer
    finds no sense in it.
    """
    sniffed = sniffed or sniff(path)
    demuxer = _DEMUXERS.get(sniffed.format)
    if demuxer is None:
        raise UnsupportedMedia(f"{path} is a picture, not a video.")
    options = {"format_whitelist": demuxer, "protocol_whitelist": "file", **_PROBING}
    with input_errors(path):
        container: InputContainer = av.open(str(path.absolute()), "r", options=options, **_METADATA)
    return container


@contextmanager
def input_errors(path: Path) -> Iterator[None]:
    """Turn every error of FFmpeg while reading ``path`` into one sentence."""
    try:
        yield
    except (av.error.MemoryError, MemoryError) as error:
        raise OutOfMemory(f"There was not enough memory to read {path}.") from error
    except (av.error.DecoderNotFoundError, av.error.PatchWelcomeError) as error:
        raise UnsupportedMedia(f"{path} holds a stream that cannot be decoded: {error.strerror}.") from error
    except av.error.FFmpegError as error:
        raise CorruptMedia(f"{path} is damaged or incomplete and cannot be read.") from error


@contextmanager
def muxing_errors(path: Path) -> Iterator[None]:
    """Turn every error of FFmpeg while writing ``path`` into an OutputError, DiskFull or
    OutputNotWritable.
    """
    try:
        yield
    except (av.error.MemoryError, MemoryError) as error:
        raise OutOfMemory(f"There was not enough memory to write {path}.") from error
    except av.error.FFmpegError as error:
        refusal = refusal_of(error, path) if isinstance(error, OSError) else None
        raise refusal or OutputError(f"{path} could not be written ({error.strerror}).") from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The best video stream that is not a cover picture; raises UnsupportedMedia when there is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    raise UnsupportedMedia(f"{path} has no video stream.")


def tags_of(entry: Any) -> dict[str, str]:
    """The tags of a container or stream; bytes that are no UTF-8 become replacement characters."""
    return {
        key: value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for key, value in entry.metadata.items()
    }


def fraction(value: Any, default: Fraction = Fraction(0)) -> Fraction:
    """PyAV's rational (a Fraction or, from PyAV 19, an AVRational; None or 0/0 when unknown) as a
    Fraction.
    """
    if value is None or not value.denominator:
        return default
    return Fraction(int(value.numerator), int(value.denominator))
