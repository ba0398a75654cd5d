"""One picture: read, process, mark, write."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.errors import NoFace
from mien.media.images import Picture, read_image, write_encoded, write_image
from mien.pipeline.finding import make_finder
from mien.pipeline.job import Job, Outcome
from mien.pipeline.policy import check_sources, result_of, worst
from mien.pipeline.repeat import finished, is_repeated, working_copy
from mien.pipeline.resize import even, resized
from mien.processors.base import FrameContext
from mien.safety.marking import UNMARKED_FORMATS, tags_for
from mien.types import Frame


def run_image(job: Job) -> Outcome:
    """Work on a picture. Raises NoFace if all processors need a face and there is none to work on.

    Raises UnsafeInput, which names the picture, for a target, source or result that the content policy refuses.
    """
    step = job.plan.step
    job.meter.start("process", 1)
    picture = read_image(step.target, max_pixels=job.settings.max_pixels)
    for note in picture.notes:
        job.notice(note)
    job.cancel.raise_if_set()
    before = job.policy.check(picture.pixels, step.target)
    sources = check_sources(job)
    frame = _frame_of(job, picture)
    _check_faces(job, frame)
    job.process(frame)
    flagged = job.policy.flags_result(frame, before == "flagged")
    after = job.policy.verdict(int(flagged), 1, result_of(step.target))
    faces = job.count_faces(frame)
    job.cancel.raise_if_set()
    signed = _write(job, picture, frame)
    job.meter.advance()
    return Outcome(1, faces, worst([before, after, *sources]), signed=signed)


def _frame_of(job: Job, picture: Picture) -> FrameContext:
    """The picture under work: the target in the size to work in, or, as in FaceFusion, a copy of it in that size."""
    if is_repeated(job.plan, picture):
        target = picture.pixels
        image, alpha = working_copy(job.plan, picture)
    else:
        target, alpha = _reduced(picture, min(job.plan.output.image_scale, 1.0))
        image = target.copy()
    found = make_finder(job.plan, job.analyser, lambda number: target, is_clip=False).still(target)
    return FrameContext(
        image=image,
        target=target,
        index=0,
        time=0.0,
        find_faces=found.faces,
        select_faces=found.select,
        analysis=found.analysis,
        alpha=alpha,
        cut=True,
        find_people=found.people,
    )


def _reduced(picture: Picture, scale: float) -> tuple[Frame, NDArray[np.uint8] | None]:
    width, height = _scaled_size(picture, scale)
    alpha = None if picture.alpha is None else resized(picture.alpha, width, height)
    return resized(picture.pixels, width, height), alpha


def _check_faces(job: Job, frame: FrameContext) -> None:
    plan = job.plan
    if not plan.needs_faces or frame.selected or (plan.lookahead and frame.faces):
        return
    found = len(frame.faces)
    reason = (
        "shows no face" if not found else f"shows {found} faces, but the face selector chooses none of them"
    )
    refuses = plan.workflow.no_face == "refuse" and not plan.compat
    if refuses and all(link.processor.needs_faces for link in plan.chain):
        raise NoFace(f"{plan.step.target} {reason}.")
    job.notice(f"{plan.step.target} {reason}; processors that need faces left it as it is.")


def _final_size(job: Job, picture: Picture, frame: FrameContext) -> tuple[int, int]:
    """The size that was asked for; without a scale, what the processors made of the picture."""
    if "output_image_scale" not in job.plan.step.options:
        return frame.image.shape[1], frame.image.shape[0]
    return _scaled_size(picture, job.plan.output.image_scale)


def _scaled_size(picture: Picture, scale: float) -> tuple[int, int]:
    """Width and height at a scale: even numbers, on which FaceFusion's users count; at 1 the size that it has."""
    height, width = picture.pixels.shape[:2]
    return (width, height) if scale == 1 else (_even(width * scale), _even(height * scale))


def _even(length: float) -> int:
    return even(length) if length >= 2 else 1


def _write(job: Job, picture: Picture, frame: FrameContext) -> bool:
    """Write the output with all its marks; True if it was signed."""
    plan, marks = job.plan, job.marks()
    if marks is not None and plan.output_format in UNMARKED_FORMATS:
        job.notice(f"A {plan.output_format.upper()} picture has no place for the note that it was changed.")
    tags = None if marks is None else tags_for(marks)
    with job.provenance.signing(job.models_by_processor) as seal:
        if is_repeated(plan, picture):
            data = finished(plan, picture, *job.provenance.stamp(frame.image, frame.alpha))
            write_encoded(plan.step.output, data, picture, tags=tags, finish=seal.finish)
        else:
            done = _done(job, picture, frame)
            quality = plan.output.image_quality
            write_image(plan.step.output, done, quality=quality, tags=tags, finish=seal.finish)
    return seal.signed


def _done(job: Job, picture: Picture, frame: FrameContext) -> Picture:
    """The result in its final size, with what is drawn on it or hidden in it."""
    width, height = _final_size(job, picture, frame)
    pixels, alpha = job.provenance.stamp(
        resized(frame.image, width, height),
        None if frame.alpha is None else resized(frame.alpha, width, height),
    )
    return replace(picture, pixels=pixels, alpha=alpha)
