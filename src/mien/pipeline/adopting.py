"""Results that something else made, such as a ComfyUI instance: judged, marked and signed like every output.

Nothing is encoded again but pictures without a place for marks, which become PNG: marks go into the metadata of a
picture, or into the container of a video or sound, whose packets are copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from mien.errors import DiskFull, OutputError, OutputNotWritable, UnsupportedMedia
from mien.media.atomic import Finish, replacing
from mien.safety.marking import (
    Marks,
    OperationKind,
    joined_marks,
    marks_for,
    read_marks,
    source_type_of,
    tags_for,
)

if TYPE_CHECKING:
    from mien.media.sniff import Sniffed
    from mien.pipeline.policy import Verdict
    from mien.pipeline.provenance import Signature
    from mien.safety.signer import Signer
    from mien.settings import Settings

Making: TypeAlias = Literal["generated", "edited", "enhanced"]
"""Made of nothing but words, made of pictures, or the same picture in a better quality."""

Marker: TypeAlias = "Callable[[Made, str, Mapping[str, str], Finish | None], bool]"
"""Writes the output with tags; False where that cannot be done. Its text is the format that the file has."""

_KINDS: Final[Mapping[Making, OperationKind]] = {
    "generated": "generation",
    "edited": "synthetic",
    "enhanced": "enhancement",
}


@dataclass(frozen=True, slots=True)
class Made:
    """A file that something else made, and how."""

    file: Path
    output: Path
    """Where it goes; its ending says the format that the file has."""
    operation: Making
    name: str
    """What made it, as marks and manifests name it."""
    sources: tuple[Path, ...] = ()
    """What it was made of; the first is what was worked on."""
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of it."""

    content: Verdict
    signed: bool
    notices: tuple[str, ...]
    output: Path
    """Where it is; in the place of a format without a place for marks it has another ending than was asked for."""


def adopt(
    made: Made,
    settings: Settings,
    signer: Signer | None,
    notice: Callable[[str], None],
    *,
    marked: bool = True,
    must_mark: bool = False,
) -> tuple[Path, bool]:
    """Write the output with its marks; returns its path, and whether it was signed.

    A format without a place for marks becomes one that has one, so the path may have another ending than
    ``made.output``. Raises SigningFailed where a signature is required, CorruptMedia for what is no picture, video or
    sound, UnsupportedMedia where marks are a must and there is no place for them, OutputNotWritable, DiskFull.
    """
    from mien.media.sniff import sniff

    found = sniff(made.file)
    tags = tags_for(_marks(made)) if marked else None
    for output, format, mark in _ways(made.output, found) if tags is not None else ():
        one = replace(made, output=output)
        signature = _signature(one, format, settings, signer, notice)
        if mark(one, found.format, tags or {}, None if signature is None else signature.finish):
            if output != made.output:
                notice(f"{made.output.name} became {output.name}, which has a place for marks.")
            return output, signature is not None and signature.signed
    if tags is not None:
        text = f"{made.output.name} has no place for the note that it was made by a program"
        if must_mark:
            raise UnsupportedMedia(f"{text}; have it saved in another format, such as PNG, MP4 or FLAC.")
        notice(f"{text}.")
    signature = _signature(made, found.format, settings, signer, notice)
    with replacing(made.output) as temporary:
        shutil.copyfile(made.file, temporary)
        if signature is not None:
            signature.finish(temporary)
    return made.output, signature is not None and signature.signed


def _ways(output: Path, found: Sniffed) -> list[tuple[Path, str, Marker]]:
    """Where the marks may go, to be tried in this order: the output, its format, and who writes it.

    What cannot hold them becomes something that can, and loses nothing by it.
    """
    if found.kind == "image":
        return [(output, found.format, _mark_picture), (output.with_suffix(".png"), "png", _as_png)]
    if found.kind == "audio":
        from mien.media.formats import extension
        from mien.media.sound_tags import KEPT_AS

        format = KEPT_AS.get(found.format, found.format)
        place = output if format == found.format else output.with_suffix(f".{extension(format)}")
        return [(place, format, _mark_sound)]
    if found.format == "gif":
        return [(output, "gif", _mark_picture)]
    return [(output, found.format, _mark_video), (output.with_suffix(".mkv"), "matroska", _mark_video)]


def _marks(made: Made) -> Marks:
    return marks_for({made.name: _KINDS[made.operation]}, joined_marks(map(read_marks, made.sources)))


def _signature(
    made: Made, format: str, settings: Settings, signer: Signer | None, notice: Callable[[str], None]
) -> Signature | None:
    from mien.media.sniff import sniff
    from mien.pipeline.provenance import Signature, signer_for
    from mien.safety.credentials import Claim, Operation

    signer = signer_for(settings, signer, notice)
    if signer is None:
        return None
    operation = Operation(made.name, source_type_of([_KINDS[made.operation]]), made.models)
    files = [(path, sniff(path).format) for path in made.sources]
    parent, parent_format = files[0] if files else (None, "")
    claim = Claim((operation,), parent, parent_format, added=tuple(files[1:]))
    return Signature(claim, made.output, format, signer, settings.signing == "required", notice)


def _mark_picture(made: Made, format: str, tags: Mapping[str, str], finish: Finish | None) -> bool:
    from mien.media.metadata import xmp_packet
    from mien.media.xmp import with_xmp

    data = with_xmp(made.file.read_bytes(), format, xmp_packet(tags))
    if data is None:
        return False
    with replacing(made.output) as temporary:
        temporary.write_bytes(data)
        if finish is not None:
            finish(temporary)
    return True


def _as_png(made: Made, format: str, tags: Mapping[str, str], finish: Finish | None) -> bool:
    """The same pixels in a format that has a place for marks."""
    from mien.media.images import read_image, write_image

    write_image(made.output, read_image(made.file, max_pixels=1 << 40), tags=tags, finish=finish)
    return True


def _mark_video(made: Made, format: str, tags: Mapping[str, str], finish: Finish | None) -> bool:
    from mien.media.concat import concat
    from mien.media.writable import CONTAINERS

    if made.output.suffix.lower().lstrip(".") not in CONTAINERS:
        return False
    try:
        concat([made.file], made.output, tags=tags, finish=finish)
    except (DiskFull, OutputNotWritable):
        raise
    except OutputError as error:
        if error.code != OutputError.code:  # a signature that is required
            raise
        return False
    return True


def _mark_sound(made: Made, format: str, tags: Mapping[str, str], finish: Finish | None) -> bool:
    from mien.media.sound_tags import tag_sound

    return tag_sound(made.file, format, made.output, tags, finish)
