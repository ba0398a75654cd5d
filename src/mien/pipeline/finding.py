"""How the faces of a picture or of the frames of a clip are found and chosen.

Two ways. ``Following``: a tracker looks at every frame in order, and the chosen face is followed. ``ByPerson``: each
frame is analysed for itself, by whatever thread works on it, and faces are chosen by who they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from mien.faces.analyser import Analyser, Observed, Tracker
from mien.faces.fill import fill
from mien.faces.options import FrameDistributionOptions, SelectorOptions, TrackerOptions
from mien.faces.select import Selector, face_at, make_selector, sort_faces
from mien.media.images import read_image
from mien.media.sniff import sniff
from mien.pipeline.plan import Plan
from mien.types import Box, Face, Frame, Place

if TYPE_CHECKING:
    from mien.faces.neural.analyser import Analysis, NeuralAnalyser
    from mien.faces.neural.selection import PersonSelector

ReadFrame = Callable[[int], Frame]
"""A frame of the target, by its number."""
Choose: TypeAlias = "Callable[[Analysis, Sequence[Face]], tuple[Face, ...]]"
"""The faces to work on, of those of a picture under analysis."""


@dataclass(frozen=True, slots=True)
class Found:
    """The faces of one frame; what is not known yet is found when it is asked for."""

    faces: Callable[[], tuple[Face, ...]]
    select: Callable[[tuple[Face, ...]], tuple[Face, ...]]
    analysis: Analysis | None = None
    cut: bool = False
    people: Callable[[tuple[Face, ...]], tuple[tuple[Face, ...], ...]] | None = None
    """Of all faces, those of each person of the face map; None where the step has none."""


class ClipFinder(Protocol):
    """Looks at the frames of one clip, in their order."""

    @property
    def place(self) -> Place | None:
        """Where the followed faces were last, for the next part of the clip."""
        ...

    @property
    def needs_place(self) -> bool | None:
        """Whether the place that it began with decided who is followed; None before anybody is."""
        ...

    def see(self, image: Frame, index: int) -> Any:
        """Look at the next frame; what comes back goes to ``found``."""
        ...

    def found(self, seen: Sequence[Any], middle: int) -> Found:
        """The faces of one frame, from what was seen of it and its neighbours; asked in the order of frames."""
        ...


class Finder(Protocol):
    """Finds faces for one step."""

    @property
    def lookahead(self) -> int:
        """How many later frames must have been seen before a frame's faces are known."""
        ...

    @property
    def remembers(self) -> bool:
        """Whether what is found depends on frames further back, so that a part of a clip needs a warm-up."""
        ...

    @property
    def follows(self) -> bool:
        """Whether one part of a clip hands the place of a face to the next."""
        ...

    def still(self, image: Frame) -> Found:
        """The faces of a picture."""
        ...

    def clip(self, rate: float, place: Place | None) -> ClipFinder:
        """Start on a part of a clip of ``rate`` frames a second; ``place`` is where the followed faces were."""
        ...


def make_finder(plan: Plan, analyser: Analyser, read_frame: ReadFrame, *, is_clip: bool) -> Finder:
    """The finder of a step. ``read_frame`` is called once for each frame of a clip that shows a reference face.

    Raises InputError for a face map that names a face that is not there.
    """
    from mien.faces.neural.analyser import NeuralAnalyser

    if not plan.needs_faces:
        return Nothing()
    read = read_frame if is_clip else None
    if isinstance(analyser, NeuralAnalyser) and not plan.lookahead:
        if plan.step.people:
            return _by_identity(plan, analyser, read)
        return _perhaps_between_keys(plan, _by_person(plan, analyser, read), is_clip)
    if plan.step.people:
        from mien.pipeline.mapped import by_place

        return by_place(plan, _following(plan, analyser, None), read)
    return _following(plan, analyser, read)


