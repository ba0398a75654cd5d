"""Colour profile, EXIF and XMP inside picture files: read from, and added to, the encoded bytes
without recoding.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media import exif
from mien.media.headers import Truncated, heif_properties, jpeg_segments, png_chunks, riff_chunks


@dataclass(frozen=True, slots=True)
class Metadata:
    """Raw blocks; ``exif`` begins with its TIFF header."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


_NAMESPACES: Final = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mien": "urn:mien:1.0/",
}

# Names of our tags -> XMP properties; the language alternatives of Dublin Core come separately.
_PROPERTIES: Final = {
    "digital_source_type": "Iptc4xmpExt:DigitalSourceType",
    "software": "xmp:CreatorTool",
    "date": "xmp:ModifyDate",
}
_TEXTS: Final = {"title": "dc:title", "description": "dc:description", "comment": "dc:description"}


def xmp_packet(tags: Mapping[str, str]) -> bytes:
    """An XMP packet that holds ``tags``.

    ``digital_source_type``, ``software``, ``date``, ``title``, ``description`` and ``comment`` become
    the standard properties, any other name (letters, digits, underscores) a property in mien's own
    namespace.
    """
    attributes, texts = "", ""
    for name, value in tags.items():
        if name in _TEXTS:
            item = f'<rdf:Alt><rdf:li xml:lang="x-default">{escape(value)}</rdf:li></rdf:Alt>'
            texts += f"<{_TEXTS[name]}>{item}</{_TEXTS[name]}>"
        else:
            attributes += f" {_PROPERTIES.get(name, f'mien:{name}')}={quoteattr(value)}"
    spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items() if prefix != "rdf")
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_NAMESPACES["rdf"]}">'
        f'<rdf:Description rdf:about=""{spaces}{attributes}>{texts}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    return packet.encode()


def read(data: bytes, format: str) -> Metadata:
    """The metadata of an encoded picture; empty for formats that carry none and where it is unreadable."""
    reader = _READERS.get(format)
    if reader is None:
        return Metadata()
    try:
        return reader(data)
    except (Truncated, struct.error, ValueError, IndexError, zlib.error):
        return Metadata()


def add(data: bytes, format: str, blocks: Metadata) -> bytes:
    """The encoded picture with metadata added; formats that carry none are returned as they are."""
    writer = _WRITERS.get(format)
    if writer is None or blocks == Metadata():
        return data
    return writer(data, blocks)


_XMP_JPEG: Final = b"http://ns.adobe.com/xap/1.0/\0"
_ICC_JPEG: Final = b"ICC_PROFILE\0"
_SEGMENT_BYTES: Final = 65500


def _read_jpeg(data: bytes) -> Metadata:
    icc: dict[int, bytes] = {}
    exif_block = xmp = None
    for marker, body in jpeg_segments(data):
        if marker == 0xE2 and body.startswith(_ICC_JPEG):
            icc[body[12]] = body[14:]
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif_block = exif_block or body[6:]
        elif marker == 0xE1 and body.startswith(_XMP_JPEG):
            xmp = xmp or body[len(_XMP_JPEG) :]
    return Metadata(b"".join(icc[n] for n in sorted(icc)) or None, exif_block, xmp)


def _write_jpeg(data: bytes, blocks: Metadata) -> bytes:
    segments = []
    if blocks.exif:
        segments.append((0xE1, b"Exif\0\0" + blocks.exif))
    if blocks.xmp:
        segments.append((0xE1, _XMP_JPEG + blocks.xmp))
    if blocks.icc:
        parts = [blocks.icc[at : at + _SEGMENT_BYTES] for at in range(0, len(blocks.icc), _SEGMENT_BYTES)]
        if len(parts) < 256:
            segments += [
                (0xE2, _ICC_JPEG + bytes([n + 1, len(parts)]) + part) for n, part in enumerate(parts)
            ]
    packed = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    # After the JFIF segment, which must come first.
    at = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2
    return data[:at] + packed + data[at:]


_XMP_PNG: Final = b"XML:com.adobe.xmp\0"


def _read_png(data: bytes) -> Metadata:
    icc = exif_block = xmp = None
    for kind, body in png_chunks(data):
        if kind == b"iCCP":
            icc = zlib.decompressobj().decompress(body[body.index(b"\0") + 2 :], 16 * 1024 * 1024)
        elif kind == b"eXIf":
            exif_block = body
        elif kind == b"iTXt" and body.startswith(_XMP_PNG) and body[len(_XMP_PNG)] == 0:
            xmp = body[len(_XMP_PNG) + 2 :].split(b"\0", 2)[2]
    return Metadata(icc, exif_block, xmp)


def _write_png(data: bytes, blocks: Metadata) -> bytes:
    chunks = []
    if blocks.icc:
        chunks.append((b"iCCP", b"icc\0\0" + zlib.compress(blocks.icc)))
    if blocks.exif:
        chunks.append((b"eXIf", blocks.exif))
    if blocks.xmp:
        chunks.append((b"iTXt", _XMP_PNG + b"\0\0\0\0" + blocks.xmp))
    packed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    end = 8 + 25  # signature and IHDR
    return data[:end] + packed + data[end:]


