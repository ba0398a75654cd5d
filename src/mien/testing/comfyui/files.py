"""The three folders of an instance, and how names and pictures go in and out of them."""

from __future__ import annotations

import json
import re
import shutil
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

KINDS: Final = ("input", "output", "temp")


class Outside(Exception):
    """A name leads out of its folder."""


class Folders:
    """Folders `input`, `output` and `temp` under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for kind in KINDS:
            self.folder(kind).mkdir(parents=True, exist_ok=True)

    def folder(self, kind: str) -> Path:
        """The folder of a kind."""
        return self.root / kind

    def clear_temp(self) -> None:
        """What a restart does."""
        shutil.rmtree(self.folder("temp"), ignore_errors=True)
        self.folder("temp").mkdir()

    def inside(self, kind: str, *parts: str) -> Path:
        """A path in the folder; raises Outside."""
        base = self.folder(kind).resolve()
        path = base.joinpath(*parts).resolve()
        if path != base and base not in path.parents:
            raise Outside
        return path

    def annotated(self, name: str) -> Path:
        """The path that a node's input means: `name [output]` picks another folder than input."""
        found = re.fullmatch(r"(.*?)(?: \[(input|output|temp)\])?", name, re.DOTALL)
        assert found is not None
        return self.inside(found[2] or "input", found[1])

    def keep(self, kind: str, subfolder: str, name: str, data: bytes, overwrite: bool) -> str:
        """Write an upload; the name under which it was kept, which differs when another file has it."""
        folder = self.inside(kind, subfolder)
        path = self.inside(kind, subfolder, name)
        if path.parent != folder:
            raise Outside
        folder.mkdir(parents=True, exist_ok=True)
        stem, dot, ending = name.rpartition(".")
        stem, ending = (stem, dot + ending) if dot else (name, "")
        number = 1
        while not overwrite and path.exists() and path.read_bytes() != data:
            path = folder / f"{stem} ({number}){ending}"
            number += 1
        path.write_bytes(data)
        return path.name

    def next_name(self, kind: str, prefix: str, ending: str, size: tuple[int, int]) -> tuple[Path, str, str]:
        """Path, file name and subfolder of the next file with that prefix; `size` is width and height."""
        prefix = prefix.replace("%width%", str(size[0])).replace("%height%", str(size[1]))
        subfolder, _, stem = prefix.rpartition("/")
        folder = self.inside(kind, subfolder)
        folder.mkdir(parents=True, exist_ok=True)
        pattern = re.compile(re.escape(stem) + r"_(\d+)_?\..*")
        numbers = [int(found[1]) for path in folder.iterdir() if (found := pattern.fullmatch(path.name))]
        name = f"{stem}_{max(numbers, default=0) + 1:05}_.{ending}"
        return folder / name, name, subfolder


def png(image: Image, texts: Mapping[str, Any]) -> bytes:
    """A PNG file with JSON values as text chunks, as the server's saving nodes write it."""
    data: bytes = cv2.imencode(".png", image)[1].tobytes()
    chunks = b"".join(
        _chunk(b"tEXt", name.encode() + b"\0" + json.dumps(value).encode()) for name, value in texts.items()
    )
    return data[:33] + chunks + data[33:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def jpeg(image: Image) -> bytes:
    """A JPEG file, as previews are sent."""
    data: bytes = cv2.imencode(".jpg", image)[1].tobytes()
    return data


def read(path: Path) -> Image | None:
    """The picture of a file; None when it is none."""
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    return None if image is None else image.astype(np.uint8)
