"""Small pictures of assets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mien.errors import CorruptMedia, OptionError, UnsupportedMedia

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.media.images import Picture
    from mien.service.asset_rows import Asset

SMALLEST: Final = 16
LARGEST: Final = 2048
_QUALITY: Final = 80


def draw(path: Path, asset: Asset, size: int, frame: int) -> bytes:
    """A JPEG within ``size`` × ``size`` pixels of a picture or of frame ``frame`` (from 0) of a video.

    Small pictures are not made larger. Raises OptionError, UnsupportedMedia, CorruptMedia.
    """
    from mien.media.images import Picture, encode_image

    if not SMALLEST <= size <= LARGEST:
        raise OptionError(f"The size of a thumbnail is {SMALLEST} to {LARGEST} pixels, not {size}.")
    picture = _picture(path, asset, frame)
    height, width = picture.pixels.shape[:2]
    share = min(1.0, size / max(width, height))
    if share < 1:
        small = max(1, round(width * share)), max(1, round(height * share))
        alpha = None if picture.alpha is None else _shrunk(picture.alpha, small)
        picture = Picture(_shrunk(picture.pixels, small), alpha, picture.icc)
    else:
        picture = Picture(picture.pixels, picture.alpha, picture.icc)
    return encode_image("jpeg", picture, quality=_QUALITY)


def _shrunk(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    # By OpenCV, which reads the picture as well; FFmpeg would be loaded for this only.
    import cv2
    import numpy as np

    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _picture(path: Path, asset: Asset, frame: int) -> Picture:
    from mien.media.images import read_image

    if asset.kind == "image":
        return read_image(path)
    if asset.kind != "video":
        raise UnsupportedMedia(f"{asset.name} has no picture.")
    return _frame(path, asset, frame)


def _frame(path: Path, asset: Asset, frame: int) -> Picture:
    from mien.media.images import Picture
    from mien.media.index import read_index
    from mien.media.reader import VideoReader

    if not 0 <= frame < asset.media.frames:
        raise OptionError(
            f"{asset.name} has {asset.media.frames} frames, counted from 0; there is no {frame}."
        )
    times = read_index(path).times
    with VideoReader(path, start_pts=times[min(frame, len(times) - 1)], threads=1) as reader:
        for decoded in reader:
            return Picture(decoded.image, decoded.alpha)
    raise CorruptMedia(f"{asset.name} holds no frame {frame} that can be decoded.")
