"""A video: cut into segments, each worked on alone and kept when it is finished, then joined with the sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mien.errors import CorruptMedia, UnsafeInput
from mien.media import segments as cutting
from mien.media.segments import AudioPlan, Segment
from mien.media.writer import VideoSpec, VideoWriter
from mien.pipeline.identity import identity_of
from mien.pipeline.job import Job, Outcome
from mien.pipeline.policy import Verdict, check_sources, result_of, worst
from mien.pipeline.scene import Scene, make_scene
from mien.pipeline.segment import SegmentRun
from mien.pipeline.shots import Span
from mien.pipeline.work import Note, WorkArea, open_area
from mien.safety.marking import tags_for
from mien.types import Place


def run_video(job: Job) -> Outcome:
    """Work on a video, going on where an interrupted run of the same step ended.

    A video without any face is written as it is. Raises OptionError for an empty range, Canceled, and the errors of
    reading and writing; segments that are finished stay in the work folder then. Raises UnsafeInput for a source,
    target or result that the content policy refuses, and keeps nothing.
    """
    job.meter.start("analyse", 1, message="looking at the video")
    sources = check_sources(job)
    video = open_video(job)
    job.meter.advance()
    with open_area(
        job.settings.work_folder(),
        video.identity,
        cancel=job.cancel,
        on_wait=lambda: job.meter.say("waiting for another run of the same step"),
    ) as area:
        try:
            outcome = _Run(video, area).run()
        except UnsafeInput:
            area.remove()
            raise
        area.remove()
    return replace(outcome, content=worst([outcome.content, *sources]))


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment, how it is read, and its name in the work area."""

    segment: Segment
    span: Span
    name: str
    handover: int | None
    """From when on the next piece reads."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video that is ready to be worked on, piece by piece."""

    job: Job
    scene: Scene
    spec: VideoSpec
    pieces: tuple[Piece, ...]
    identity: str
    """Hash of everything that determines the frames of the result."""

    def expected(self, piece: Piece) -> int:
        """Frames that will be worked on."""
        return self.scene.expected(piece.segment.frame_count)

    def looks(self, piece: Piece, place: Place | None) -> SegmentRun:
        """A run over one piece; ``place``: where the followed face was when the piece begins to read."""
        return SegmentRun(self.job, self.scene, piece.span, place, piece.handover)

    def make(self, area: WorkArea, piece: Piece, place: Place | None) -> Note:
        """Work through one piece, and keep it under its name."""
        run = self.looks(piece, place)
        with area.making(piece.name) as temporary:
            with VideoWriter(temporary, self.spec) as writer:
                tally = run.run(
                    lambda image, alpha, stamp: writer.write(
                        image, self.scene.part_time(stamp, piece.span), alpha
                    )
                )
            note = Note(
                tally.frames,
                tally.faces,
                tuple(tally.warnings),
                tally.place,
                tally.sampled,
                tally.flagged,
                tally.flagged_after,
            )
            area.keep(temporary, piece.name, note)
        return note


def open_video(job: Job) -> Video:
    """Cut the target of a step into pieces. Raises OptionError for an empty range, and what reading raises."""
    plan = job.plan
    segments = cutting.plan(
        plan.step.target,
        start=plan.part.trim_frame_start,
        end=plan.part.trim_frame_end,
        seconds=job.settings.segment_seconds,
    )
    scene, spec = make_scene(job, segments)
    pieces = tuple(_pieces(scene, segments, spec.part_suffix))
    return Video(job, scene, spec, pieces, identity_of(job, spec))


class _Run:
    """One run over all pieces."""

    def __init__(self, video: Video, area: WorkArea) -> None:
        self._video = video
        self._job = video.job
        self._area = area

    def run(self) -> Outcome:
        meter, pieces = self._job.meter, self._video.pieces
        finished = {piece.name for piece in pieces if self._area.find(piece.name)}
        counts = {piece.name: self._video.expected(piece) for piece in pieces}
        meter.start("process", sum(counts.values()), done=sum(counts[name] for name in finished))
        notes: list[Note] = []
        for piece in pieces:
            self._job.cancel.raise_if_set()
            place = notes[-1].place if notes else None
            notes.append(self._note_of(piece) or self._make(piece, place))
        meter.finish()
        self._tell(notes)
        content = self._content(notes)
        signed = self._join(notes)
        frames, faces = sum(note.frames for note in notes), sum(note.faces for note in notes)
        return Outcome(frames, faces, content, len(finished), signed)

    def _content(self, notes: Sequence[Note]) -> Verdict:
        """Judge the whole video, before and after the work, by its samples. Raises UnsafeInput."""
        policy, target = self._job.policy, self._job.plan.step.target
        sampled = sum(note.sampled for note in notes)
        before = policy.verdict(sum(note.flagged for note in notes), sampled, target)
        after = policy.verdict(sum(note.flagged_after for note in notes), sampled, result_of(target))
        return worst([before, after])

    def _note_of(self, piece: Piece) -> Note | None:
        found = self._area.find(piece.name)
        return None if found is None else found[1]

    def _make(self, piece: Piece, place: Place | None) -> Note:
        """Make a piece, unless somebody who makes single parts was faster."""
        with self._area.claim(piece.name):
            return self._note_of(piece) or self._video.make(self._area, piece, place)

    def _tell(self, notes: Sequence[Note]) -> None:
        for note in notes:
            for warning in note.warnings:
                self._job.notice(warning)

    def _join(self, notes: Sequence[Note]) -> bool:
        """Write the output; True if it was signed."""
        job, plan, pieces = self._job, self._job.plan, self._video.pieces
        job.meter.start("join", 1)
        used = [piece for piece, note in zip(pieces, notes, strict=True) if note.frames]
        if not used:
            raise CorruptMedia(f"{plan.step.target} holds no frame that can be decoded.")
        marks = job.marks()
        scene = self._video.scene
        with job.provenance.signing(job.models_by_processor) as seal:
            notices = cutting.join(
                [self._area.folder / piece.name for piece in used],
                _as_a_whole([piece.segment for piece in used], pieces),
                plan.step.output,
                source=plan.step.target,
                audio=_audio_of(job),
                tags=None if marks is None else tags_for(marks),
                offsets=None if scene.resampler is None else [scene.offset(piece.span) for piece in used],
                finish=seal.finish,
            )
        for notice in notices:
            job.notice(notice)
        job.meter.advance()
        return seal.signed


def _pieces(scene: Scene, segments: Sequence[Segment], suffix: str) -> Iterator[Piece]:
    spans = [scene.span(segment, last=segment is segments[-1]) for segment in segments]
    for number, (segment, span) in enumerate(zip(segments, spans, strict=True)):
        handover = spans[number + 1].read_from if number + 1 < len(spans) else None
        yield Piece(segment, span, f"seg{number:04d}{suffix}", handover)


def _as_a_whole(used: Sequence[Segment], pieces: Sequence[Piece]) -> list[Segment]:
    """The segments that have frames, stretched over those at the ends that have none: sound goes by the whole."""
    segments = list(used)
    first, last, end = pieces[0].segment, segments[-1], pieces[-1].segment
    until = end.first_index + end.frame_count
    segments[-1] = replace(last, end_pts=end.end_pts, frame_count=until - last.first_index)
    segments[0] = replace(segments[0], first_index=first.first_index)
    return segments


def _audio_of(job: Job) -> AudioPlan:
    output, sound = job.plan.output, job.plan.sound
    return AudioPlan(
        mode="copy" if sound is None else "replace",
        source=sound,
        volume=output.audio_volume,
        encoder=output.audio_encoder,
        quality=output.audio_quality,
    )