class Nothing:
    """Finds nothing: no processor of the step asks for faces."""

    lookahead = 0
    remembers = False
    follows = False
    place = None
    needs_place = False

    def still(self, image: Frame) -> Found:
        """No faces."""
        return _NOTHING

    def clip(self, rate: float, place: Place | None) -> Nothing:
        """Itself."""
        return self

    def see(self, image: Frame, index: int) -> None:
        """Look away."""

    def found(self, seen: Sequence[Any], middle: int) -> Found:
        """No faces."""
        return _NOTHING


_NOTHING = Found(faces=tuple, select=lambda faces: faces)


@dataclass(frozen=True, slots=True)
class Following:
    """Faces by a tracker; gaps are filled where a processor asks for it."""

    analyser: Analyser
    selector: Selector
    lookahead: int
    hold: int
    """Frames before the first and after the last sighting in which a face is taken to be there."""
    interval: float | None
    """Seconds after which new faces are looked for; None: as the options say."""
    remembers: bool = True

    @property
    def follows(self) -> bool:
        """The chosen face is followed where one is meant, and not all."""
        return self.selector.options.mode == "reference"

    def still(self, image: Frame) -> Found:
        """The faces of a picture."""
        return Found(faces=lambda: self.analyser.faces(image), select=self.selector)

    def clip(self, rate: float, place: Place | None) -> _FollowingClip:
        """Start on a part of a clip."""
        small = True if self.hold else None
        tracker = self.analyser.tracker(rate, interval=self.interval, small_faces=small)
        return _FollowingClip(self, tracker, place)


class _FollowingClip:
    def __init__(self, finder: Following, tracker: Tracker, place: Place | None) -> None:
        self._finder = finder
        self._tracker = tracker
        self._follower = finder.selector.follow(None if place is None else Box(*place[:4]))

    @property
    def place(self) -> Place | None:
        return None if self._follower.place is None else self._follower.place.as_tuple()

    @property
    def needs_place(self) -> bool | None:
        return self._follower.needs_place

    def see(self, image: Frame, index: int) -> Observed:
        return self._tracker.update(image, index)

    def found(self, seen: Sequence[Observed], middle: int) -> Found:
        observed = seen[middle]
        if self._finder.lookahead:
            observed = replace(observed, faces=fill(seen, middle, hold=self._finder.hold))
        selected = self._follower.select(observed)
        return Found(
            faces=lambda: observed.faces,
            select=lambda faces: selected,
            analysis=getattr(observed, "analysis", None),
            cut=observed.cut,
        )


@dataclass(frozen=True, slots=True)
class ByPerson:
    """Faces by downloaded networks, every frame for itself; with a score, short gaps are bridged."""

    analyser: NeuralAnalyser
    selector_for: Callable[[Analysis], Choose]
    """The selector, given the picture under analysis (a still picture is its own reference)."""
    lookahead: int = 0
    score: float = 0.0
    known: tuple[int, Analysis] | None = None
    """A frame of the clip that was analysed before, by its number: that of the reference."""
    remembers: bool = False
    follows: bool = False

    def still(self, image: Frame) -> Found:
        """The faces of a picture."""
        analysis = self.analyser.picture(image)
        return Found(
            faces=lambda: analysis.faces,
            select=lambda faces: self.selector_for(analysis)(analysis, faces),
            analysis=analysis,
        )

    def clip(self, rate: float, place: Place | None) -> _Frames:
        """Start on a part of a clip."""
        return _Frames(self)


@dataclass(frozen=True, slots=True)
class _Frames:
    finder: ByPerson
    place: Place | None = None
    needs_place: bool = False

    def see(self, image: Frame, index: int) -> Analysis:
        known = self.finder.known
        if known is not None and known[0] == index and known[1].shows(image):
            return known[1]
        return self.finder.analyser.analyse(image)

    def found(self, seen: Sequence[Analysis], middle: int) -> Found:
        finder, analysis = self.finder, seen[middle]
        faces: Callable[[], tuple[Face, ...]] = lambda: analysis.faces  # noqa: E731
        if finder.lookahead:
            window = _centred(seen, middle, finder.lookahead)
            faces = lambda: _bridged(finder, window)  # noqa: E731
        return Found(
            faces=faces,
            select=lambda chosen: finder.selector_for(analysis)(analysis, chosen),
            analysis=analysis,
        )


