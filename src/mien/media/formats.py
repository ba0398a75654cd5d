"""The usual file ending and media type of each format that ``sniff`` knows."""

from __future__ import annotations

from typing import Final

_FORMATS: Final[dict[str, tuple[str, str]]] = {
    "jpeg": ("jpg", "image/jpeg"),
    "png": ("png", "image/png"),
    "webp": ("webp", "image/webp"),
    "bmp": ("bmp", "image/bmp"),
    "tiff": ("tif", "image/tiff"),
    "avif": ("avif", "image/avif"),
    "gif": ("gif", "image/gif"),
    "mp4": ("mp4", "video/mp4"),
    "mov": ("mov", "video/quicktime"),
    "matroska": ("mkv", "video/matroska"),
    "webm": ("webm", "video/webm"),
    "avi": ("avi", "video/vnd.avi"),
    "mpegts": ("ts", "video/mp2t"),
    "mpeg": ("mpg", "video/mpeg"),
    "flv": ("flv", "video/x-flv"),
    "asf": ("wmv", "video/x-ms-asf"),
    "mxf": ("mxf", "application/mxf"),
    "ogg": ("ogg", "application/ogg"),
    "wav": ("wav", "audio/wav"),
    "mp3": ("mp3", "audio/mpeg"),
    "flac": ("flac", "audio/flac"),
    "aac": ("aac", "audio/aac"),
    "m4a": ("m4a", "audio/mp4"),
}
"""Media types are those registered at IANA; where there is none, the one in general use."""

UNKNOWN: Final = "application/octet-stream"


def extension(format: str) -> str:
    """The usual ending of a format, without the dot."""
    return _FORMATS[format][0]


def content_type(format: str) -> str:
    """The media type of a format."""
    return _FORMATS[format][1]


def type_of_ending(ending: str) -> str:
    """The media type that a file with this ending (without the dot) usually has."""
    by_ending = dict(_FORMATS.values())
    also = {"jpeg": "image/jpeg", "tiff": "image/tiff", "m4v": "video/mp4", "mpeg": "video/mpeg"}
    return {**by_ending, **also}.get(ending.lower(), UNKNOWN)
