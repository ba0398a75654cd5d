"""A live picture, such as a camera's: frame in, frame out, with faces followed from one to the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import InputError, OptionError
from mien.faces.neural.analyser import NeuralAnalyser
from mien.faces.options import SelectorOptions
from mien.options import declared
from mien.pipeline.choice import built_in_choice, model_option
from mien.pipeline.finding import ClipFinder, make_finder
from mien.pipeline.job import Job
from mien.pipeline.plan import check_growth
from mien.pipeline.policy import check_sources
from mien.pipeline.progress import Cancel, Meter
from mien.pipeline.registry import AnyProcessor, named
from mien.pipeline.resize import on_white, resized
from mien.pipeline.watch import Watch
from mien.processors.base import FrameContext
from mien.safety.options import ProvenanceOptions
from mien.types import ColorTags, Frame, MediaInfo, VideoInfo

if TYPE_CHECKING:
    from mien.models.store import ModelStore
    from mien.pipeline.plan import Plan
    from mien.pipeline.policy import Verdict
    from mien.pipeline.preparing import Workshop
    from mien.pipeline.provenance import Provenance
    from mien.pipeline.step import Step

TARGET = Path("live")
"""What stands in the place of a target's path, in notices and in the audit log."""
_PEOPLE = ("age_start", "age_end", "gender", "race")


class LiveSession:
    """A prepared live picture; a context manager, made by ``Engine.live``. Frames are worked on one at a time."""

    def __init__(self, job: Job, rate: float, notices: Sequence[str]) -> None:
        self.job = job
        self.notices = notices
        """One line each: which model was chosen, what was substituted."""
        self._rate = rate
        self._around = ExitStack()
        self._lock = threading.Lock()
        self._watch = Watch(job.policy)
        self._clip: ClipFinder | None = None
        self._size: tuple[int, ...] = ()
        self._index = -1
        self._started = time.monotonic()
        self._closed = False
        if not isinstance(job.analyser, NeuralAnalyser):
            self._clip = self._finder(None)

    @property
    def models(self) -> tuple[str, ...]:
        """Catalogue entries that the session uses."""
        return self.job.models

    @property
    def content(self) -> Verdict:
        """What the content policy found in the last seconds."""
        return self._watch.verdict

    def process(self, frame: Frame, *, at: float | None = None) -> Frame:
        """The frame (height × width × 3, uint8, BGR), worked on; the one that is given stays as it is.

        ``at``: when it was taken, in seconds since any moment, for frames that come from a recording; the clock's time
        when unset. A frame of another size than the last starts afresh. Raises InputError for what is no frame and
        for a session that has ended, UnsafeInput when the content policy refuses, and what processors raise.
        """
        _check_frame(frame)
        with self._lock:
            if self._closed:
                raise InputError("The live session has ended; start another one.")
            seconds = time.monotonic() - self._started if at is None else at
            self._watch.look(frame, seconds)
            return self._processed(frame, seconds)

    def close(self) -> None:
        """End the session; a frame that is being worked on is finished first."""
        self.__exit__(None, None, None)

    def leave_with(self, around: ExitStack) -> None:
        """Leave this too when the session ends, with the error that ended it, if any."""
        self._around = around

    def __enter__(self) -> LiveSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._watch.close()
                self._around.__exit__(kind, error, trace)

    def _processed(self, image: Frame, seconds: float) -> Frame:
        fresh = image.shape != self._size
        if fresh:
            height, width = image.shape[:2]
            check_growth(self.job.plan, width, height, self.job.settings.max_pixels)
        if self._clip is None or (fresh and self._size):
            self._clip = self._finder(image)
        self._size = image.shape
        self._index = max(self._index + 1, round(seconds * self._rate))
        found = self._clip.found([self._clip.see(image, self._index)], 0)
        frame = FrameContext(
            image=image.copy(),
            target=image,
            index=self._index,
            time=seconds,
            find_faces=found.faces,
            select_faces=found.select,
            analysis=found.analysis,
            cut=found.cut or fresh,
        )
        self.job.process(frame)
        return self._shown(frame)

    def _shown(self, frame: FrameContext) -> Frame:
        image = frame.image
        if frame.alpha is not None:
            image = on_white(image, resized(frame.alpha, image.shape[1], image.shape[0]))
        return self.job.provenance.stamp(image, None)[0]

    def _finder(self, first: Frame | None) -> ClipFinder:
        """Start to look for faces; ``first`` is the frame that shows the reference face, where one is recognised.

        Raises OptionError for options by which faces are looked for in later frames.
        """

        def read(number: int) -> Frame:
            assert first is not None
            return first.copy()

        finder = make_finder(self.job.plan, self.job.analyser, read, is_clip=True)
        if finder.lookahead:
            raise OptionError(
                "A live picture has no later frames to look at: leave out face_tracker_score and the option analysis."
            )
        return finder.clip(self._rate, None)


