"""What a media file holds, from its headers, its packets and one decoded frame."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mien.errors import CorruptMedia, MediaTooLarge
from mien.media.headers import read_header
from mien.media.sniff import mislabelled, sniff
from mien.types import MediaInfo

MAX_PIXELS: Final = 120_000_000
"""Largest picture or frame that is opened when the caller sets no limit: ``Settings.max_pixels``."""


def probe(path: Path, *, max_pixels: int = MAX_PIXELS, max_frames: int | None = None) -> MediaInfo:
    """Describe a picture, video or sound file without decoding more than one frame.

    The packets of a video are counted, so the time grows with its size on the disk. Raises
    InputMissing, CorruptMedia, UnsafeInput, UnsupportedMedia, and MediaTooLarge when a picture or frame
    has more than ``max_pixels``, or a video more than ``max_frames``, of which no more are counted.
    """
    sniffed = sniff(path)
    if sniffed.kind != "image":
        # Only here, since a process that is given pictures only need not load FFmpeg.
        from mien.media.streams import stream_info

        return stream_info(path, sniffed, max_pixels, max_frames)
    header = read_header(path, sniffed.format)
    check_pixels(path, header.width, header.height, max_pixels)
    width, height = header.orientation.size(header.width, header.height)
    return MediaInfo("image", sniffed.format, width, height, 0.0)


def check_pixels(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Raise MediaTooLarge when a picture has more pixels than allowed, CorruptMedia when it has none."""
    if width <= 0 or height <= 0:
        raise CorruptMedia(f"{path} says that it is {width}×{height} pixels large; it is damaged.")
    if width * height > max_pixels:
        raise MediaTooLarge(
            f"{path} has {width}×{height} pixels, more than the limit of {max_pixels}; "
            "make it smaller or raise max_pixels."
        )


__all__ = ["MAX_PIXELS", "mislabelled", "probe"]
