"""What a step does to one frame, at once and without writing anything.

What was prepared for a step, and the frames that were looked at, are kept for the next preview, so that moving through
a video or moving a slider costs no more than the work on one frame.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from mien.errors import OptionError
from mien.pipeline.people import face_map_of
from mien.pipeline.policy import Verdict, check_sources, result_of, worst
from mien.pipeline.progress import Cancel, Meter
from mien.pipeline.step import Step
from mien.pipeline.work import file_identity, hash_of

if TYPE_CHECKING:
    from mien.pipeline.finding import Finder, Found
    from mien.pipeline.frames import Frames, Sought
    from mien.pipeline.job import Job
    from mien.pipeline.preparing import Workshop
    from mien.pipeline.registry import AnyProcessor
    from mien.processors.base import FrameContext
    from mien.types import Face, Frame

T = TypeVar("T")

STEPS = 4
"""Prepared steps that are kept."""
TARGETS = 8
"""Targets whose index of frames is kept."""
STILLS = 128 << 20
"""Bytes of decoded frames that are kept."""
SMALLEST = 32
"""Smallest longest side, in pixels, to which a preview may be scaled."""


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """One frame before and after the work."""

    before: Frame
    """The frame as it was worked on: scaled down, if that was asked for. Read-only."""
    after: Frame
    """What the processors made of it, in the size that they gave it; transparent parts are white."""
    faces: tuple[Face, ...]
    """All faces of ``before``, in its pixels; empty where no processor asks for faces."""
    selected: tuple[Face, ...]
    """Those that were worked on."""
    frame: int
    """Number of the frame in the target; smaller than the one that was asked for where there are fewer."""
    time: float
    """Seconds since the first frame."""
    scale: float
    """Size of ``before`` relative to the target."""
    models: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    content: Verdict = "unchecked"
    """What the content policy found in this frame, the sources and the result."""


class Kept(Generic[T]):
    """The values that were used last, by key, as many as fit. Safe to use from many threads."""

    def __init__(self, limit: int, cost: Callable[[T], int] = lambda value: 1) -> None:
        self._limit = limit
        self._cost = cost
        self._lock = threading.Lock()
        self._values: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of a key; where there is none, what ``make`` gives (two threads may both make one)."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            value = self._values.setdefault(key, value)
            total = sum(map(self._cost, self._values.values()))
            while total > self._limit and len(self._values) > 1:
                total -= self._cost(self._values.popitem(last=False)[1])
        return value

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._values.clear()


@dataclass(slots=True, eq=False)
class _Still:
    """One frame in the size to work in, and what the content policy said of it."""

    sought: Sought
    scale: float
    flagged: bool | None = None


@dataclass(slots=True, eq=False)
class _Desk:
    """A prepared step. The lock is held while it works: what a processor prepared is not for two threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    job: Job | None = None
    content: set[Verdict] = field(default_factory=set)
    """What the content policy said of the sources."""
    notices: list[str] = field(default_factory=list)
    finders: dict[int | None, Finder] = field(default_factory=dict)
    """By the size of the preview."""


