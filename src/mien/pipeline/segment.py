"""One segment of a video through all stages: decode, find faces, work on frames, encode; each in threads of its own.

    decode -> channel -> analyse (tracker, look-ahead, selection) -> workers -> channel, in order -> encode

The caller's thread encodes, counts and reports. All channels are bounded, so memory does not depend on the length.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.media.reader import VideoReader
from mien.pipeline.finding import Found
from mien.pipeline.job import Job
from mien.pipeline.lanes import Channel, Crew
from mien.pipeline.lookahead import LookAhead
from mien.pipeline.policy import Looked
from mien.pipeline.resize import on_white, resized
from mien.pipeline.scene import Scene
from mien.pipeline.shots import Shot, Span, shots
from mien.processors.base import FrameContext
from mien.types import Frame, Place

DECODED = 3
"""Frames that may wait between decoding and analysis."""


class Finished(NamedTuple):
    """A frame that was worked on."""

    image: Frame
    alpha: NDArray[np.uint8] | None
    faces: int
    """How many were worked on."""
    looked: Looked | None
    """What the content policy found, if it looked."""


Write: TypeAlias = "Callable[[Frame, NDArray[np.uint8] | None, int], None]"
"""Takes picture, alpha and time of one frame of the output."""


@dataclass(slots=True)
class Tally:
    """What a segment counted, and what its successor needs."""

    frames: int = 0
    faces: int = 0
    warnings: list[str] = field(default_factory=list)
    place: Place | None = None
    """Where the followed face was when the warm-up of the next segment begins."""
    sampled: int = 0
    """Frames that the content policy looked at."""
    flagged: int = 0
    flagged_after: int = 0
    """Those that are sexual content once they were worked on."""


class SegmentRun:
    """Runs one segment. ``place``: where the followed face was when the warm-up begins."""

    def __init__(self, job: Job, scene: Scene, span: Span, place: Place | None, handover: int | None) -> None:
        """``handover``: source time from which the next segment reads; what is known then goes to its ``place``."""
        self._job = job
        self._scene = scene
        self._span = span
        self._handover = handover
        self._handed = False
        self._clip = scene.finder.clip(scene.rate, place)
        self.tally = Tally(place=place)

    def handover(self) -> Place | None:
        """Where the followed face is when the next segment begins to read; nothing is worked on."""
        with closing(self._followed()) as frames:
            for _ in frames:
                if self._handed:
                    break
        return self.tally.place

    def needs_place(self) -> bool:
        """Whether the first choice of a face is made by the place that was given: not where one face only is seen.

        True also where no face is seen before the next segment begins to read: the place is handed on then.
        """
        with closing(self._followed()) as frames:
            for _ in frames:
                if self._clip.needs_place is not None:
                    return bool(self._clip.needs_place)
                if self._handed:
                    break
        return True

    def _followed(self) -> Generator[Found]:
        """Find faces in frame after frame, and do nothing else; may be left before the end."""
        with Crew(stages=1, workers=1) as crew:
            decoded = crew.channel(DECODED)
            crew.start(self._decode, decoded)
            try:
                for _, found in self._found(decoded):
                    yield found
            finally:
                decoded.break_off()

    def run(self, write: Write) -> Tally:
        """Work through the segment; ``write`` gets each finished frame in order, in the caller's thread."""
        with Crew(stages=2, workers=self._scene.workers) as crew:
            decoded = crew.channel(DECODED)
            ordered = crew.channel(self._scene.workers + 2)
            crew.start(self._decode, decoded)
            crew.start(self._analyse, decoded, ordered, crew)
            self._encode(ordered, write)
        return self.tally

    def _decode(self, out: Channel[Shot]) -> None:
        plan, span = self._job.plan, self._span
        with (
            out,
            VideoReader(
                plan.step.target,
                start_pts=span.read_from,
                end_pts=None if span.after else span.end,
                hdr=plan.output.hdr,
                info=self._scene.info,
                max_pixels=self._job.settings.max_pixels,
            ) as reader,
        ):
            for shot in shots(reader, span, self._scene.resampler):
                self._job.cancel.raise_if_set()
                shot.image = self._scene.scaling.analysed(shot.image)
                out.put(shot)
            self.tally.warnings += reader.warnings

    def _analyse(self, inbox: Channel[Shot], out: Channel[tuple[Shot, Future[Finished]]], crew: Crew) -> None:
        started = False
        with out:
            for shot, found in self._found(inbox):
                if self._is_wanted(shot):
                    cut = found.cut or not started
                    started = True
                    out.put((shot, crew.submit(self._process, shot, found, cut)))

    def _found(self, inbox: Channel[Shot]) -> Iterator[tuple[Shot, Found]]:
        """Each frame with its faces, as soon as enough later frames were looked at."""
        window: LookAhead[Shot, Any, Found] = LookAhead(self._scene.finder.lookahead, self._clip.found)
        for shot in inbox:
            self._job.cancel.raise_if_set()
            for ready, found in window.push(shot, self._clip.see(shot.image, shot.index)):
                self._hand_over(ready)
                yield ready, found
        for ready, found in window.finish():
            self._hand_over(ready)
            yield ready, found

    def _hand_over(self, shot: Shot) -> None:
        """Note where the followed face was when the next segment begins to read."""
        if not self._handed:
            self._handed = self._handover is not None and shot.pts >= self._handover
            self.tally.place = self._clip.place

    def _is_wanted(self, shot: Shot) -> bool:
        """Frames of the warm-up are worked on only for the sake of what processors remember."""
        return shot.role == "shown" or (shot.role == "before" and self._job.plan.sequential)

    def _process(self, shot: Shot, found: Found, cut: bool) -> Finished:
        job = self._job
        scaling = self._scene.scaling
        job.cancel.raise_if_set()
        frame = FrameContext(
            image=scaling.worked_on(shot.image),
            target=shot.image,
            index=shot.index,
            time=shot.time,
            find_faces=found.faces,
            select_faces=found.select,
            alpha=None if shot.alpha is None else resized(shot.alpha, *scaling.work),
            cut=cut,
            analysis=found.analysis,
            find_people=found.people,
        )
        job.process(frame)
        if shot.role != "shown":
            return Finished(frame.image, None, 0, None)
        looked = job.policy.look(frame) if self._is_sampled(shot) else None
        image, alpha = scaling.written(frame.image), None
        if frame.alpha is not None:
            alpha = resized(frame.alpha, *scaling.final)
            if not self._scene.alpha:
                image, alpha = on_white(image, alpha), None
        image, alpha = job.provenance.stamp(image, alpha)
        return Finished(image, alpha, job.count_faces(frame), looked)

    def _is_sampled(self, shot: Shot) -> bool:
        """The content policy sees one frame a second, counted from the start of the target, and the very first.

        FaceFusion does not look at the first one, and so not at all at parts that are shorter than a second.
        """
        if not self._job.policy.looks:
            return False
        is_first = shot.pts <= self._span.origin and not self._job.plan.compat
        return is_first or shot.index % max(int(self._scene.rate), 1) == 0

    def _encode(self, ordered: Channel[tuple[Shot, Future[Finished]]], write: Write) -> None:
        job, tally = self._job, self.tally
        for shot, future in ordered:
            done = future.result()
            job.cancel.raise_if_set()
            if shot.role != "shown":
                continue
            for stamp in shot.stamps:
                write(done.image, done.alpha, stamp)
            tally.frames += len(shot.stamps)
            tally.faces += done.faces
            if done.looked is not None:
                tally.sampled += 1
                tally.flagged += done.looked.before
                tally.flagged_after += done.looked.after
            job.meter.advance()
