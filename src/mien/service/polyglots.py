"""Files that are two things at once: a picture that a browser runs as a page, or that unpacks as an archive.

Media of a stranger is handed on to others. It is served with its own type only, but what is saved to a disk may be
opened by its content again; no camera writes such files.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from mien.errors import UnsafeInput
from mien.media.sniff import Sniffed

_HEAD: Final = 1024
"""Readers of PDF look for its mark so far into a file."""
_BLOCK: Final = 4 << 20
_END_RECORD: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
_LONGEST_COMMENT: Final = 65535

# In pictures, where no text of a page belongs; compared in lower case.
_ACTIVE: Final[tuple[tuple[bytes, str], ...]] = (
    (b"<script", "a web page with a script"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?php", "a PHP program"),
)
_PACKED: Final[tuple[tuple[bytes, str], ...]] = (
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
)
_OVERLAP: Final = max(len(mark) for mark, _ in _ACTIVE + _PACKED) - 1


def check_single(path: Path, found: Sniffed) -> None:
    """Raise UnsafeInput when a media file is an archive, a document, or (for pictures) a page or program as well."""
    second = _document(path) or _archive(path) or (_hidden(path) if found.kind == "image" else None)
    if second is not None:
        raise UnsafeInput(
            f"{path} is {second} as well as {found.format.upper()} media; send it without that."
        )


def _document(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return "a PDF document" if b"%PDF-" in head else None


def _archive(path: Path) -> str | None:
    """ZIP files, and all formats made of them, are found from their end; anything may stand before them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END_SIZE - _LONGEST_COMMENT))
        tail = file.read()
    at = tail.rfind(_END_RECORD)
    while at >= 0:
        record = tail[at : at + _END_SIZE]
        if len(record) == _END_SIZE:
            entries, _, _, comment = struct.unpack("<10xHIIH", record)
            # Unpackers differ in whether bytes may follow the comment.
            if entries and at + _END_SIZE + comment <= len(tail):
                return "a ZIP archive"
        at = tail.rfind(_END_RECORD, 0, at)
    return None


def _hidden(path: Path) -> str | None:
    rest = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            data = rest + block
            lower = data.lower()
            for mark, name in _ACTIVE:
                if mark in lower:
                    return name
            for mark, name in _PACKED:
                if mark in data:
                    return name
            rest = data[-_OVERLAP:]
    return None
