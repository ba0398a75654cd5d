"""The nouns of mien: pictures, boxes, faces and what a media file holds.

All picture arrays are uint8, row-major, origin top left, **BGR**; points are (x, y) in pixels, x right, y down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Words, so that what only knows of pictures does not have to load what calculates with them.
Frame: TypeAlias = "NDArray[np.uint8]"
"""H×W×3 uint8, BGR."""

Mask: TypeAlias = "NDArray[np.float32]"
"""H×W float32, 0 (outside) to 1 (inside)."""

Points: TypeAlias = "NDArray[np.float32]"
"""N×2 (x, y) or N×3 (x, y, z) float32, pixels of the frame."""

MediaKind: TypeAlias = Literal["image", "video", "audio"]


Place: TypeAlias = tuple[float, ...]
"""Where the faces are that are followed: their boxes (x1, y1, x2, y2), one after the other."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in frame pixels, not clipped to the frame."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Area in square pixels; 0 for an inverted box."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def center(self) -> tuple[float, float]:
        """Centre (x, y)."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        overlap = max(width, 0.0) * max(height, 0.0)
        union = self.area + other.area - overlap
        return overlap / union if union > 0 else 0.0

    def expanded(self, share: float) -> Box:
        """The box grown by ``share`` of its size on every side."""
        dx, dy = self.width * share, self.height * share
        return Box(self.x1 - dx, self.y1 - dy, self.x2 + dx, self.y2 + dy)

    def as_tuple(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2)."""
        return self.x1, self.y1, self.x2, self.y2


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose in degrees: yaw > 0 turns to the image's left, pitch > 0 looks down, roll as the eye line."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Landmark sets of one face, in frame pixels.

    ``five`` (5×2): left eye, right eye, nose tip, left and right mouth corner, as seen in the image. ``five_of_68``
    is the same derived from ``sixty_eight`` and is what warps use. ``sixty_eight`` (68×2) is in iBUG/300-W order.
    ``mesh`` (474×3) exists for faces found by the built-in models: 468 mesh points and three iris points an eye.
    """

    five: Points
    five_of_68: Points
    sixty_eight: Points
    sixty_eight_of_five: Points
    mesh: Points | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame.

    ``score`` is the detector's confidence and ``landmark_score`` the landmarker's (mesh presence for built-in
    models), both 0 to 1. ``angle`` is the quarter turn (0, 90, 180, 270) at which it was found. ``track`` stays the
    same for one person over the frames of a video; it is None in a still picture. ``observed`` is False where
    a tracker filled in a face between two detections.
    """

    box: Box
    score: float
    landmarks: Landmarks
    landmark_score: float = 1.0
    angle: int = 0
    pose: Pose | None = None
    track: int | None = None
    observed: bool = True


@dataclass(frozen=True, slots=True)
class ColorTags:
    """Colour description of a stream, as FFmpeg's numbers (2 or 0 = unspecified)."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    full_range: bool | None = None


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """The video stream of a file. ``width`` and ``height`` are those of the upright picture, after rotation."""

    codec: str
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    start_pts: int
    frame_count: int
    """Packets of the stream: the number of frames to expect, for progress."""
    pixel_format: str
    rotation: int
    """Degrees (0, 90, 180, 270) by which decoded frames must be turned counter-clockwise to stand upright."""
    sample_aspect: Fraction
    color: ColorTags
    bit_depth: int
    has_alpha: bool
    is_hdr: bool
    is_interlaced: bool


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The first audio stream of a file."""

    codec: str
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a media file holds; made by ``mien.media.probe``."""

    kind: MediaKind
    format: str
    """Canonical format name: jpeg, png, webp, bmp, tiff, avif, gif; mp4, mov, matroska, webm, avi, mpegts …"""
    width: int
    height: int
    duration: float
    """Seconds; 0 for pictures."""
    video: VideoInfo | None = None
    audio: AudioInfo | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