def _read_webp(data: bytes) -> Metadata:
    found = dict(riff_chunks(data))
    block = found.get(b"EXIF")
    return Metadata(
        found.get(b"ICCP"), block.removeprefix(b"Exif\0\0") if block else None, found.get(b"XMP ")
    )


def _write_webp(data: bytes, blocks: Metadata) -> bytes:
    """Put the file into the extended layout: VP8X, ICCP, pixels, EXIF, XMP."""
    chunks = list(riff_chunks(data))
    width, height, alpha = _webp_size(chunks)
    flags = bool(blocks.icc) << 5 | alpha << 4 | bool(blocks.exif) << 3 | bool(blocks.xmp) << 2
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    ordered = [(b"VP8X", bytes([flags, 0, 0, 0]) + size)]
    ordered += [(b"ICCP", blocks.icc)] if blocks.icc else []
    ordered += [chunk for chunk in chunks if chunk[0] in (b"ALPH", b"VP8 ", b"VP8L")]
    ordered += [(b"EXIF", blocks.exif)] if blocks.exif else []
    ordered += [(b"XMP ", blocks.xmp)] if blocks.xmp else []
    body = b"".join(
        kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in ordered
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_size(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int, bool]:
    found = dict(chunks)
    if b"VP8X" in found:
        head = found[b"VP8X"]
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (4, 7))
        return width, height, bool(head[0] & 16)
    if b"VP8L" in found:
        bits = int.from_bytes(found[b"VP8L"][1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    width, height = struct.unpack("<HH", found[b"VP8 "][6:10])
    return width & 0x3FFF, height & 0x3FFF, False


def _read_tiff(data: bytes) -> Metadata:
    directory = exif.first_directory(data)
    return Metadata(directory.raw(exif.ICC), data, directory.raw(exif.XMP))


def _write_tiff(data: bytes, blocks: Metadata) -> bytes:
    """Append a new first directory that holds the old entries and the added ones; pixels stay where
    they are.
    """
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[at : at + 2])[0]
    entries = {
        struct.unpack(order + "H", data[start : start + 2])[0]: data[start : start + 12]
        for start in range(at + 2, at + 2 + 12 * count, 12)
    }
    following = data[at + 2 + 12 * count :][:4]
    result = data + b"\0" * (len(data) % 2)
    for tag, kind, value in _tiff_values(blocks):
        entries[tag] = struct.pack(order + "HHII", tag, kind, len(value), len(result))
        result += value + b"\0" * (len(value) % 2)
    table = (
        struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + following
    )
    return result[:4] + struct.pack(order + "I", len(result)) + result[8:] + table


def _tiff_values(blocks: Metadata) -> Iterator[tuple[int, int, bytes]]:
    if blocks.xmp:
        yield exif.XMP, 1, blocks.xmp
    if blocks.icc:
        yield exif.ICC, 7, blocks.icc


def _read_avif(data: bytes) -> Metadata:
    profiles = (body[4:] for kind, body in heif_properties(data) if kind == b"colr" and body[:4] == b"prof")
    # XMP is plain text between markers that are made for being searched, the last one added; EXIF is not read.
    begin = data.rfind(b"<?xpacket begin")
    end = data.find(b"<?xpacket end", max(begin, 0))
    return Metadata(icc=next(profiles, None), xmp=data[begin : end + 19] if 0 <= begin < end else None)


XMP_GIF: Final = b"\x21\xff\x0bXMP DataXMP"
GIF_TRAILER: Final = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""Leads a reader of blocks out of a packet, whatever byte of it was taken for a length."""


def gif_blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each picture and extension of a GIF begins and ends, up to its trailer. Raises Truncated, IndexError."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[at] != 0x3B:
        begin = at
        if data[at] == 0x2C:
            at += 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
        elif data[at] == 0x21:
            at += 2
        else:
            raise Truncated
        while data[at]:
            at += data[at] + 1
        at += 1
        yield begin, at


def _read_gif(data: bytes) -> Metadata:
    for begin, end in gif_blocks(data):
        if data.startswith(XMP_GIF, begin):
            return Metadata(xmp=data[begin + len(XMP_GIF) : end].removesuffix(GIF_TRAILER))
    return Metadata()


def for_opencv(blocks: Metadata) -> tuple[list[int], list[NDArray[np.uint8]]]:
    """The blocks as the two lists that OpenCV's encoders take."""
    pairs = (
        (cv2.IMAGE_METADATA_ICCP, blocks.icc),
        (cv2.IMAGE_METADATA_EXIF, blocks.exif),
        (cv2.IMAGE_METADATA_XMP, blocks.xmp),
    )
    present = [(kind, np.frombuffer(block, np.uint8)) for kind, block in pairs if block]
    return [kind for kind, _ in present], [block for _, block in present]


_READERS: Final[dict[str, Callable[[bytes], Metadata]]] = {
    "jpeg": _read_jpeg,
    "png": _read_png,
    "webp": _read_webp,
    "tiff": _read_tiff,
    "avif": _read_avif,
    "gif": _read_gif,
}
_WRITERS: Final[dict[str, Callable[[bytes, Metadata], bytes]]] = {
    "jpeg": _write_jpeg,
    "png": _write_png,
    "webp": _write_webp,
    "tiff": _write_tiff,
}
