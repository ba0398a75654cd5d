"""What all segments of one video share: sizes, rates, who is followed, and how the output is encoded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mien.media import encoders
from mien.media.reader import VideoReader
from mien.media.segments import Segment
from mien.media.writer import VideoSpec
from mien.pipeline.finding import Finder, make_finder
from mien.pipeline.frames import read_frame
from mien.pipeline.job import Job
from mien.pipeline.resize import even, even_sizes
from mien.pipeline.scaling import WRITTEN, Scaling, as_facefusion_reads, scaling_of
from mien.pipeline.shots import WARM_UP, Resampler, Span
from mien.processors.base import FrameContext
from mien.types import MediaInfo, VideoInfo

SAME_RATE = 1e-3
"""A frame rate that differs by less than this share from the target's own leaves its timestamps alone."""
ENCODER_THREADS = 8
"""Of each video encoder: what x264 and VP9 write depends on their number, so it must not depend on the machine."""
TRANSPARENT = frozenset({"webm", "mkv", "mov"})
"""Endings of videos that can hold opacity."""
_WITHOUT_ZERO = frozenset({"mpegts", "mpeg", "flv", "asf", "mxf"})
"""Formats whose clock starts anywhere."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What all segments of one video share."""

    info: MediaInfo
    video: VideoInfo
    start: int
    """Source time of the first frame that is worked on."""
    is_trimmed: bool
    alpha: bool
    """Whether the output holds opacity; if not, transparent parts become white."""
    scaling: Scaling
    finder: Finder
    resampler: Resampler | None
    before: int
    """Frames of warm-up."""
    looks_beyond: bool
    """Whether frames behind the last one that is worked on help to find its faces, as in FaceFusion."""
    workers: int

    @property
    def rate(self) -> float:
        """Frames that are analysed in a second."""
        rate = float(self.video.rate)
        return rate if self.resampler is None else min(rate, float(self.resampler.rate))

    def span(self, segment: Segment, *, last: bool) -> Span:
        """How a segment is read; what lies behind the last one is not looked at."""
        return Span(
            start=segment.start_pts,
            end=segment.end_pts,
            first_index=segment.first_index,
            origin=self.start,
            time_base=self.video.time_base,
            rate=self.video.rate,
            before=0 if segment.start_pts == self.start and not self.is_trimmed else self.before,
            after=0 if last and not self.looks_beyond else self.finder.lookahead,
            is_last=last,
        )

    def expected(self, frames: int) -> int:
        """How many of so many frames will be worked on."""
        if self.resampler is None:
            return frames
        return min(frames, round(frames * self.resampler.rate / self.video.rate))

    def part_time(self, stamp: int, span: Span) -> int:
        """The time of a stamp in the file of its segment, in the encoder's time base."""
        if self.resampler is None:
            return stamp
        return self.resampler.output_time(stamp - self.resampler.first_tick(span.start))

    def offset(self, span: Span) -> Fraction:
        """Where a segment begins in the output, in seconds; for a new frame rate only."""
        assert self.resampler is not None
        keeps_clock = not self.is_trimmed and self.info.format not in _WITHOUT_ZERO
        begin = self.start * self.video.time_base if keeps_clock else Fraction(0)
        return begin + self.resampler.first_tick(span.start) / self.resampler.rate


def make_scene(job: Job, segments: Sequence[Segment]) -> tuple[Scene, VideoSpec]:
    """Decide all that segments share. Raises UnsupportedMedia (HDR that is refused), ProviderError (encoders)."""
    plan, output = job.plan, job.plan.output
    info = as_facefusion_reads(plan.target) if plan.compat else plan.target
    video = info.video
    assert video is not None
    reader = VideoReader(plan.step.target, hdr=output.hdr, info=info)
    alpha = _is_transparent(job, video)
    choice = encoders.choose(plan.output_format, output.video_encoder, alpha=alpha)
    if choice.notice:
        job.notice(choice.notice)
    work, final = _sizes(job, video)
    scaling = scaling_of(plan, work, final)
    resampler = _resampler(job, video, segments[0].start_pts)
    finder = make_finder(
        plan,
        job.analyser,
        lambda number: scaling.analysed(read_frame(plan.step.target, number, job.settings.max_pixels, info)),
        is_clip=True,
    )
    remembered = WARM_UP if finder.remembers or plan.sequential else 0
    scene = Scene(
        info=info,
        video=video,
        start=segments[0].start_pts,
        is_trimmed=segments[0].first_index > 0,
        alpha=alpha,
        scaling=scaling,
        finder=finder,
        resampler=resampler,
        before=finder.lookahead + max(remembered, plan.warm_up(float(video.rate))),
        looks_beyond=plan.compat,
        workers=1 if plan.sequential else job.settings.threads or _cores(),
    )
    spec = VideoSpec(
        width=final[0],
        height=final[1],
        time_base=video.time_base if resampler is None else resampler.output_base,
        rate=video.rate if resampler is None else resampler.rate,
        encoder=choice.name,
        quality=output.video_quality,
        preset=output.video_preset,
        color=WRITTEN if plan.compat else reader.color,
        sample_aspect=video.sample_aspect,
        alpha=alpha,
        container=plan.output_format,
        threads=ENCODER_THREADS,
    )
    return scene, spec


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _sizes(job: Job, video: VideoInfo) -> tuple[tuple[int, int], tuple[int, int]]:
    """Sizes to work in and to write: a smaller output is made before the work, a larger one after it."""
    plan = job.plan
    scale = plan.output.video_scale
    if plan.compat:
        return even_sizes(video.width, video.height, scale)
    size = video.width, video.height
    scaled = size if scale == 1 else (even(video.width * scale), even(video.height * scale))
    work = scaled if scale < 1 else size
    if "output_video_scale" in plan.step.options:
        return work, scaled
    return work, plan.size_after(*work)


def _resampler(job: Job, video: VideoInfo, start: int) -> Resampler | None:
    wanted = job.plan.output.rate_limit
    if wanted is None or abs(wanted / float(video.rate) - 1) < SAME_RATE:
        return None
    return Resampler(start, video.time_base, Fraction(wanted).limit_denominator(1001))


def _is_transparent(job: Job, video: VideoInfo) -> bool:
    """Whether the output is to hold opacity: the target has it, or the processors make it on a first try."""
    plan = job.plan
    if plan.output_format not in TRANSPARENT:
        return False
    if video.has_alpha:
        return True
    image = read_frame(plan.step.target, 0, job.settings.max_pixels, plan.target)
    frame = FrameContext(
        image=image.copy(),
        target=image,
        index=0,
        time=0.0,
        find_faces=tuple,
        select_faces=lambda faces: faces,
        cut=True,
    )
    job.process(frame)
    return frame.alpha is not None