def open_live(
    shop: Workshop,
    processors: Mapping[str, AnyProcessor],
    step: Step,
    target: MediaInfo,
    on_notice: Callable[[str], None],
) -> LiveSession:
    """Prepare a step for a live picture; see ``Engine.live``."""
    from mien.pipeline.plan import make_unwritten_plan
    from mien.pipeline.preparing import prepare

    notices: list[str] = []

    def notice(line: str) -> None:
        notices.append(line)
        on_notice(line)

    step = replace(step, options=live_options(step.options, step.processors, processors, shop.models))
    plan = make_unwritten_plan(step, processors, shop.models, shop.settings, notice, target)
    check_live(plan)
    job = prepare(shop, plan, Meter(None), Cancel(), notice, live_badge(plan, notice))
    check_sources(job)
    assert target.video is not None
    return LiveSession(job, float(target.video.rate), notices)


def live_options(
    options: Mapping[str, Any],
    names: tuple[str, ...],
    processors: Mapping[str, AnyProcessor],
    store: ModelStore,
) -> dict[str, Any]:
    """The options of a live picture: built-in models where none is named, since they keep up on any machine."""
    values = dict(options)
    for name in names:
        processor = named(processors, name)
        item = model_option(processor.Options)
        if item is not None and item.key not in values:
            choice = built_in_choice(item, processor.Options, values, processor.models, store)
            values |= {} if choice is None else {item.key: choice}
    asks_people = any(values.get(item.key) for item in declared(SelectorOptions) if item.name in _PEOPLE)
    models = {"face_detector_model": "blazeface", "face_landmarker_model": "mesh"}
    if not asks_people and not models.keys() & values.keys():
        values |= models
    return values


def camera(rate: float, size: tuple[int, int]) -> MediaInfo:
    """What is known of a live picture before its first frame. Raises OptionError for numbers that none can have."""
    if not 1 <= rate <= 1000 or min(size) < 1:
        raise OptionError(
            f"A live picture cannot have {rate:g} frames a second of {size[0]}×{size[1]} pixels; "
            "1 to 1000 frames a second can be worked on."
        )
    video = VideoInfo(
        codec="rawvideo",
        width=size[0],
        height=size[1],
        rate=Fraction(rate).limit_denominator(1001),
        time_base=Fraction(1, 1000),
        start_pts=0,
        frame_count=0,
        pixel_format="bgr24",
        rotation=0,
        sample_aspect=Fraction(1),
        color=ColorTags(),
        bit_depth=8,
        has_alpha=False,
        is_hdr=False,
        is_interlaced=False,
    )
    return MediaInfo("video", TARGET.name, *size, duration=0.0, video=video)


def check_live(plan: Plan) -> None:
    """Raise OptionError for what a live picture cannot have."""
    for link in plan.chain:
        if link.processor.lookahead:
            raise OptionError(
                f"The processor {link.name} looks at later frames, which a live picture does not have; "
                "leave it out, or record the picture first."
            )
    if plan.sound is not None:
        raise OptionError(f"The source {plan.sound} is sound, which has no place in a live picture.")
    if plan.settings_of(SelectorOptions).reference_frame:
        raise OptionError("A live picture has no frame but the first to take the reference face from.")
    if plan.settings_of(ProvenanceOptions).watermark:
        raise OptionError("A live picture cannot be given a watermark; leave out output_watermark.")


def live_badge(plan: Plan, notice: Callable[[str], None]) -> Provenance:
    """The provenance of a live picture: a badge, if one is asked for, and nothing else."""
    from mien.pipeline.provenance import Provenance
    from mien.safety.badge import Badge

    options = plan.settings_of(ProvenanceOptions)
    badge = None if options.badge == "off" else Badge(options.badge, options.badge_text)
    return Provenance(plan, None, must_sign=False, badge=badge, watermark=None, notice=notice)


def _check_frame(frame: Any) -> None:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InputError(
            "A frame of a live picture is an array of height × width × 3 bytes, blue, green, red."
        )
    if not frame.size:
        raise InputError("A frame of a live picture has at least one pixel.")