def _bridged(finder: ByPerson, window: Sequence[Analysis | None]) -> tuple[Face, ...]:
    from mien.faces.neural.tracker import follow_analyses

    return follow_analyses(window, finder.score, compat=finder.analyser.setup.compat)


def _centred(seen: Sequence[Analysis], middle: int, size: int) -> list[Analysis | None]:
    """``size`` frames to each side of the middle one; None beyond the clip."""
    return [
        seen[index] if 0 <= index < len(seen) else None for index in range(middle - size, middle + size + 1)
    ]


def _following(plan: Plan, analyser: Analyser, read_frame: ReadFrame | None) -> Following:
    options = plan.settings_of(SelectorOptions)
    reference = None
    if read_frame is not None and options.mode == "reference" and options.reference_frame > 0:
        faces = analyser.faces(read_frame(options.reference_frame))
        reference = face_at(sort_faces(faces, options.order), options.reference_position)
    return Following(
        analyser=analyser,
        selector=make_selector(options, reference=reference),
        lookahead=max(plan.lookahead, _bridge(plan)),
        hold=plan.lookahead,
        interval=0.0 if plan.lookahead and "face_tracker_interval" not in plan.values else None,
    )


def _by_person(plan: Plan, analyser: NeuralAnalyser, read_frame: ReadFrame | None) -> ByPerson:
    from mien.faces.neural.selection import PersonSelector, reference, wanted

    options = plan.settings_of(SelectorOptions)
    pictures = [path for path in plan.step.sources if sniff(path).kind == "image"]
    asks_sources = "auto" in (options.gender, options.race)
    sources = [analyser.picture(read_image(path).pixels) for path in pictures] if asks_sources else []
    filters = wanted(options, sources)
    needs_reference = options.mode == "reference"
    known: tuple[int, Analysis] | None = None
    if not needs_reference or read_frame is None:

        def for_still(analysis: Analysis) -> PersonSelector:
            known = reference(analysis, options, filters) if needs_reference else None
            return PersonSelector(options, filters, known)

        selector_for = for_still
    else:
        known = options.reference_frame, analyser.analyse(read_frame(options.reference_frame))
        fixed = reference(known[1], options, filters)

        def for_clip(analysis: Analysis) -> PersonSelector:
            return PersonSelector(options, filters, fixed)

        selector_for = for_clip
    score = plan.settings_of(TrackerOptions).score
    return ByPerson(analyser, selector_for, _bridge(plan), score, known)


def _by_identity(plan: Plan, analyser: NeuralAnalyser, read_frame: ReadFrame | None) -> Finder:
    from mien.pipeline.mapped import Boxes, ByIdentity, recognised

    selector, known = recognised(plan, analyser, read_frame)
    score = plan.settings_of(TrackerOptions).score
    by_person = ByPerson(analyser, lambda analysis: selector, _bridge(plan), score, known)
    is_clip = read_frame is not None
    return ByIdentity(_perhaps_between_keys(plan, by_person, is_clip), Boxes(plan), selector)


def _perhaps_between_keys(plan: Plan, by_person: ByPerson, is_clip: bool) -> Finder:
    """With fast analysis of a clip, networks look at some frames only."""
    if not is_clip or plan.workflow.analysis != "fast":
        return by_person
    from mien.pipeline.fast import BetweenKeys, frames_between

    video = plan.target.video
    return BetweenKeys(by_person, frames_between(float(video.rate) if video else 0.0))


def _bridge(plan: Plan) -> int:
    """Neighbouring frames that help to bridge gaps: none without a tracker score."""
    if not plan.settings_of(TrackerOptions).score:
        return 0
    return plan.settings_of(FrameDistributionOptions).target_frame_amount
