"""Picture files for tests that OpenCV does not write itself."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

PROFILE = (320).to_bytes(4, "big") + b"lcms\x04\x40\0\0mntrRGB XYZ " + bytes(320 - 24)
"""As much of an ICC profile as is looked at: its size and its colour space."""


def png(
    width: int,
    height: int,
    color_type: int,
    depth: int,
    rows: bytes,
    extra: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """A PNG from raw rows, each beginning with its filter byte; ``extra`` chunks come before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def exif_with(orientation: int) -> bytes:
    """A little-endian EXIF block with a maker, an orientation and a position."""
    maker = b"Maker\0"
    entries = struct.pack("<HHII", 0x010F, 2, len(maker), 8 + 2 + 36 + 4)
    entries += struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack("<HHII", 0x8825, 4, 1, 0)
    return b"II*\0" + struct.pack("<IH", 8, 3) + entries + bytes(4) + maker


def tiff_with_orientation(data: bytes, orientation: int) -> bytes:
    """The little-endian TIFF with another first directory that has an orientation."""
    at = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[at : at + 2])[0]
    entries = {}
    for begin in range(at + 2, at + 2 + 12 * count, 12):
        entries[struct.unpack("<H", data[begin : begin + 2])[0]] = data[begin : begin + 12]
    entries[274] = struct.pack("<HHIHH", 274, 3, 1, orientation, 0)
    data += bytes(len(data) % 2)
    table = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + table


def cmyk_jpeg(samples: tuple[int, int, int, int]) -> bytes:
    """An 8×8 baseline JPEG of one colour with four components, marked as Adobe's (inverted) CMYK."""

    def segment(marker: int, body: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

    adobe = segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0))
    quantization = segment(0xDB, b"\0" + b"\x08" * 64)
    frame = segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 4) + b"".join(bytes([n, 0x11, 0]) for n in range(4)))
    # DC: the nine categories as codes of four bits. AC: one code of one bit, the end of the block.
    dc = segment(0xC4, b"\0" + bytes([0, 0, 0, 9] + [0] * 12) + bytes(range(9)))
    ac = segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    scan = segment(0xDA, b"\x04" + b"".join(bytes([n, 0]) for n in range(4)) + b"\0\x3f\0")
    bits = ""
    for sample in samples:
        value = sample - 128
        size = abs(value).bit_length()
        bits += f"{size:04b}"
        if size:
            bits += f"{value if value > 0 else value + (1 << size) - 1:0{size}b}"
        bits += "0"
    bits += "1" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"\xff\xd8" + adobe + quantization + frame + dc + ac + scan + body + b"\xff\xd9"
