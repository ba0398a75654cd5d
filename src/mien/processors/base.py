"""The contract of a processor: a class that turns one frame into another, with its options declared beside it.

A processor is found through the entry-point group ``mien.processors``, ours and those of other people alike:

    [project.entry-points."mien.processors"]
    face_swapper = "mien.processors.face_swapper:FaceSwapper"
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from mien.options import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.faces.analyser import Analyser
    from mien.faces.neural.analyser import Analysis
    from mien.inference.runtime import Runtime
    from mien.models.store import ModelStore
    from mien.types import Face, Frame, MediaInfo

O = TypeVar("O", bound=Options)  # noqa: E741
S = TypeVar("S")
SettingsOf: TypeAlias = "Callable[[type[Options]], Any]"
"""Gives the values of any option group of a step."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a processor may use while it prepares for one step."""

    models: ModelStore
    runtime: Runtime
    analyser: Analyser
    """Finds faces in still pictures: sources, references."""
    sources: tuple[Path, ...]
    target: MediaInfo
    settings_of: SettingsOf
    """The values of any option group of the step: ``run.settings_of(MaskOptions).blur``."""
    notice: Callable[[str], None]
    """Tells the user one line, such as which model was chosen."""
    compat: bool = False
    """Repeat FaceFusion's arithmetic where mien's own differs."""


@dataclass(slots=True)
class FrameContext:
    """One frame on its way through the processors of a step.

    ``image`` is what a processor changes (replace it, or write into it: it is this run's own array); ``target`` is
    the frame as it was read and must not be changed. ``faces`` are all faces of ``target``, found once for all
    processors; ``selected`` those that the selector options leave, in its order.
    """

    image: Frame
    target: Frame
    index: int
    time: float
    """Seconds since the start of the clip."""
    find_faces: Callable[[], tuple[Face, ...]]
    select_faces: Callable[[tuple[Face, ...]], tuple[Face, ...]]
    analysis: Analysis | None = None
    """Embeddings and attributes of the faces, computed once, where downloaded networks found them."""
    alpha: NDArray[np.uint8] | None = None
    """H×W opacity, where the picture has one or a processor makes one."""
    cut: bool = False
    """True on the first frame of a new scene: state kept over time must start afresh."""
    find_people: Callable[[tuple[Face, ...]], tuple[tuple[Face, ...], ...]] | None = None
    """Of all faces, those of each person of the step's face map; None where nobody is mapped."""
    shared: dict[str, Any] = field(default_factory=dict)
    """Results that several processors of the frame need (masks, crops), by a key of their maker's choice."""
    _faces: tuple[Face, ...] | None = None
    _selected: tuple[Face, ...] | None = None

    @property
    def faces(self) -> tuple[Face, ...]:
        """All faces of the frame; found on first use."""
        if self._faces is None:
            self._faces = self.find_faces()
        return self._faces

    @property
    def selected(self) -> tuple[Face, ...]:
        """The faces to work on, in the selector's order."""
        if self._selected is None:
            self._selected = self.select_faces(self.faces)
        return self._selected

    @property
    def people(self) -> tuple[tuple[Face, ...], ...]:
        """The faces of each person of the step's face map; empty where nobody is mapped."""
        return () if self.find_people is None else self.find_people(self.faces)


class Processor(Generic[O, S]):
    """Base of all processors. An instance holds nothing; what a step needs lives in the state that it prepares."""

    name: ClassVar[str]
    Options: ClassVar[type[Options]]
    summary: ClassVar[str] = ""
    """One line for lists and forms."""
    needs_source: ClassVar[bool] = False
    source_kind: ClassVar[Literal["face", "audio"]] = "face"
    """What the sources must hold, where one is needed: pictures of a face, or sound."""
    needs_faces: ClassVar[bool] = True
    synthetic: ClassVar[bool] = True
    """True if the result shows something that was not there (marked as composite), False for mere enhancement."""
    sequential: ClassVar[bool] = False
    """True if frames must come in order, one at a time, because the state changes with each."""
    per_person: ClassVar[bool] = False
    """True if it takes pictures of one person: with a face map it is prepared, and runs, once for each person."""
    lookahead: ClassVar[int] = 0
    """How many later frames must have been analysed before a frame is processed."""

    def in_order(self, options: O) -> bool:
        """True if frames must come in order with these options; ``sequential`` unless a processor knows better."""
        return self.sequential

    def needs_mesh(self, options: O) -> bool:
        """True if faces must come with the mesh that only the built-in models measure."""
        return False

    def warm_up(self, options: O, rate: float) -> int:
        """Frames before a part of a clip (``rate`` frames a second) that the state must have seen."""
        return 0

    def files(self, options: O, store: ModelStore) -> Sequence[Path]:
        """Files besides the catalogue's models and the step's own inputs that determine the result."""
        return ()

    def models(self, options: O) -> Sequence[str]:
        """Names of the catalogue entries that must be present."""
        return ()

    def further_models(self, options: O, target: MediaInfo, settings_of: SettingsOf) -> Sequence[str]:
        """Names of the entries that some targets need, or that options of other groups name, besides ``models``."""
        return ()

    def prepare(self, run: RunContext, options: O) -> S:
        """Do once what does not change from frame to frame. Raises InputError for sources that cannot serve."""
        raise NotImplementedError

    def process(self, frame: FrameContext, state: S) -> None:
        """Replace or change ``frame.image`` (and ``frame.alpha``)."""
        raise NotImplementedError

    def output_size(self, options: O, width: int, height: int) -> tuple[int, int]:
        """Size of the frame after this processor."""
        return width, height
