"""A video in parts that several machines make, and that one of them joins.

A part is a segment of the video with a note of what was counted in it. Machines that give a step the same target,
sources and options, have the same version of mien and the same models agree on its parts; their ``identity`` says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mien.errors import CorruptMedia, InputError, OptionError
from mien.pipeline.job import Job
from mien.pipeline.work import Note, WorkArea, note_of, open_for_parts, writing
from mien.types import MediaKind, Place

GivenPlace: TypeAlias = "Sequence[float] | Literal['find'] | None"


@dataclass(frozen=True, slots=True)
class Parts:
    """How a step can be divided. A picture is one part, which only ``Engine.run`` makes."""

    kind: MediaKind
    identity: str
    """Hash of everything that determines the frames of the result; empty for a picture."""
    frames: tuple[int, ...]
    """Frames of each part, as far as packets tell."""
    parallel: bool
    """Whether no part needs to know anything of the one before it. If not, ``Engine.scout`` finds out for all parts
    what they need, or each part is told the ``place`` in the note of the one before it."""

    @property
    def divisible(self) -> bool:
        """Whether there is more than one part."""
        return len(self.frames) > 1


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part."""

    index: int
    path: Path
    """In the work folder; it stays there until the step is completed by a run."""
    note: Mapping[str, Any]
    """Plain data that goes with the file to where the parts are joined."""

    @property
    def place(self) -> Place | None:
        """Where the followed face is when the next part begins; None where no face is followed."""
        place: Place | None = self.note["place"]
        return place


def parts_of(job: Job) -> Parts:
    """How a step can be divided. Raises UnsafeInput for sources, OptionError for an empty range."""
    from mien.pipeline.policy import check_sources
    from mien.pipeline.video import open_video

    if job.plan.kind == "image":
        return Parts("image", "", (1,), parallel=True)
    check_sources(job)
    video = open_video(job)
    frames = tuple(video.expected(piece) for piece in video.pieces)
    return Parts("video", video.identity, frames, parallel=not video.scene.finder.follows)


def scout(job: Job) -> tuple[Place | None, ...]:
    """What each part must know of the one before it, for ``make_part``. Raises OptionError for a picture."""
    from mien.pipeline.scout import Scout
    from mien.pipeline.video import open_video

    _check_divisible(job)
    video = open_video(job)
    found, places = Scout(video), []
    job.meter.start("analyse", len(video.pieces))
    for index in range(len(video.pieces)):
        job.cancel.raise_if_set()
        places.append(found.place(index))
        job.meter.advance()
    return tuple(places)


def make_part(job: Job, index: int, place: GivenPlace) -> Part:
    """Make a part, unless it is in the work folder. Raises OptionError for a part that there is not, and Canceled."""
    from mien.pipeline.scout import Scout
    from mien.pipeline.video import open_video

    _check_divisible(job)
    video = open_video(job)
    _check_index(job, index, len(video.pieces))
    piece = video.pieces[index]
    with _area(job, video.identity) as area, area.claim(piece.name):
        found = area.find(piece.name)
        if found is None:
            box = Scout(video).place(index) if place == "find" else _given(place)
            job.meter.start("process", video.expected(piece))
            video.make(area, piece, box)
            job.meter.finish()
            found = area.find(piece.name)
            assert found is not None
        path, note = found
    return Part(index, path, _data(note, video.identity, index))


def adopt_part(job: Job, index: int, file: Path, note: Mapping[str, Any]) -> Part:
    """Take a part that was made elsewhere into the work folder; ``file`` stays where it is.

    Raises InputError for a note of other work, CorruptMedia for a file that does not hold the frames of its note.
    """
    from mien.pipeline.video import open_video

    _check_divisible(job)
    video = open_video(job)
    _check_index(job, index, len(video.pieces))
    counted = _checked(note, video.identity, index)
    _check_file(file, counted)
    name = video.pieces[index].name
    with _area(job, video.identity) as area, area.claim(name):
        found = area.find(name)
        if found is None:
            with area.making(name) as temporary:
                with writing(area.folder):
                    shutil.copyfile(file, temporary)
                found = area.keep(temporary, name, counted), counted
    return Part(index, found[0], _data(found[1], video.identity, index))


def _area(job: Job, identity: str) -> AbstractContextManager[WorkArea]:
    return open_for_parts(
        job.settings.work_folder(),
        identity,
        cancel=job.cancel,
        on_wait=lambda: job.meter.say("waiting for another worker on the same part"),
    )


def _check_divisible(job: Job) -> None:
    if job.plan.kind == "image":
        raise OptionError(
            f"{job.plan.step.target} is a picture, which has no parts: run the step as a whole."
        )


def _check_index(job: Job, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise OptionError(f"{job.plan.step.target} has no part {index}: give a number from 0 to {count - 1}.")


def _checked(note: Mapping[str, Any], identity: str, index: int) -> Note:
    """What a note that came with a file counts, if it is of this part of this work."""
    try:
        counted, whose = note_of(note), (note["identity"], note["index"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"The note that came with part {index} is not one that a part has.") from None
    if whose != (identity, index):
        raise InputError(
            f"The note is not of part {index} of this step: it was made of other inputs, options or models, or by "
            "another version of mien."
        )
    return counted


def _check_file(file: Path, note: Note) -> None:
    from mien.media.join import pictures_in

    if not file.is_file():
        raise CorruptMedia(f"The part {file} is not there.")
    found = pictures_in(file) if note.frames else 0
    if found != note.frames:
        raise CorruptMedia(f"The part {file} holds {found} frames, and {note.frames} belong into it.")


def _data(note: Note, identity: str, index: int) -> dict[str, Any]:
    return {**asdict(note), "identity": identity, "index": index}


def _given(place: Sequence[float] | str | None) -> Place | None:
    if place is None:
        return None
    try:
        numbers = tuple(map(float, place))
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or len(numbers) % 4:
        raise OptionError(
            "A place is four numbers for each face that is followed, its box, or None, or find: take it from a note."
        )
    return numbers
