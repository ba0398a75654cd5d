"""Taking the graph out of the files that saving nodes write: PNG texts, EXIF, XMP, comments and tags go.

Only metadata is cut or blanked; no picture, sound or video is decoded.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

_PNG_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")
_JPEG_SEGMENTS: Final = (0xE1, 0xED, 0xFE)  # EXIF and XMP, IPTC, comment
_WEBP_CHUNKS: Final = (b"EXIF", b"XMP ")
_FLAC_BLOCKS: Final = (2, 4)  # application, comments
_MP4_HOMES: Final = (b"moov", b"trak", b"mdia", b"moof", b"traf")
_MP4_TAGS: Final = (b"udta", b"meta", b"uuid")
_TAGS: Final = b"\x12\x54\xc3\x67"
_SEGMENT: Final = b"\x18\x53\x80\x67"


def strip(path: Path, format: str) -> None:
    """Remove metadata from a file of that format, in place; other formats stay as they are.

    A file whose structure is damaged is cut no further than it can be understood.
    """
    if format in _BLANKED:
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data, suppress(IndexError):
            _BLANKED[format](data)
        return
    rewrite = _REWRITTEN.get(format)
    if rewrite is None:
        return
    old = path.read_bytes()
    try:
        new = rewrite(old)
    except (struct.error, IndexError):
        return
    if new != old:
        beside = path.with_name(path.name + ".part")
        beside.write_bytes(new)
        os.replace(beside, path)


def _png(data: bytes) -> bytes:
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        if data[at + 4 : at + 8] not in _PNG_TEXTS:
            kept.append(data[at : at + 12 + size])
        at += 12 + size
    return b"".join([*kept, data[at:]])


def _jpeg(data: bytes) -> bytes:
    kept, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = 2 + struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] not in _JPEG_SEGMENTS:
            kept.append(data[at : at + size])
        at += size
    return b"".join([*kept, data[at:]])


def _webp(data: bytes) -> bytes:
    kept, at = [], 12
    while at + 8 <= len(data):
        size = 8 + struct.unpack_from("<I", data, at + 4)[0]
        size += size % 2
        kind = data[at : at + 4]
        chunk = data[at : at + size]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~0b1100]) + chunk[9:]
        if kind not in _WEBP_CHUNKS:
            kept.append(chunk)
        at += size
    body = b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _flac(data: bytes) -> bytes:
    blocks, at, last = [], 4, False
    while not last:
        last, kind = bool(data[at] & 0x80), data[at] & 0x7F
        size = 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        if kind not in _FLAC_BLOCKS:
            blocks.append(bytearray(data[at : at + size]))
        at += size
    for block in blocks:
        block[0] &= 0x7F
    blocks[-1][0] |= 0x80
    return b"".join([data[:4], *map(bytes, blocks), data[at:]])


def _mp4(data: mmap.mmap, at: int = 0, end: int | None = None) -> None:
    """Turn tag boxes into free ones; sizes stay, so that nothing that points into the file has to change."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        kind = data[at + 4 : at + 8]
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or end - at
        if size < head or at + size > end:
            return
        if kind in _MP4_TAGS:
            data[at + 4 : at + 8] = b"free"
            data[at + head : at + size] = bytes(size - head)
        elif kind in _MP4_HOMES:
            _mp4(data, at + head, at + size)
        at += size


def _matroska(data: mmap.mmap) -> None:
    """Turn the elements with tags into void ones of the same size."""
    at = _skip(data, 0)
    if data[at : at + 4] != _SEGMENT:
        return
    at += 4 + _length(data[at + 4])
    while at + 5 < len(data):
        name = data[at : at + 4]
        after = _skip(data, at)
        if after <= at or after > len(data):
            return
        if name == _TAGS:
            # One byte of name and eight of length, which is never more than what is replaced.
            size = after - at
            data[at:after] = (
                b"\xec\x01" + (size - 9).to_bytes(7, "big") + bytes(size - 9)
                if size >= 9
                else b"\xec" + bytes([0x80 | (size - 2)]) + bytes(size - 2)
            )
        at = after


def _length(first: int) -> int:
    """Bytes of a variable-length number that begins with this byte."""
    return 9 - first.bit_length() if first else 8


def _skip(data: mmap.mmap, at: int) -> int:
    """Where the element after the one at ``at`` begins; 0 when its length is not given."""
    name = _length(data[at])
    size = _length(data[at + name])
    mask = (1 << 7 * size) - 1
    value = int.from_bytes(data[at + name : at + name + size], "big") & mask
    return 0 if value == mask else at + name + size + value


_REWRITTEN: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "flac": _flac,
}
_BLANKED: Final[Mapping[str, Callable[[mmap.mmap], None]]] = {
    "mp4": _mp4,
    "mov": _mp4,
    "m4a": _mp4,
    "matroska": _matroska,
    "webm": _matroska,
}
