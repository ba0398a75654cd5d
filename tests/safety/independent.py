"""A C2PA reader that knows nothing of mien: a process of its own, with the library's default settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROGRAM = """
import json, sys
import c2pa

path, kind, manifest, anchors = sys.argv[1:]
context = None
if anchors:
    settings = c2pa.Settings.from_dict({"trust": {"user_anchors": open(anchors).read()}})
    context = c2pa.Context(settings)
data = open(manifest, "rb").read() if manifest else None
with open(path, "rb") as file:
    reader = c2pa.Reader.try_create(kind, file, data, context=context or c2pa.Context())
    print(reader.json() if reader else "null")
"""


def read(path: Path, kind: str, *, manifest: Path | None = None, anchors: Path | None = None) -> Any:
    """The manifest store as the library reports it; None if there is none."""
    words = [str(path), kind, str(manifest or ""), str(anchors or "")]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def failures(store: Any) -> set[str]:
    """What the reader found wrong, but for the signer being unknown to it."""
    found = {item["code"] for item in store["validation_results"]["activeManifest"]["failure"]}
    return found - {"signingCredential.untrusted"}


def active(store: Any) -> Any:
    return store["manifests"][store["active_manifest"]]


def flipped(path: Path, place: float = 0.6) -> Path:
    """A copy with one bit of one byte in the content changed."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    copy = path.with_stem(f"{path.stem}-flipped")
    copy.write_bytes(data)
    return copy
