"""What is looked at without making a job of it: faces, one frame of a result, how a file was made, a live picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mien.errors import InputError
from mien.jobs.job import Job, JobStep, now
from mien.jobs.recipe import options_of
from mien.options import declared
from mien.pipeline.people import people_of
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Step
from mien.service.accounts import Accounts
from mien.service.assets import Assets
from mien.service.callers import Caller
from mien.service.checking import Checker, Look
from mien.service.problems import Problems
from mien.service.requests import (
    DetectRequest,
    LiveRequest,
    PreviewRequest,
    StepFields,
    StepResult,
    TimelineRequest,
)
from mien.service.scratch import FACE_MAP, Inputs

if TYPE_CHECKING:
    from mien.pipeline.engine import Engine
    from mien.pipeline.live import LiveSession
    from mien.safety.verify import Findings
    from mien.types import Face, Frame

THUMBNAIL: Final = (160, 90)
QUALITY: Final = 85
"""Of JPEG pictures for the screen."""
LOOK_OF_FACES: Final = ("face_detector", "face_landmarker", "face_selector")
"""Sections of the options that say how faces are found and counted."""


class Newest:
    """Of several requests of one group only the newest is worth its work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: dict[tuple[str, str], Cancel] = {}

    @property
    def count(self) -> int:
        """Groups with a request that is being done."""
        with self._lock:
            return len(self._current)

    @contextmanager
    def only(self, owner: str, group: str | None) -> Iterator[Cancel]:
        """Be the newest of a group for the length of the block, until a newer one comes and cancels this one."""
        cancel, name = Cancel(), (owner, group or "")
        if group is None:
            yield cancel
            return
        with self._lock:
            older = self._current.get(name)
            self._current[name] = cancel
        if older is not None:
            older.set()
        try:
            yield cancel
        finally:
            with self._lock:
                if self._current.get(name) is cancel:
                    del self._current[name]


@dataclass(frozen=True, slots=True)
class PreviewPicture:
    """One frame of a result, as JPEG with marks."""

    content: bytes
    faces: int
    """Faces that were worked on."""
    milliseconds: float
    models: tuple[str, ...]


