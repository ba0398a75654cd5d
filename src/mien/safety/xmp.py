"""Puts an XMP packet into a JPEG, PNG, WebP or TIFF file and takes it out again, without touching the picture.

Sources: Adobe's "XMP Specification Part 3: Storage in Files" (JPEG APP1, PNG iTXt, TIFF tag 700), the "Portable Network
Graphics" recommendation of the W3C, RFC 9649 (WebP container), and TIFF 6.0.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from mien.errors import CorruptMedia

JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
JPEG_EXTENDED = b"http://ns.adobe.com/xmp/extension/\0"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEYWORD = b"XML:com.adobe.xmp"
TIFF_TAG = 700
TIFF_BYTE = 1
VP8X_XMP = 0x04
VP8X_ALPHA = 0x10
TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of one value, by TIFF field type."""


def format_of(data: bytes) -> str | None:
    """The picture format that the first bytes announce, if it is one that can hold a packet."""
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:8] == PNG_SIGNATURE:
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "tiff"
    return None


def embed(data: bytes, packet: bytes) -> bytes | None:
    """The file with ``packet`` as its only XMP packet; None if the format has no place for one.

    Raises CorruptMedia if the file is not built as its first bytes say.
    """
    found = format_of(data)
    if found is None:
        return None
    with _Guard():
        return _EMBED[found](data, packet)


def extract(data: bytes) -> bytes | None:
    """The XMP packet of the file, if there is one. Raises CorruptMedia for a file that is cut off."""
    found = format_of(data)
    if found is None:
        return None
    with _Guard():
        return _EXTRACT[found](data)


class _Guard:
    """Turns a read beyond the end of the file into CorruptMedia."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, struct.error | IndexError | OverflowError | zlib.error):
            raise CorruptMedia("The picture file is cut off or damaged; its metadata cannot be read.") from None


# JPEG: markers FF xx, length (2 bytes, big endian, counting itself), payload; the picture begins at SOS (FF DA)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the segments before the picture data; start is that of the FF byte."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise CorruptMedia("The JPEG file is damaged; its metadata cannot be read.")
        if data[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, at, at + 2 + length
        if marker == 0xDA:
            return
        at += 2 + length


def _embed_jpeg(data: bytes, packet: bytes) -> bytes:
    payload = JPEG_HEADER + packet
    if len(payload) > 65533:
        raise ValueError("an XMP packet in a JPEG file must be shorter than 64 kB")
    ours = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    head, rest = [data[:2]], [b""]
    for marker, start, end in _jpeg_segments(data):
        if marker == 0xDA:
            rest.append(data[start:])
            break
        segment = data[start:end]
        if marker == 0xE1 and segment[4:].startswith((JPEG_HEADER, JPEG_EXTENDED)):
            continue
        first = marker == 0xE0 or (marker == 0xE1 and segment[4:10] == b"Exif\0\0")
        (head if first and len(rest) == 1 else rest).append(segment)
    return b"".join([*head, ours, *rest])


def _extract_jpeg(data: bytes) -> bytes | None:
    for marker, start, end in _jpeg_segments(data):
        if marker == 0xE1 and data.startswith(JPEG_HEADER, start + 4):
            return data[start + 4 + len(JPEG_HEADER) : end]
    return None


# PNG: length (4, big endian), type (4), data, CRC-32 of type and data


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(type, payload, whole chunk) of every chunk."""
    at = len(PNG_SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length], data[at : at + 12 + length]
        at += 12 + length


def _png_text(payload: bytes) -> bytes | None:
    keyword, _, rest = payload.partition(b"\0")
    if keyword != PNG_KEYWORD or len(rest) < 2:
        return None
    compressed = rest[0] == 1
    _language, _, rest = rest[2:].partition(b"\0")
    _translated, _, text = rest.partition(b"\0")
    return zlib.decompress(text) if compressed else text


