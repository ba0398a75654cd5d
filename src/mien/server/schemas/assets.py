"""Media as clients see them: assets, uploads, faces, and what a file says of how it was made."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mien.server.schemas.base import Model, Moment
from mien.service.requests import AssetRef, Request


class Asset(Model):
    """A picture, video or sound that the service keeps."""

    id: str = Field(description="SHA-256 of the content.")
    name: str
    kind: str = Field(description="image, video, audio or file.")
    content_type: str
    size: int
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    frames: int | None = None
    fps: float | None = None
    has_audio: bool | None = None
    created_at: Moment
    expires_at: Moment | None = None
    url: str


class AssetPage(Model):
    """Assets, newest first."""

    assets: list[Asset]
    next_cursor: str | None = None


class AssetFromUrl(Request):
    """An asset to fetch."""

    url: str = Field(min_length=1, max_length=8192)
    name: str | None = Field(default=None, max_length=255)


class UploadRequest(Request):
    """A file that is to be put into the storage."""

    name: str = Field(min_length=1, max_length=255)
    size: int = Field(ge=1, description="Bytes.")
    content_type: str = Field(default="application/octet-stream", min_length=1, max_length=200)


class Upload(Model):
    """Where the bytes of an upload are to be put, and how."""

    id: str
    method: Literal["PUT"] = "PUT"
    url: str
    headers: dict[str, str] = Field(default_factory=dict)
    expires_at: Moment


class FoundFace(Model):
    """One face; points are (x, y) in pixels of the upright picture."""

    id: str = Field(description="What face_map takes: f, frame, and the corners of the box.")
    box: list[float]
    score: float
    landmarks: dict[str, list[list[float]]]
    angle: int
    age: list[int] | None = Field(
        default=None, description="From and up to, in years, where a network can tell."
    )
    gender: str | None = None
    race: str | None = None
    crop: str | None = Field(default=None, description="JPEG as data: address.")


class FaceList(Model):
    """All faces of a picture, in the order of the selector."""

    width: int
    height: int
    frame: int
    faces: list[FoundFace]


class TimelineEntry(Model):
    """One look at a video; the answer has one as JSON on each line."""

    time: float
    frame: int
    faces: list[list[float]]
    thumbnail: str | None = None


class VerifyRequest(Request):
    """The file that is to be looked at: an asset, or an address."""

    asset: AssetRef | None = None
    url: str | None = Field(default=None, max_length=8192)


class Verification(Model):
    """What a file says about how it was made, and whether that is still true."""

    verdict: Literal["marked", "unmarked", "tampered", "untrusted"]
    kind: str
    sentences: list[str] = Field(description="The findings in plain words, the verdict first.")
    manifest: dict[str, Any]
    marks: dict[str, Any] | None = None
    watermark: dict[str, Any] | None = None
