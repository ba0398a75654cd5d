"""Brings results from where they wait to where they belong, and clears up behind.

Steps with the same output path are one group: their videos are joined in the order of the steps, of several pictures
the last one counts. Until a job is completed its results stay where they wait, so each of these acts can be repeated.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from mien.jobs.job import Job
from mien.jobs.states import is_done

Group = tuple[int, ...]
Seal: TypeAlias = "Callable[[Sequence[Path], Path], Callable[[Path], None] | None]"
"""Given the parts of a video and its place, what signs the joined file; None where nobody signs."""


def groups(job: Job) -> Iterator[Group]:
    """The numbers of the steps of each output path, in the order of their first steps."""
    found: dict[str | None, list[int]] = {}
    for index, step in enumerate(job.steps):
        found.setdefault(step.output_path, []).append(index)
    return (tuple(members) for members in found.values())


def ready(job: Job) -> list[Group]:
    """Groups whose results are all here and not yet delivered."""
    return [
        group
        for group in groups(job)
        if all(is_done(job.steps[index]) for index in group)
        and not all(job.steps[index].delivered for index in group)
    ]


def deliver(job: Job, group: Group, seal: Seal) -> tuple[str, ...]:
    """Put the results of a group at their output path; returns what is to be said about it.

    Raises OutputError for videos that do not fit together, DiskFull, OutputNotWritable, SigningFailed where joined
    videos must be signed and cannot be.
    """
    waiting = [Path(found.path) for index in group if (found := job.steps[index].finished) is not None]
    output = Path(job.steps[group[0]].output_path or "")
    if len(waiting) > 1 and _is_video(output):
        return _joined(waiting, output, seal)
    from mien.safety.carriers import find_sidecar, sidecar_of

    beside = find_sidecar(waiting[-1])
    if beside is not None:
        place(beside, sidecar_of(output))
    place(waiting[-1], output)
    return ()


def _joined(parts: Sequence[Path], output: Path, seal: Seal) -> tuple[str, ...]:
    from mien.media.concat import concat
    from mien.safety.marking import joined_marks, read_marks, tags_for

    finish = seal(parts, output)
    marks = joined_marks(read_marks(part) for part in parts)
    notices = concat(parts, output, tags=None if marks is None else tags_for(marks), finish=finish)
    return notices if finish is not None else (*notices, *_unsigned(parts, output))


def _unsigned(parts: Sequence[Path], output: Path) -> tuple[str, ...]:
    """What is to be said of a joined video whose parts were signed: a signature holds for a file as it was."""
    from mien.pipeline.plan import output_kind
    from mien.safety.carriers import may_have_manifest

    if not any(may_have_manifest(part, output_kind(part)[1]) for part in parts):
        return ()
    return (
        f"{output} was joined from signed parts and is itself not signed; its notes and watermarks are kept.",
    )


def place(result: Path, output: Path) -> None:
    """Let ``output`` be the file ``result``, in one step; ``result`` stays."""
    from mien.media.atomic import replacing

    with replacing(output) as temporary:
        temporary.unlink()
        try:
            os.link(result, temporary)
        except OSError:  # file systems without hard links
            shutil.copyfile(result, temporary)


def clear(job: Job) -> None:
    """Remove waiting results that were delivered and that no unfinished step works on."""
    needed = {step.target_path for step in job.steps if not is_done(step)}
    discard(
        step.finished.path
        for step in job.steps
        if step.delivered and step.finished is not None and step.finished.path not in needed
    )


def waiting(job: Job) -> list[str]:
    """Results that were finished and not delivered, and are still here."""
    return [
        step.finished.path
        for step in job.steps
        if step.finished is not None and not step.delivered and Path(step.finished.path).is_file()
    ]


def discard(paths: Iterator[str] | Sequence[str]) -> None:
    """Remove waiting results, and signatures that lie beside them; they may be gone already."""
    from mien.safety.carriers import shared_sidecar_of, sidecar_of

    for path in map(Path, paths):
        for file in (path, sidecar_of(path), shared_sidecar_of(path)):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def _is_video(output: Path) -> bool:
    from mien.pipeline.plan import output_kind

    return output_kind(output)[0] == "video"
