"""Tags in finished sound files: packets are copied, nothing is encoded again. What the file said before is dropped."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import av

from mien.media import metadata
from mien.media.atomic import Finish, replacing
from mien.media.container import input_errors, muxing_errors, open_input

KEPT_AS: Final[Mapping[str, str]] = {
    "wav": "wav",
    "mp3": "mp3",
    "flac": "flac",
    "ogg": "ogg",
    "m4a": "m4a",
    "aac": "m4a",
}
"""Formats of ``sniff`` that tags can be put into, and the format that they have then: bare AAC has no place for any."""
_MUXERS: Final = {"mp3": "mp3", "flac": "flac", "ogg": "ogg", "m4a": "ipod"}
_XMP: Final = b"_PMX"
_LARGEST: Final = (1 << 32) - 1


def tag_sound(
    path: Path, format: str, output: Path, tags: Mapping[str, str], finish: Finish | None = None
) -> bool:
    """Write the sound file with these tags; False for a format that has no place for them, and a torn WAV file.

    ``output`` has the ending of ``KEPT_AS``. ``finish`` may change the finished file before it appears under its
    name. Raises CorruptMedia, UnsupportedMedia, OutputError, DiskFull, OutputNotWritable.
    """
    if format == "wav":
        return _tag_wave(path, output, metadata.xmp_packet(tags), finish)
    if format not in KEPT_AS:
        return False
    options = {"movflags": "+faststart+use_metadata_tags"} if KEPT_AS[format] == "m4a" else {}
    with replacing(output) as temporary:
        with open_input(path) as source, muxing_errors(output):
            place = str(temporary.absolute())
            with av.open(place, "w", format=_MUXERS[KEPT_AS[format]], options=options) as target:
                target.metadata.update(tags)
                _copy(source, target, path)
        if finish is not None:
            finish(temporary)
    return True


def wave_packet(path: Path) -> bytes | None:
    """The XMP packet of a WAV file; None where there is none, or the file is torn."""
    with path.open("rb") as file:
        for kind, at, size in _chunks(file):
            if kind == _XMP:
                file.seek(at)
                return file.read(min(size, 1 << 20))
    return None


def _copy(source: Any, target: Any, path: Path) -> None:
    stream = source.streams.audio[0]
    copied = target.add_stream_from_template(stream, opaque=True)
    with input_errors(path):
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copied
                target.mux(packet)


def _tag_wave(path: Path, output: Path, packet: bytes, finish: Finish | None) -> bool:
    """Append the chunk that holds XMP in a WAV file; one that is there already gets another name."""
    packet += b" " * (len(packet) % 2)
    with path.open("rb") as file:
        head, end = file.read(4), file.seek(0, os.SEEK_END)
        chunks = list(_chunks(file))
    whole = end + end % 2 + 8 + len(packet)
    is_torn = not any(kind == b"data" and at + size <= end for kind, at, size in chunks)
    if head != b"RIFF" or whole - 8 > _LARGEST or is_torn:
        return False
    with replacing(output) as temporary:
        shutil.copyfile(path, temporary)
        with temporary.open("r+b") as file:
            for _, at, _ in (chunk for chunk in chunks if chunk[0] == _XMP):
                file.seek(at - 8)
                file.write(b"JUNK")
            file.seek(0, os.SEEK_END)
            file.write(b"\0" * (end % 2) + _XMP + struct.pack("<I", len(packet)) + packet)
            file.seek(4)
            file.write(struct.pack("<I", whole - 8))
        if finish is not None:
            finish(temporary)
    return True


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of the content of each chunk."""
    at = 12
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        kind, size = struct.unpack("<4sI", head)
        yield kind, at + 8, size
        at += 8 + size + size % 2
