"""Size, bit depth and orientation of a picture from its header, before anything is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mien.errors import CorruptMedia, InputMissing
from mien.media import exif
from mien.media.color import HLG, PQ
from mien.media.orientation import UPRIGHT, Orientation, from_exif


@dataclass(frozen=True, slots=True)
class Header:
    """Stored size (before the orientation is applied), bits per sample and number of frames of a
    picture.
    """

    width: int
    height: int
    depth: int = 8
    orientation: Orientation = UPRIGHT
    frames: int = 1
    components: int = 3
    hdr: bool = False


class Truncated(Exception):
    """The bytes of a picture end before its structure does, or contradict it."""


def read_header(path: Path, format: str) -> Header:
    """Parse the header of a picture file; ``format`` is that of ``sniff``.

    Raises CorruptMedia when the structure of the file is torn.
    """
    return parse_header(read_bytes(path), format, path)


def read_bytes(path: Path) -> bytes:
    """The whole file; raises InputMissing with a sentence when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputMissing(f"{path} cannot be opened: {error.strerror or error}.") from None


def parse_header(data: bytes, format: str, path: Path) -> Header:
    """Parse the header of a picture in memory; raises CorruptMedia that names ``path``."""
    try:
        return _PARSERS[format](data)
    except (Truncated, struct.error, IndexError, ValueError) as error:
        raise CorruptMedia(f"{path} is a damaged or incomplete {format.upper()} picture.") from error


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of the chunks of a PNG up to IEND; checksums are compared."""
    at = 8
    while True:
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if len(checksum) < 4 or zlib.crc32(kind + body) != int.from_bytes(checksum, "big"):
            raise Truncated
        yield kind, body
        if kind == b"IEND":
            return
        at += 12 + length


def still_png(data: bytes) -> bytes:
    """The PNG with only the chunks that make up its picture.

    libpng prints lines of its own about odd profiles and times, and OpenCV would begin to play an
    animation.
    """
    kept = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
    parts = [data[:8]]
    at = 8
    for kind, body in png_chunks(data):
        size = len(body) + 12
        if kind in kept:
            parts.append(data[at : at + size])
        at += size
    return b"".join(parts)


def without_uuid(data: bytes) -> bytes:
    """The AVIF file without boxes of other makers, such as that of Content Credentials, before its picture.

    OpenCV knows an AVIF file by its first 500 bytes only. A file whose layout is unusual comes back as it is.
    """
    boxes: list[tuple[bytes, bytes]] = []
    at = removed = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"mdat":
            break
        if size < 8 or at + size > len(data):
            return data
        boxes.append((kind, data[at : at + size]))
        at, removed = at + size, removed + size * (kind == b"uuid")
    if not removed:
        return data
    kept = b"".join(body for kind, body in boxes if kind != b"uuid")
    place = kept.find(b"iloc")
    if place < 0:
        return data
    try:
        return _moved(kept, place + 4, removed) + data[at:]
    except struct.error:
        return data


def _moved(data: bytes, place: int, by: int) -> bytes:
    """Lower the file offsets in the item locations at ``place`` (behind the box type); ISO 14496-12, 8.11.3.

    Raises struct.error for forms of the box that encoders of AVIF do not write.
    """
    version, sizes, base, count = struct.unpack_from(">B3xBBH", data, place)
    if version > 1 or sizes >> 4 != 4 or base >> 4 not in (0, 4) or (version and base & 15):
        raise struct.error("an unusual iloc box")
    result = bytearray(data)
    at = place + 8
    for _ in range(count):
        at += 2 + 2 * version  # item id and construction method
        at += 2  # data reference
        has_base = base >> 4 == 4
        start = struct.unpack_from(">I", data, at)[0] if has_base else 0
        if has_base and start:
            struct.pack_into(">I", result, at, start - by)
        at += base >> 4
        (extents,) = struct.unpack_from(">H", data, at)
        at += 2
        for _ in range(extents):
            if not start:
                struct.pack_into(">I", result, at, struct.unpack_from(">I", data, at)[0] - by)
            at += 4 + (sizes & 15)
    return bytes(result)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of the segments of a JPEG up to and with the first start of scan."""
    at = 2
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:
            at += 1
        if data[at] != 0xFF:
            raise Truncated
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            raise Truncated
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDA:
            if b"\xff\xd9" not in data[at:]:
                raise Truncated
            return


def riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of the chunks of a WebP file."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) + 1:
        raise Truncated
    at = 12
    while at + 8 <= min(end, len(data)):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            raise Truncated
        yield data[at : at + 4], data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _jpeg(data: bytes) -> Header:
    orientation = UPRIGHT
    size: tuple[int, int, int, int] | None = None
    for marker, body in jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            depth, height, width, components = struct.unpack(">BHHB", body[:6])
            size = width, height, depth, components
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and orientation.is_upright:
            orientation = from_exif(exif.orientation(body[6:]))
    if size is None:
        raise Truncated
    return Header(size[0], size[1], size[2], orientation, components=size[3])


def _png(data: bytes) -> Header:
    width = height = depth = 0
    frames, orientation, has_pixels, hdr = 1, UPRIGHT, False, False
    for kind, body in png_chunks(data):
        if kind == b"IHDR":
            width, height, depth = struct.unpack(">IIB", body[:9])
        elif kind == b"acTL":
            frames = int.from_bytes(body[:4], "big")
        elif kind == b"eXIf":
            orientation = from_exif(exif.orientation(body))
        elif kind == b"cICP":
            hdr = body[1] in (PQ, HLG)
        has_pixels = has_pixels or kind == b"IDAT"
    if not has_pixels:
        raise Truncated
    return Header(width, height, max(depth, 8), orientation, frames, hdr=hdr)


def _webp(data: bytes) -> Header:
    width = height = frames = 0
    orientation = UPRIGHT
    for kind, body in riff_chunks(data):
        if kind == b"VP8X":
            width = int.from_bytes(body[4:7], "little") + 1
            height = int.from_bytes(body[7:10], "little") + 1
        elif kind == b"VP8 " and not width:
            width, height = (n & 0x3FFF for n in struct.unpack("<HH", body[6:10]))
        elif kind == b"VP8L" and not width:
            bits = int.from_bytes(body[1:5], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif kind == b"EXIF":
            orientation = from_exif(exif.orientation(body.removeprefix(b"Exif\0\0")))
        frames += kind == b"ANMF"
    return Header(width, height, 8, orientation, max(frames, 1))


def _bmp(data: bytes) -> Header:
    if int.from_bytes(data[14:18], "little") == 12:
        width, height = struct.unpack("<HH", data[18:22])
    else:
        width, height = struct.unpack("<ii", data[18:26])
    return Header(width, abs(height))


def _gif(data: bytes) -> Header:
    width, height = struct.unpack("<HH", data[6:10])
    return Header(width, height)


def _tiff(data: bytes) -> Header:
    tags = exif.first_directory(data)
    width, height = tags.integer(256), tags.integer(257)
    depth = tags.integer(258, 8)
    return Header(width, height, max(depth, 8), from_exif(tags.integer(274, 1)))


def _avif(data: bytes) -> Header:
    """Size from the largest 'ispe', turn from 'irot' and 'imir': properties of the picture in its
    'meta' box.
    """
    properties = list(heif_properties(data))
    sizes = [struct.unpack(">II", body[4:12]) for kind, body in properties if kind == b"ispe"]
    if not sizes:
        raise Truncated
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    depth = max((body[5] for kind, body in properties if kind == b"pixi" and len(body) > 5), default=8)
    nclx = [body for kind, body in properties if kind == b"colr" and body[:4] == b"nclx"]
    hdr = any(int.from_bytes(body[6:8], "big") in (PQ, HLG) for body in nclx)
    return Header(width, height, max(depth, 8), _heif_orientation(properties), hdr=hdr)


def _heif_orientation(properties: list[tuple[bytes, bytes]]) -> Orientation:
    turns = {0: UPRIGHT, 1: from_exif(8), 2: from_exif(3), 3: from_exif(6)}
    result = UPRIGHT
    for kind, body in properties:
        if kind == b"irot":
            result = turns[body[0] & 3]
        elif kind == b"imir" and result.is_upright:
            # Axis 0 is vertical mirroring (top to bottom), axis 1 horizontal, after MIAF.
            result = from_exif(2 if body[0] & 1 else 4)
    return result


def heif_properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of the item properties of an AVIF file: size, turn, colour."""
    for path, body in _boxes(data):
        if path == b"meta":
            for inner, content in _boxes(body[4:]):
                if inner == b"iprp":
                    for kind, part in _boxes(content):
                        if kind == b"ipco":
                            yield from _boxes(part)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        size = size or len(data) - at
        if size < 8 or at + size > len(data):
            raise Truncated
        yield kind, data[start : at + size]
        at += size


_PARSERS: Final[dict[str, Callable[[bytes], Header]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "bmp": _bmp,
    "gif": _gif,
    "tiff": _tiff,
    "avif": _avif,
}
