"""What finds faces: the protocols that pipeline and processors know, and the choice of one by options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mien.errors import OptionError
from mien.faces.options import DetectorOptions, LandmarkerOptions, TrackerOptions
from mien.options import Options
from mien.types import Face, Frame

if TYPE_CHECKING:
    from mien.inference.runtime import Runtime
    from mien.models.store import ModelStore


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """The faces of one frame of a video, in the order in which their tracks began."""

    faces: tuple[Face, ...]
    cut: bool = False
    """True on the first frame of a new scene; no track reaches across a cut."""
    index: int = 0
    """Number of the frame."""


class Tracker(Protocol):
    """Follows faces through one clip, frame by frame; the same frames always give the same faces."""

    def update(self, image: Frame, index: int) -> Observed:
        """Find the faces of the next frame. ``index`` must rise; a gap in it counts as time that passed."""
        ...


class Analyser(Protocol):
    """Finds faces; safe to use from many threads."""

    def models(self) -> tuple[str, ...]:
        """Catalogue names of the models that it needs."""
        ...

    def faces(self, image: Frame) -> tuple[Face, ...]:
        """Find the faces of a still picture, the surest first."""
        ...

    def tracker(
        self, rate: float, *, interval: float | None = None, small_faces: bool | None = None
    ) -> Tracker:
        """Start following faces in a clip of ``rate`` frames a second.

        ``interval`` (seconds after which new faces are looked for at the latest) and ``small_faces`` (look
        closely each time) replace the options of those names.
        """
        ...


def make_analyser(
    store: ModelStore, runtime: Runtime, options_of: Callable[[type[Options]], Any]
) -> Analyser:
    """Make the analyser that a step's options ask for; without a named model it is the built-in one.

    Raises OptionError for a named model that this version cannot run.
    """
    from mien.faces.builtin.analyser import BuiltinAnalyser

    detector: DetectorOptions = options_of(DetectorOptions)
    landmarker: LandmarkerOptions = options_of(LandmarkerOptions)
    tracker: TrackerOptions = options_of(TrackerOptions)
    _refuse_others("face_detector_model", detector, "blazeface")
    _refuse_others("face_landmarker_model", landmarker, "mesh")
    return BuiltinAnalyser(store, runtime, detector=detector, landmarker=landmarker, tracker=tracker)


def _refuse_others(key: str, options: DetectorOptions | LandmarkerOptions, builtin: str) -> None:
    if "model" in options.model_fields_set and options.model != builtin:
        raise OptionError(
            f"{key} {options.model} cannot be run by this version; "
            f"leave it out or name {builtin}, which is built in."
        )
