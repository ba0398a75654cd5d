"""What a run gave: references in its history, fetched into files."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.comfyui.api import Api
from mien.comfyui.settings import ComfySettings
from mien.comfyui.strip import strip
from mien.errors import ComfyError, ComfyUnreachable, CorruptMedia, DiskFull, MediaTooLarge, MienError
from mien.media.sniff import sniff
from mien.types import MediaKind


@dataclass(frozen=True, slots=True)
class Reference:
    """A file as the history names it."""

    node: str
    kind: str
    """The name under which the node reports it; says nothing about the media."""
    filename: str
    subfolder: str
    type: str
    """Folder: ``output``, or ``temp`` for previews."""


@dataclass(frozen=True, slots=True)
class Output:
    """One result: a fetched file, or a text."""

    node: str
    kind: str
    filename: str = ""
    subfolder: str = ""
    type: str = "output"
    path: Path | None = None
    """The fetched file; None for a text."""
    size: int = 0
    """In bytes."""
    media: MediaKind | None = None
    """Told by the content; None for a text and for files of other kinds."""
    format: str = ""
    """Told by the content, such as ``png`` or ``mp4``; empty where it is not known."""
    text: str | None = None


def references(entry: Mapping[str, Any]) -> list[Reference]:
    """All files of a history entry, whatever they are reported as; previews only when there is nothing else."""
    found = []
    for node, kind, item in _items(entry):
        if isinstance(item, dict) and isinstance(item.get("filename"), str) and item["filename"]:
            subfolder, type = str(item.get("subfolder") or ""), str(item.get("type") or "output")
            reference = Reference(node, kind, item["filename"], subfolder, type)
            if reference not in found:
                found.append(reference)
    results = [reference for reference in found if reference.type != "temp"]
    return results or found


def texts(entry: Mapping[str, Any]) -> list[Output]:
    """All texts of a history entry."""
    return [Output(node, kind, text=item) for node, kind, item in _items(entry) if isinstance(item, str)]


def _items(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for node, shown in (entry.get("outputs") or {}).items():
        for kind, values in (shown or {}).items():
            for item in values if isinstance(values, list) else ():
                yield str(node), str(kind), item


def fetch(api: Api, reference: Reference, number: int, into: Path, settings: ComfySettings) -> Output:
    """Fetch one file into the folder and take its metadata out.

    Raises Missing (of api) if it is gone, ComfyUnreachable if the answer broke off, MediaTooLarge, CorruptMedia,
    DiskFull.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", reference.filename)[-100:].lstrip(".")
    path = into / f"{number:03}-{re.sub(r'[^A-Za-z0-9_-]', '_', reference.node)}-{safe}"
    try:
        size = _download(api, reference, path, settings.max_output_bytes)
    except BaseException as error:
        path.unlink(missing_ok=True)  # the next attempt has a name of its own
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DiskFull(f"The disk of {into} is full; make room for the results of ComfyUI.") from None
        raise
    media, format = _sniff(path)
    strip(path, format)
    return Output(
        reference.node,
        reference.kind,
        reference.filename,
        reference.subfolder,
        reference.type,
        path,
        path.stat().st_size if size else 0,
        media,
        format,
    )


def _download(api: Api, reference: Reference, path: Path, limit: int) -> int:
    size = 0
    with api.view(reference.filename, reference.subfolder, reference.type) as answer, path.open("wb") as file:
        for chunk in answer.iter_bytes():
            size += len(chunk)
            if size > limit:
                raise MediaTooLarge(
                    f"The result {reference.filename} is over {limit} bytes; MIEN_COMFYUI_MAX_OUTPUT_BYTES allows more."
                )
            file.write(chunk)
        declared = answer.headers.get("content-length")
    if declared is not None and "content-encoding" not in answer.headers and int(declared) != size:
        raise ComfyUnreachable(f"The ComfyUI instance {api.shown} broke off while sending a result.")
    if size == 0:
        raise CorruptMedia(f"The ComfyUI instance {api.shown} wrote an empty file, {reference.filename}.")
    return size


def _sniff(path: Path) -> tuple[MediaKind | None, str]:
    try:
        found = sniff(path)
    except MienError:
        return None, ""
    return found.kind, found.format


def nothing(blocked: tuple[str, str] | None) -> ComfyError:
    """The error for a run that ended well and gave nothing."""
    if blocked is not None:
        return ComfyError(f"The workflow gave no result, since a node blocked it: {blocked[1]}.")
    return ComfyError(
        "The workflow ended without any result; it needs a node that saves one, such as SaveImage."
    )
