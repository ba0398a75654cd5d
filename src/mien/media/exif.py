"""The few parts of TIFF structures that are needed: orientation, profile, and a small block to write back.

Of an input's EXIF only the camera, the author and the date are kept. Position, serial numbers, maker
notes and the thumbnail are left out: the thumbnail still shows the face that was replaced.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}

ORIENTATION: Final = 0x0112
XMP: Final = 700
ICC: Final = 34675

# ImageDescription, Make, Model, DateTime, Artist, Copyright.
_KEPT: Final = (0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298)


@dataclass(frozen=True, slots=True)
class Directory:
    """Tags of one image file directory: number -> (type, raw bytes), and where each entry's value
    field is.
    """

    order: str
    entries: Mapping[int, tuple[int, bytes]]
    places: Mapping[int, int]

    def integer(self, tag: int, default: int = 0) -> int:
        """First value of an integer tag."""
        kind, raw = self.entries.get(tag, (0, b""))
        code = _INTEGERS.get(kind)
        if code is None or len(raw) < _SIZES[kind]:
            return default
        return int(struct.unpack(self.order + code, raw[: _SIZES[kind]])[0])

    def raw(self, tag: int) -> bytes | None:
        """Bytes of a tag as they are."""
        return self.entries[tag][1] if tag in self.entries else None


def first_directory(data: bytes) -> Directory:
    """Parse the first directory of a TIFF or BigTIFF structure; ValueError or struct.error when it
    is torn.
    """
    if data[:2] not in (b"II", b"MM"):
        raise ValueError("no TIFF byte order")
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    offset_code, entry_size, inline = ("Q", 20, 8) if big else ("I", 12, 4)
    at = struct.unpack(order + offset_code, data[8:16] if big else data[4:8])[0]
    count_code, count_size = ("Q", 8) if big else ("H", 2)
    count = struct.unpack(order + count_code, data[at : at + count_size])[0]
    if count > 4096:
        raise ValueError("too many tags")
    entries: dict[int, tuple[int, bytes]] = {}
    places: dict[int, int] = {}
    for n in range(count):
        begin = at + count_size + n * entry_size
        entry = data[begin : begin + entry_size]
        tag, kind, length = struct.unpack(order + "HH" + offset_code, entry[: 4 + inline])
        size = length * _SIZES.get(kind, 1)
        raw = entry[4 + inline :][:size]
        if size > inline:
            start = struct.unpack(order + offset_code, entry[4 + inline :])[0]
            raw = data[start : start + size]
        entries[tag] = kind, raw
        places[tag] = begin + 4 + inline
    return Directory(order, entries, places)


def without_orientation(data: bytes) -> bytes:
    """The TIFF with its orientation tag set to upright: decoders differ in whether they apply it."""
    try:
        directory = first_directory(data)
    except (ValueError, struct.error):
        return data
    if directory.integer(ORIENTATION, 1) == 1:
        return data
    at = directory.places[ORIENTATION]
    return data[:at] + struct.pack(directory.order + "H", 1) + data[at + 2 :]


def orientation(data: bytes) -> int:
    """The orientation 1 to 8 of an EXIF block (from its TIFF header on); 1 when it says nothing
    readable.
    """
    try:
        number = first_directory(data).integer(ORIENTATION, 1)
    except (ValueError, struct.error):
        return 1
    return number if 1 <= number <= 8 else 1


def kept(data: bytes) -> bytes | None:
    """A new EXIF block with the tags of ``data`` that are kept, upright; None when there are none."""
    try:
        source = first_directory(data)
    except (ValueError, struct.error):
        return None
    texts = {tag: source.entries[tag][1] for tag in _KEPT if source.entries.get(tag, (0, b""))[0] == 2}
    return _block(texts) if texts else None


def _block(texts: Mapping[int, bytes]) -> bytes:
    """A little-endian TIFF structure with text tags and orientation 1."""
    fields = sorted([*((tag, 2, raw.rstrip(b"\0") + b"\0") for tag, raw in texts.items())])
    fields = sorted([*fields, (ORIENTATION, 3, struct.pack("<H", 1))])
    table = struct.pack("<H", len(fields))
    values = b""
    start = 8 + 2 + 12 * len(fields) + 4
    for tag, kind, raw in fields:
        length = len(raw) // _SIZES[kind]
        if len(raw) <= 4:
            table += struct.pack("<HHI4s", tag, kind, length, raw)
        else:
            table += struct.pack("<HHII", tag, kind, length, start + len(values))
            values += raw + b"\0" * (len(raw) % 2)
    return b"II*\0" + struct.pack("<I", 8) + table + b"\0\0\0\0" + values