@dataclass(frozen=True)
class Looking:
    """Looks at files of the caller with the face engine of this process. Used by many threads."""

    engine: Callable[[], Engine]
    assets: Assets
    checker: Checker
    look: Callable[[Caller], Look]
    accounts: Accounts
    newest: Newest = field(default_factory=Newest)

    def detect_asset(self, request: DetectRequest, caller: Caller) -> dict[str, Any]:
        """The faces of an asset; see ``detect``."""
        with self.local(request.asset, caller) as path:
            return self.detect(path, request)

    def detect(self, path: Path, request: DetectRequest) -> dict[str, Any]:
        """The faces of a picture or frame, in the order of the selector, as the API shows them."""
        from mien.faces.select import sort_faces

        options = self.face_options(request.options)
        image, found = self.engine().detect(path, options, frame=request.frame)
        faces = sort_faces(found, options.get("face_selector_order", "large-small"))
        height, width = image.shape[:2]
        size = request.crop_size if request.crops else None
        return {
            "width": width,
            "height": height,
            "frame": request.frame,
            "faces": [face_view(face, request.frame, image, size) for face in faces],
        }

    def timeline(self, request: TimelineRequest, caller: Caller) -> Iterator[dict[str, Any]]:
        """Moments of a video, each when it was looked at. What is wrong is raised before the first."""
        stack = ExitStack()
        try:
            path = stack.enter_context(self.local(request.asset, caller))
            thumbnails = THUMBNAIL if request.thumbnails else None
            moments = self.engine().scan(path, {}, every=request.every, thumbnails=thumbnails)
            first = next(moments, None)
        except BaseException:
            stack.close()
            raise

        def views() -> Iterator[dict[str, Any]]:
            with stack:
                for moment in () if first is None else _chained(first, moments):
                    thumbnail = None if moment.thumbnail is None else data_url(jpeg(moment.thumbnail))
                    yield {
                        "time": round(moment.time, 3),
                        "frame": moment.frame,
                        "faces": [_box(face) for face in moment.faces],
                        "thumbnail": thumbnail,
                    }

        return views()

    def preview(self, request: PreviewRequest, caller: Caller, group: str | None) -> PreviewPicture:
        """One frame of what a step would make. Raises Canceled when a newer request of the group came."""
        if isinstance(request.target, StepResult):
            raise InputError(
                "A preview needs the picture or video itself as target, not the result of a step."
            )
        wish = StepFields.model_validate(request.model_dump(exclude={"frame", "size"}))
        stored = self.checker.step(wish, (), None, self.look(caller))
        self.checker.check_consent([stored])
        with self.newest.only(caller.owner, group) as cancel, Inputs(self.assets, caller.owner) as inputs:
            started = time.perf_counter()
            step = self._step(stored, inputs)
            made = self.engine().preview(step, request.frame, cancel=cancel, size=request.size)
            cancel.raise_if_set()
            content = jpeg(made.after, self.marks(step.processors))
            milliseconds = (time.perf_counter() - started) * 1000
        return PreviewPicture(content, len(made.selected), milliseconds, made.models)

    @contextmanager
    def live(self, request: LiveRequest, caller: Caller) -> Iterator[LiveSession]:
        """A live picture with the caller's sources. Raises what is wrong with the request, and with the sources."""
        problems = Problems()
        processors = self.checker.chain(request.processors, problems, "processors")
        options = self.checker.options(request.options, problems)
        sources = self.checker.sources(request.sources, "sources", self.look(caller), problems)
        problems.refuse()
        self.checker.check_consent([JobStep(options)])
        with Inputs(self.assets, caller.owner) as inputs:
            args = inputs.local(inputs.fetched({"source_paths": sources, **options}), _NO_JOB)
            paths = args.pop("source_paths")
            with self.engine().live(paths, processors, args) as session:
                began = time.monotonic()
                try:
                    yield session
                finally:
                    consent, seconds = options.get("consent_ref"), time.monotonic() - began
                    self.accounts.record_live(caller.owner, processors, consent, session, seconds)

    def verify_asset(self, reference: str, caller: Caller, name: str | None = None) -> tuple[Findings, str]:
        """What an asset says about how it was made, and its verdict."""
        with self.local(reference, caller) as path:
            return self.verify(path)

    def verify(self, path: Path) -> tuple[Findings, str]:
        """What a file says about how it was made, and its verdict."""
        from mien.safety.verify import anchors_of, verify

        settings = self.engine().settings
        findings = verify(path, anchors_of(settings), max_pixels=settings.max_pixels)
        return findings, findings.verdict()

    @contextmanager
    def local(self, reference: str, caller: Caller) -> Iterator[Path]:
        """An asset, or what is behind an address, as a file of this machine."""
        args = {"target_path": self.checker.reference(reference)}
        with Inputs(self.assets, caller.owner) as inputs:
            yield Path(inputs.local(inputs.fetched(args), _NO_JOB)["target_path"])

    def face_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Options of finding faces. Raises OptionError for others."""
        from mien.pipeline.output_options import GROUPS
        from mien.service.words import checked

        problems = Problems()
        groups = [group for group in GROUPS if group.section in LOOK_OF_FACES]
        found = checked(values, groups, problems)
        problems.refuse()
        return found

    def marks(self, processors: tuple[str, ...]) -> dict[str, str]:
        """What a picture says about how it was made."""
        from mien.safety.marking import OperationKind, marks_for, tags_for

        kinds: dict[str, OperationKind] = {
            name: "synthetic" if self.checker.processors[name].synthetic else "enhancement"
            for name in processors
        }
        return tags_for(marks_for(kinds))

    def _step(self, stored: JobStep, inputs: Inputs) -> Step:
        args = inputs.local(inputs.fetched(stored.args), _NO_JOB)
        keys = {item.key for group in self.checker.groups for item in declared(group)}
        return Step(
            target=Path(args["target_path"]),
            output=Path("preview.jpg"),
            sources=tuple(Path(path) for path in args["source_paths"]),
            processors=stored.processors,
            options=options_of(JobStep(args), keys),
            people=people_of(args.get(FACE_MAP)),
        )


_NO_JOB: Final = Job("", now())


def face_view(face: Face, frame: int, image: Frame, crop_size: int | None) -> dict[str, Any]:
    """A face as the API shows it; with a picture of it where a size is given."""
    from mien.faces.chips import crop
    from mien.faces.reference import face_id

    found = {
        "id": face_id(frame, face.box),
        "box": _box(face),
        "score": round(float(face.score), 4),
        "landmarks": {
            "5": [_point(point) for point in face.landmarks.five_of_68],
            "68": [_point(point) for point in face.landmarks.sixty_eight],
        },
        "angle": face.angle,
    }
    if crop_size is not None:
        found["crop"] = data_url(jpeg(crop(image, face, crop_size)))
    return found


def jpeg(image: Frame, tags: Mapping[str, str] | None = None) -> bytes:
    """A picture for the screen, with marks where something was changed."""
    from mien.media.images import Picture, encode_image

    return encode_image("jpeg", Picture(image), quality=QUALITY, tags=tags)


def data_url(content: bytes) -> str:
    """A JPEG inside a document."""
    from base64 import b64encode

    return "data:image/jpeg;base64," + b64encode(content).decode("ascii")


def _box(face: Face) -> list[float]:
    return [round(float(edge), 2) for edge in face.box.as_tuple()]


def _point(point: Any) -> list[float]:
    return [round(float(point[0]), 2), round(float(point[1]), 2)]


def _chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest
