"""Results that something else made, such as a ComfyUI instance: judged, marked and signed like every output.

Nothing is encoded again: marks go into the metadata of a picture, or into the container of a video, whose packets are
copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from mien.errors import DiskFull, OutputError, OutputNotWritable
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
    from mien.pipeline.policy import Verdict
    from mien.pipeline.provenance import Signature
    from mien.safety.signer import Signer
    from mien.settings import Settings

Making: TypeAlias = Literal["generated", "edited", "enhanced"]
"""Made of nothing but words, made of pictures, or the same picture in a better quality."""

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


def adopt(
    made: Made,
    settings: Settings,
    signer: Signer | None,
    notice: Callable[[str], None],
    *,
    marked: bool = True,
) -> bool:
    """Write the output with its marks; True if it was signed.

    Raises SigningFailed where a signature is required, CorruptMedia for what is no picture, video or sound,
    OutputNotWritable, DiskFull.
    """
    from mien.media.sniff import sniff

    found = sniff(made.file)
    signature = _signature(made, found.format, settings, signer, notice)
    finish = None if signature is None else signature.finish
    tags = tags_for(_marks(made)) if marked else None
    mark = _MARKERS.get(found.kind)
    if tags is None or mark is None or not mark(made, found.format, tags, finish):
        if tags is not None:
            notice(f"{made.output.name} has no place for the note that it was made by a program.")
        with replacing(made.output) as temporary:
            shutil.copyfile(made.file, temporary)
            if finish is not None:
                finish(temporary)
    return signature is not None and signature.signed


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


def _mark_video(made: Made, format: str, tags: Mapping[str, str], finish: Finish | None) -> bool:
    from mien.media.concat import concat
    from mien.media.encoders import CONTAINERS

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


_MARKERS: Final[Mapping[str, Callable[[Made, str, Mapping[str, str], Finish | None], bool]]] = {
    "image": _mark_picture,
    "video": _mark_video,
}
