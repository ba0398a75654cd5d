"""Where the manifest of a file lies: inside it, or beside it. Needs none of the libraries that read it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

EMBEDDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "jpeg": "image/jpeg",
        "png": "image/png",
        "webp": "image/webp",
        "tiff": "image/tiff",
        "avif": "image/avif",
        "gif": "image/gif",
        "mp4": "video/mp4",
        "m4v": "video/mp4",
        "mov": "video/quicktime",
        "avi": "video/avi",
        "m4a": "audio/mp4",
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
    }
)
"""Formats that hold a manifest, with their media types."""
BESIDE: Final[Mapping[str, str]] = MappingProxyType(
    {"webm": "video/webm", "matroska": "video/x-matroska", "mkv": "video/x-matroska", "bmp": "image/bmp"}
)
"""Formats that do not; their manifest lies beside them."""
UNKNOWN_TYPE: Final = "application/octet-stream"
SIDECAR: Final = ".c2pa"
SIDECAR_TYPE: Final = "application/c2pa"
_END: Final = 1 << 20
"""Bytes at the beginning and at the end of a file, where manifests lie."""


def media_type(format: str) -> str:
    """The media type of a format of ``mien.types.MediaInfo``."""
    return EMBEDDED.get(format) or BESIDE.get(format, UNKNOWN_TYPE)


def sidecar_of(path: Path) -> Path:
    """Where the manifest of a file is put that cannot hold it: ``out.mkv`` has ``out.mkv.c2pa``."""
    return path.with_name(path.name + SIDECAR)


def shared_sidecar_of(path: Path) -> Path:
    """Where other programs, and mien until 0.1, put it: ``out.c2pa``, which ``out.webm`` has as well."""
    return path.with_suffix(SIDECAR)


def find_sidecar(path: Path) -> Path | None:
    """The file with the manifest of a file that cannot hold it, under either name; None if there is none."""
    return next((found for found in (sidecar_of(path), shared_sidecar_of(path)) if found.is_file()), None)


def has_sidecar(format: str) -> bool:
    """Whether the manifest of a file of that format lies beside it."""
    return format not in EMBEDDED


def may_have_manifest(path: Path, format: str) -> bool:
    """Whether a file looks as if it had Content Credentials; cheap, and not a proof."""
    if has_sidecar(format):
        return find_sidecar(path) is not None
    with path.open("rb") as file:
        ends = file.read(_END)
        file.seek(max(file.seek(0, os.SEEK_END) - _END, len(ends)))
        ends += file.read()
    return b"jumb" in ends and b"c2pa" in ends
