"""Puts an XMP packet into a finished picture file, in the place of its own; no pixel is touched."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from mien.media import metadata
from mien.media.headers import Truncated, parse_header, png_chunks, riff_chunks

_JPEG: Final = (b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0")
_PNG: Final = b"XML:com.adobe.xmp\0"
_SEGMENT: Final = 65_500
_XMP_BOX: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The name under which ISO base media files hold XMP."""
_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10


def with_xmp(data: bytes, format: str, packet: bytes) -> bytes | None:
    """The picture file with this packet and everything else as it was, animations too.

    None for a format that holds none (BMP), for a file whose structure is torn, and where a packet that is there
    already would be read in the place of this one.
    """
    writer = _WRITERS.get(format)
    try:
        made = None if writer is None else writer(data, packet)
        return made if made is not None and metadata.read(made, format).xmp == packet else None
    except (Truncated, struct.error, IndexError, ValueError, zlib.error):
        return None


def _png(data: bytes, packet: bytes) -> bytes:
    parts, at = [data[:8]], 8
    for kind, body in png_chunks(data):
        whole = data[at : at + len(body) + 12]
        at += len(whole)
        if kind != b"iTXt" or not body.startswith(_PNG):
            parts.append(whole)
        if kind == b"IHDR":
            text = b"iTXt" + _PNG + b"\0\0\0\0" + packet
            parts.append(struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text)))
    return b"".join(parts)


def _jpeg(data: bytes, packet: bytes) -> bytes | None:
    if len(_JPEG[0]) + len(packet) > _SEGMENT:
        return None
    kept, at = [data[:2]], 2
    for marker, whole in _segments(data):
        at += len(whole)
        if marker != 0xE1 or not whole[4:].startswith(_JPEG):
            kept.append(whole)
    return metadata.add(b"".join([*kept, data[at:]]), "jpeg", metadata.Metadata(xmp=packet))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments before the pixels, with their heads."""
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:
        size = 2 + struct.unpack_from(">H", data, at + 2)[0]
        yield data[at + 1], data[at : at + size]
        at += size


def _webp(data: bytes, packet: bytes) -> bytes:
    chunks = [(kind, body) for kind, body in riff_chunks(data) if kind != b"XMP "]
    if not any(kind == b"VP8X" for kind, _ in chunks):
        chunks.insert(0, (b"VP8X", _extended(data, chunks)))
    chunks.append((b"XMP ", packet))
    parts = []
    for kind, body in chunks:
        content = bytes([body[0] | _XMP_FLAG]) + body[1:] if kind == b"VP8X" else body
        parts.append(kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2))
    whole = b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(whole) + 4) + b"WEBP" + whole


def _extended(data: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """The chunk that begins the extended layout."""
    from pathlib import Path

    header = parse_header(data, "webp", Path("picture"))
    lossless = dict(chunks).get(b"VP8L")
    has_alpha = lossless is not None and bool(lossless[4] >> 4 & 1)
    size = (header.width - 1).to_bytes(3, "little") + (header.height - 1).to_bytes(3, "little")
    return bytes([_ALPHA_FLAG if has_alpha else 0, 0, 0, 0]) + size


def _tiff(data: bytes, packet: bytes) -> bytes | None:
    if data[2:4] not in (b"*\0", b"\0*"):  # the kind with 64 bit addresses
        return None
    return metadata.add(data, "tiff", metadata.Metadata(xmp=packet))


def _gif(data: bytes, packet: bytes) -> bytes:
    """As an application extension behind the last picture."""
    blocks = list(metadata.gif_blocks(data))
    kept = [data[begin:end] for begin, end in blocks if not data.startswith(metadata.XMP_GIF, begin)]
    extension = metadata.XMP_GIF + packet + metadata.GIF_TRAILER
    return b"".join([b"GIF89a", data[6 : blocks[0][0]], *kept, extension, b"\x3b"])


def _avif(data: bytes, packet: bytes) -> bytes | None:
    """In a box behind the picture: nothing that points into the file has to change."""
    at = 0
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        if size < 8 or at + size > len(
            data
        ):  # the last box may be one without an end, which takes what is behind it
            return None
        at += size
    return data + struct.pack(">I4s", 24 + len(packet), b"uuid") + _XMP_BOX + packet


_WRITERS: Final[dict[str, Callable[[bytes, bytes], bytes | None]]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "tiff": _tiff,
    "gif": _gif,
    "avif": _avif,
}