def _embed_png(data: bytes, packet: bytes) -> bytes:
    body = b"iTXt" + PNG_KEYWORD + b"\0\0\0\0\0" + packet
    ours = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    parts = [PNG_SIGNATURE]
    for kind, payload, whole in _png_chunks(data):
        if kind == b"iTXt" and payload.startswith(PNG_KEYWORD + b"\0"):
            continue
        parts.append(whole)
        if kind == b"IHDR":
            parts.append(ours)
    return b"".join(parts)


def _extract_png(data: bytes) -> bytes | None:
    for kind, payload, _ in _png_chunks(data):
        if kind == b"iTXt" and (text := _png_text(payload)) is not None:
            return text
        if kind == b"IEND":
            break
    return None


# WebP: RIFF chunks, type (4), length (4, little endian), data padded to an even length


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _webp_chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) & 1)


def _vp8x_for(kind: bytes, payload: bytes) -> bytes:
    """The extended header that a file of one picture chunk needs before it may hold metadata."""
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", payload, 1)
        width, height, alpha = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    elif kind != b"VP8 ":
        raise CorruptMedia("The WebP file is damaged; its metadata cannot be written.")
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", payload, 6))
        alpha = False
    flags = VP8X_ALPHA if alpha else 0
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes([flags, 0, 0, 0]) + sizes


def _embed_webp(data: bytes, packet: bytes) -> bytes:
    chunks = [(kind, payload) for kind, payload in _webp_chunks(data) if kind != b"XMP "]
    if chunks[0][0] != b"VP8X":
        chunks.insert(0, (b"VP8X", _vp8x_for(*chunks[0])))
    header = chunks[0][1]
    chunks[0] = (b"VP8X", bytes([header[0] | VP8X_XMP]) + header[1:])
    body = b"WEBP" + b"".join(_webp_chunk(*chunk) for chunk in [*chunks, (b"XMP ", packet)])
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _extract_webp(data: bytes) -> bytes | None:
    return next((payload for kind, payload in _webp_chunks(data) if kind == b"XMP "), None)


# TIFF: the first directory is written anew at the end of the file, with the packet behind it


def _tiff_directory(data: bytes) -> tuple[str, list[tuple[int, int, int, bytes]], int]:
    """(byte order, entries (tag, type, count, four bytes of value or offset), offset of the next directory)."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    entries = [struct.unpack_from(order + "HHI4s", data, at + 2 + 12 * index) for index in range(count)]
    (following,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    return order, [(tag, kind, length, value) for tag, kind, length, value in entries], following


def _embed_tiff(data: bytes, packet: bytes) -> bytes:
    order, entries, following = _tiff_directory(data)
    padded = data + b"\0" * (len(data) & 1)
    kept = [entry for entry in entries if entry[0] != TIFF_TAG]
    packet_at = len(padded) + 2 + 12 * (len(kept) + 1) + 4
    ours = (TIFF_TAG, TIFF_BYTE, len(packet), struct.pack(order + "I", packet_at))
    rows = b"".join(struct.pack(order + "HHI4s", *entry) for entry in sorted([*kept, ours]))
    directory = struct.pack(order + "H", len(kept) + 1) + rows + struct.pack(order + "I", following)
    return padded[:4] + struct.pack(order + "I", len(padded)) + padded[8:] + directory + packet


def _extract_tiff(data: bytes) -> bytes | None:
    order, entries, _ = _tiff_directory(data)
    for tag, kind, count, value in entries:
        if tag == TIFF_TAG:
            size = count * TIFF_SIZES.get(kind, 1)
            (at,) = struct.unpack(order + "I", value)
            return data[at : at + size]
    return None


_EMBED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "jpeg": _embed_jpeg,
    "png": _embed_png,
    "webp": _embed_webp,
    "tiff": _embed_tiff,
}
_EXTRACT: dict[str, Callable[[bytes], bytes | None]] = {
    "jpeg": _extract_jpeg,
    "png": _extract_png,
    "webp": _extract_webp,
    "tiff": _extract_tiff,
}
