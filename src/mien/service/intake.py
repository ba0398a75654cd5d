"""What strangers send: received within limits, recognised by its content, described, or refused with a sentence."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from mien.errors import CorruptMedia, InputError, MediaTooLarge, UploadTooLarge
from mien.media import formats
from mien.media.atomic import output_errors
from mien.service.names import safe_name
from mien.service.polyglots import check_single
from mien.service.settings import ServiceSettings

Kind = Literal["image", "video", "audio", "file"]

BLOCK: Final = 1 << 20
MAX_PICTURE_BYTES: Final = 200 << 20
"""Pictures are opened in memory as a whole; videos and sounds are not."""

FRAMES_A_SECOND: Final = 120
"""Frames of the longest video that is taken, on average; counting those of a tiny animation may take minutes."""


@dataclass(frozen=True, slots=True)
class Media:
    """What a file holds. ``kind`` "file" (and UNKNOWN as its type) is for results that are no media, as archives."""

    kind: Kind
    format: str
    content_type: str
    width: int = 0
    height: int = 0
    duration: float = 0.0
    """Seconds; 0 for pictures."""
    frames: int = 0
    """1 for pictures, 0 for sounds."""
    fps: float = 0.0
    has_audio: bool = False

    @property
    def ending(self) -> str:
        """The usual ending of such a file, without the dot; empty for what is no media."""
        return formats.extension(self.format) if self.format else ""

    def as_record(self) -> dict[str, Any]:
        """For the database."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Received:
    """A file that came in whole."""

    path: Path
    size: int
    sha256: str


@contextmanager
def scratch_file(folder: Path) -> Iterator[Path]:
    """A new file that only this user may read, removed at the end of the block."""
    path = folder / f"{secrets.token_hex(16)}.part"
    try:
        with output_errors(path):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def receive(chunks: Iterable[bytes], path: Path, limit: int) -> Received:
    """Write bytes as they come. Raises UploadTooLarge, DiskFull, and what ``chunks`` raises."""
    digest, size = hashlib.sha256(), 0
    with output_errors(path), path.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise UploadTooLarge(
                    f"The file is larger than the limit of {in_mb(limit)}; send a smaller one."
                )
            digest.update(chunk)
            file.write(chunk)
    return Received(path, size, digest.hexdigest())


def measured(path: Path) -> Received:
    """A file that lies here already."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return Received(path, path.stat().st_size, digest.hexdigest())


def examine(path: Path, name: str, settings: ServiceSettings) -> Media:
    """What an input is, by its content. Messages name it ``name``.

    Raises CorruptMedia, UnsupportedMedia, UnsafeInput (a playlist, or a file that is a second thing as well),
    MediaTooLarge when it is over a limit of pixels, frames, seconds or bytes.
    """
    from mien.media.sniff import sniff

    try:
        found = sniff(path)
        if found.kind == "image" and path.stat().st_size > MAX_PICTURE_BYTES:
            raise MediaTooLarge(
                f"{path} is a picture of more than {in_mb(MAX_PICTURE_BYTES)}; make it smaller."
            )
        check_single(path, found)
        most = int(settings.max_seconds * FRAMES_A_SECOND)
        media = describe(path, max_pixels=settings.max_pixels, max_frames=most)
    except InputError as error:
        raise type(error)(str(error).replace(str(path), name)) from None
    if media.duration > settings.max_seconds:
        raise MediaTooLarge(
            f"{name} is {media.duration:.0f} seconds long, more than the limit of {settings.max_seconds:.0f}; cut it."
        )
    return media


def describe(path: Path, *, max_pixels: int, max_frames: int | None = None) -> Media:
    """What a media file holds; raises what ``probe`` raises."""
    from mien.media.probe import probe

    info = probe(path, max_pixels=max_pixels, max_frames=max_frames)
    video = info.video
    frames = video.frame_count if video is not None else int(info.kind == "image")
    if info.kind == "video" and frames == 0:
        raise CorruptMedia(f"{path} holds no frames.")
    return Media(
        info.kind,
        info.format,
        formats.content_type(info.format),
        info.width,
        info.height,
        info.duration,
        frames,
        0.0 if video is None else float(video.rate),
        info.audio is not None,
    )


def describe_result(path: Path) -> Media:
    """What a file of our own holds; anything may be one."""
    try:
        return describe(path, max_pixels=1 << 40)
    except InputError:
        return Media("file", "", _TYPES.get(path.suffix.lower(), formats.UNKNOWN))


def named(name: str, media: Media) -> str:
    """A safe name with an ending that fits the content: it decides what a system does with the file."""
    name = safe_name(name)
    stem, dot, ending = name.rpartition(".")
    if not media.ending or (dot and formats.type_of_ending(ending) == media.content_type):
        return name
    is_media = dot and formats.type_of_ending(ending) != formats.UNKNOWN
    return safe_name(stem if is_media else name, media.ending)


def in_mb(size: int) -> str:
    """Bytes for people."""
    return f"{size / (1 << 20):.4g} MB"


_TYPES: Final = {
    ".zip": "application/zip",
    ".json": "application/json",
    ".txt": "text/plain",
    ".c2pa": "application/c2pa",
}
