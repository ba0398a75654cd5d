"""What can be written: the formats of pictures and the containers of videos, by the ending of the output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mien.errors import OptionError

OUTPUT_FORMATS: Final = {
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "png": "png",
    "webp": "webp",
    "tif": "tiff",
    "tiff": "tiff",
    "bmp": "bmp",
    "avif": "avif",
}
"""Extensions of pictures that can be written, with their format."""


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of output file: FFmpeg's muxer, and the codecs that players expect in it, the preferred
    ones first.
    """

    muxer: str
    video: tuple[str, ...]
    audio: tuple[str, ...]


CONTAINERS: Final[dict[str, Container]] = {
    "mp4": Container("mp4", ("h264", "hevc", "av1", "vp9"), ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac")),
    "m4v": Container("mp4", ("h264", "hevc"), ("aac", "ac3", "eac3", "alac")),
    "mov": Container(
        "mov",
        ("h264", "hevc", "prores"),
        ("aac", "alac", "mp3", "ac3", "eac3", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_s16be", "pcm_s24be"),
    ),
    "mkv": Container(
        "matroska",
        ("h264", "hevc", "vp9", "av1", "ffv1", "prores"),
        (
            "aac", "opus", "flac", "mp3", "ac3", "eac3", "vorbis", "dts", "truehd", "alac", "mp2",
            "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le",
        ),
    ),
    "webm": Container("webm", ("vp9", "av1"), ("opus", "vorbis")),
    "avi": Container("avi", ("h264", "ffv1", "rawvideo"), ("mp3", "ac3", "pcm_s16le", "mp2")),
}  # fmt: skip
"""Extensions of videos that can be written."""


def output_format(path: Path) -> str:
    """The picture format of an output name; raises OptionError with the list of extensions when
    there is none.
    """
    found = OUTPUT_FORMATS.get(path.suffix.lower().lstrip("."))
    if found is None:
        known = ", ".join(f".{extension}" for extension in OUTPUT_FORMATS)
        raise OptionError(f"{path.name} is not a name for a picture; use one of {known}.")
    return found


def container_of(path: Path) -> str:
    """The key of CONTAINERS for an output name; raises OptionError with the list of extensions when
    there is none.
    """
    name = path.suffix.lower().lstrip(".")
    if name not in CONTAINERS:
        known = ", ".join(f".{extension}" for extension in CONTAINERS)
        raise OptionError(f"{path.name} is not a name for a video; use one of {known}.")
    return name