class Previews:
    """Makes previews for one engine, and keeps what the next one needs."""

    def __init__(self, shop: Workshop, processors: Mapping[str, AnyProcessor]) -> None:
        self._shop = shop
        self._processors = processors
        self._desks: Kept[_Desk] = Kept(STEPS)
        self._targets: Kept[Frames] = Kept(TARGETS)
        self._stills: Kept[_Still] = Kept(STILLS, lambda still: still.sought.image.nbytes)

    def close(self) -> None:
        """Let go of everything that is kept."""
        for kept in (self._desks, self._targets, self._stills):
            kept.clear()

    def make(self, step: Step, number: int, cancel: Cancel, size: int | None) -> Preview:
        """See ``Engine.preview``."""
        if number < 0 or (size is not None and size < SMALLEST):
            raise OptionError(
                f"A preview of frame {number} at size {size} cannot be made: frames count from 0, "
                f"and the longest side is at least {SMALLEST} pixels."
            )
        target = file_identity(step.target)
        desk = self._desks.get(_key(step, target), _Desk)
        with desk.lock:
            job = replace(desk.job or self._prepare(step, desk, cancel), cancel=cancel)
            frames = self._frames(step.target, target)
            whole = self._stills.get(f"{target} {number}", lambda: _whole(frames, number))
            still = whole
            if size is not None:
                still = self._stills.get(f"{target} {number} {size}", lambda: _scaled(whole, size))
            cancel.raise_if_set()
            content = self._check(job, desk, still)
            finder = self._finder(job, desk, frames, size)
            return _preview(job, desk, still, finder, content)

    def _prepare(self, step: Step, desk: _Desk, cancel: Cancel) -> Job:
        from mien.pipeline.plan import make_unwritten_plan
        from mien.pipeline.preparing import prepare, unmarked

        shop, notices = self._shop, desk.notices

        def notice(line: str) -> None:
            if line not in notices:
                notices.append(line)

        plan = make_unwritten_plan(step, self._processors, shop.models, shop.settings, notice)
        job = prepare(shop, plan, Meter(None), cancel, notice, unmarked(plan, notice))
        desk.content = check_sources(job)
        desk.job = job
        return job

    def _frames(self, path: Path, identity: str) -> Frames:
        from mien.pipeline.frames import Frames

        return self._targets.get(identity, lambda: Frames(path, self._shop.settings.max_pixels))

    def _check(self, job: Job, desk: _Desk, still: _Still) -> Verdict:
        """Judge the frame as a picture. Raises UnsafeInput if the policy refuses."""
        if job.policy.looks and still.flagged is None:
            still.flagged = job.policy.flags(still.sought.image)
        verdict = job.policy.verdict(int(bool(still.flagged)), 1, job.plan.step.target)
        return "flagged" if "flagged" in desk.content else verdict

    def _finder(self, job: Job, desk: _Desk, frames: Frames, size: int | None) -> Finder:
        from mien.pipeline.finding import make_finder

        if size not in desk.finders:
            desk.finders[size] = make_finder(
                job.plan,
                job.analyser,
                lambda number: _scaled(_whole(frames, number), size).sought.image,
                is_clip=job.plan.kind == "video",
            )
        return desk.finders[size]


def _key(step: Step, target: str) -> str:
    """Identifies everything that determines what is prepared for a step."""
    said = {
        "target": [str(step.target), target],
        "sources": [[str(path), file_identity(path)] for path in step.all_sources],
        "people": face_map_of(step.people),
        "processors": step.processors,
        "options": dict(step.options),
    }
    return hash_of(said)


def _whole(frames: Frames, number: int) -> _Still:
    sought = frames.read(number)
    sought.image.setflags(write=False)  # it is kept, and handed out
    return _Still(sought, 1.0)


def _scaled(whole: _Still, size: int | None) -> _Still:
    from mien.pipeline.resize import resized

    sought = whole.sought
    height, width = sought.image.shape[:2]
    scale = min(1.0, size / max(height, width)) if size else 1.0
    if scale == 1:
        return whole
    wanted = max(round(width * scale), 1), max(round(height * scale), 1)
    image = resized(sought.image, *wanted)
    image.setflags(write=False)
    alpha = None if sought.alpha is None else resized(sought.alpha, *wanted)
    return _Still(replace(sought, image=image, alpha=alpha), scale)


def _preview(job: Job, desk: _Desk, still: _Still, finder: Finder, content: Verdict) -> Preview:
    frame = _frame_of(still, _found(job, finder, still))
    job.process(frame)
    flagged = job.policy.flags_result(frame, bool(still.flagged))
    after = job.policy.verdict(int(flagged), 1, result_of(job.plan.step.target))
    return Preview(
        before=still.sought.image,
        after=_shown(frame),
        faces=frame.faces,
        selected=frame.selected,
        frame=still.sought.number,
        time=still.sought.time,
        scale=still.scale,
        models=job.models,
        notices=tuple(desk.notices),
        content=worst([content, after]),
    )


def _found(job: Job, finder: Finder, still: _Still) -> Found:
    """The faces of a picture, or of a frame as a run that begins with it would find them."""
    image, number = still.sought.image, still.sought.number
    if job.plan.kind == "image":
        return finder.still(image)
    video = job.plan.target.video
    clip = finder.clip(float(video.rate) if video else 25.0, None)
    return clip.found([clip.see(image, number)], 0)


def _frame_of(still: _Still, found: Found) -> FrameContext:
    """The frame under work; as after a cut, since it has nothing to do with the one before."""
    from mien.processors.base import FrameContext

    sought = still.sought
    return FrameContext(
        image=sought.image.copy(),
        target=sought.image,
        index=sought.number,
        time=sought.time,
        find_faces=found.faces,
        select_faces=found.select,
        analysis=found.analysis,
        alpha=None if sought.alpha is None else sought.alpha.copy(),
        cut=True,
        find_people=found.people,
    )


def _shown(frame: FrameContext) -> Frame:
    from mien.pipeline.resize import on_white, resized

    if frame.alpha is None:
        return frame.image
    height, width = frame.image.shape[:2]
    return on_white(frame.image, resized(frame.alpha, width, height))
