"""From a step as it is stored to what the engine runs, and what identifies the work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien._version import __version__
from mien.errors import InputError, InputMissing, OutputNotWritable, UnsupportedMedia
from mien.jobs.editing import result_path
from mien.jobs.job import Job, JobStep

if TYPE_CHECKING:
    from mien.pipeline.step import Step

_PICTURES = ("bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp")
_VIDEOS = ("avi", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mxf", "webm", "wmv")
FACEFUSION_ENDINGS = frozenset((*_PICTURES, *_VIDEOS))
"""Endings of the targets that FaceFusion 3.8.1 takes."""

_SILENT_IN_MP4 = "flac"
"""FaceFusion's default encoder of sound, which few players play inside MP4."""


def recipe_of(job: Job, index: int, keys: Collection[str]) -> Step:
    """The engine's step for step ``index``, with its waiting place as output.

    ``keys`` are the option keys that the engine knows; others are left out, and so are values that nobody asked for.
    Raises InputError, InputMissing, OptionError, UnsupportedMedia or OutputNotWritable for a step that cannot be run.
    """
    from mien.pipeline.people import KEY as FACE_MAP
    from mien.pipeline.people import people_of
    from mien.pipeline.step import Step

    step = job.steps[index]
    output = result_path(step.output_path, job.id, index)
    if step.target_path is None:
        raise InputError(f"Step {index} of the job {job.id} has no target.")
    if output is None or step.output_path is None:
        raise InputError(f"Step {index} of the job {job.id} needs an output path with a name and an ending.")
    if Path(step.output_path).is_dir():
        raise OutputNotWritable(f"{step.output_path} cannot be written: it is a folder.")
    if step.args.get("compat") == "facefusion":
        check_as_facefusion(step.target_path, step.output_path)
    return Step(
        sources=tuple(Path(path) for path in step.source_paths),
        target=Path(step.target_path),
        output=Path(output),
        processors=step.processors,
        options=options_of(step, keys),
        people=people_of(step.args.get(FACE_MAP)),
    )


def options_of(step: JobStep, keys: Collection[str]) -> dict[str, Any]:
    """The options of a step that say something, by key."""
    skipped = set(step.open)
    if not step.open and step.args.get("output_audio_encoder") == _SILENT_IN_MP4:
        skipped.add("output_audio_encoder")  # FaceFusion stores its default as if somebody had asked for it
    return {
        key: value
        for key, value in step.args.items()
        if key in keys and value is not None and key not in skipped
    }


def check_as_facefusion(target: str, output: str) -> None:
    """Refuse what FaceFusion refuses before it begins."""
    place = Path(target)
    if not place.is_file():
        raise InputMissing(f"The target {target} does not exist.")
    if place.suffix.lower().lstrip(".") not in FACEFUSION_ENDINGS:
        raise UnsupportedMedia(f"The target {target} is neither a picture nor a video by its name.")
    folder, name = Path(output).parent, Path(output).name
    if output == name or not folder.is_dir():
        raise OutputNotWritable(f"The output {output} needs a folder that exists.")
    if place.suffix.lower() != Path(output).suffix.lower():
        raise UnsupportedMedia(
            f"The output {output} must end in {place.suffix} as the target does; other endings are "
            "allowed unless the option compat is facefusion."
        )


def inputs_of(step: JobStep) -> str | None:
    """Identifies what a step works on: its options and the files that it reads. None when one is not there."""
    from mien.pipeline.people import KEY as FACE_MAP
    from mien.pipeline.people import people_of
    from mien.pipeline.work import file_identity, hash_of

    mapped = [path for person in people_of(step.args.get(FACE_MAP)) for path in person.sources]
    paths = [*map(Path, step.source_paths), Path(step.target_path or ""), *mapped]
    try:
        files = [file_identity(path) for path in paths]
    except InputMissing:
        return None
    said: Mapping[str, Any] = {"args": dict(step.args), "open": step.open, "files": files}
    return hash_of({"mien": __version__, **said})[:32]
