"""Pictures of work under way, small enough to be stored and sent to whoever watches a job."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mien.errors import CorruptMedia

if TYPE_CHECKING:
    from mien.comfyui import ComfyProgress

EVERY: Final = 1.0
"""Seconds between two pictures."""
LARGEST: Final = 64 * 1024
"""Characters of a picture as base64."""
MOST_PIXELS: Final = 16_000_000
_SIDES: Final = (1024, 512, 256, 128)


class PreviewFeed:
    """Hands on previews, at most one a second; belongs to the thread that follows the run."""

    def __init__(
        self, tell: Callable[[Mapping[str, Any]], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._shown_at = float("-inf")
        self._last: bytes | None = None

    def show(self, progress: ComfyProgress) -> None:
        """Tell of the newest picture, if there is another one than last time."""
        now = self._clock()
        if progress.preview is None or progress.preview is self._last or now - self._shown_at < EVERY:
            return
        self._last, self._shown_at = progress.preview, now
        picture = jpeg_of(progress.preview)
        if picture is not None:
            self._tell({"content_type": "image/jpeg", "data": picture, "node": progress.node})


def jpeg_of(data: bytes) -> str | None:
    """A JPEG of a picture as base64, within the limit; None for what cannot be decoded."""
    import cv2
    import numpy as np

    format = "jpeg" if data.startswith(b"\xff\xd8\xff") else "png"
    if not _is_harmless(data, format):
        return None
    if format == "jpeg" and 4 * len(data) / 3 < LARGEST - 4:
        return base64.b64encode(data).decode()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    for side in _SIDES:
        scale = min(side / max(image.shape[:2]), 1.0)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        text = base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())
        if len(text) <= LARGEST:
            return text.decode()
    return None


def _is_harmless(data: bytes, format: str) -> bool:
    """Whether it is a picture of a usual size, by its header."""
    from mien.media.headers import parse_header

    try:
        header = parse_header(data, format, Path("preview"))
    except CorruptMedia:
        return False
    return 0 < header.width * header.height <= MOST_PIXELS
