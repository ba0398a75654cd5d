"""Single frames of a picture or video, for detection, references and previews."""

from __future__ import annotations

from pathlib import Path

from mien.errors import CorruptMedia
from mien.media.images import read_image
from mien.media.reader import VideoReader
from mien.media.sniff import sniff
from mien.types import Frame, MediaInfo


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
