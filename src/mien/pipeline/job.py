"""A prepared step: the plan, what its processors prepared, and how to find and choose faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.faces.neural.networks import mask_models
from mien.faces.options import MaskOptions
from mien.pipeline.people import PerPerson
from mien.pipeline.plan import Link, Plan
from mien.pipeline.policy import Policy, Verdict
from mien.pipeline.progress import Cancel, Meter
from mien.safety.marking import Marks, OperationKind, marks_for, read_marks

if TYPE_CHECKING:
    from mien.faces.analyser import Analyser
    from mien.models.store import ModelStore
    from mien.pipeline.provenance import Provenance
    from mien.processors.base import FrameContext
    from mien.settings import Settings


def models_of(plan: Plan, analyser: Analyser) -> tuple[str, ...]:
    """Catalogue entries of processors, masks and analysis, each once."""
    found = [*plan.models]
    if plan.needs_faces:
        found += [*analyser.models(), *mask_models(plan.settings_of(MaskOptions))]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that is needed to work on frames; shared by all threads of one run."""

    plan: Plan
    settings: Settings
    store: ModelStore
    states: tuple[Any, ...]
    """What each processor of the chain prepared."""
    analyser: Analyser
    policy: Policy
    meter: Meter
    cancel: Cancel
    notice: Callable[[str], None]
    provenance: Provenance

    @property
    def models(self) -> tuple[str, ...]:
        """Catalogue entries that the step uses, each once."""
        return models_of(self.plan, self.analyser)

    @property
    def models_by_processor(self) -> dict[str, tuple[str, ...]]:
        """Catalogue entries that each processor uses, with those that found its faces."""
        finding = [*self.analyser.models(), *mask_models(self.plan.settings_of(MaskOptions))]
        return {
            link.name: tuple(
                dict.fromkeys([*self.plan.models_of(link), *(finding if link.processor.needs_faces else ())])
            )
            for link in self.plan.chain
        }

    def process(self, frame: FrameContext) -> None:
        """Run all processors on one frame, in their order."""
        link: Link
        for link, state in zip(self.plan.chain, self.states, strict=True):
            self.cancel.raise_if_set()
            if isinstance(state, PerPerson):
                state.process(link.processor, frame)
            else:
                link.processor.process(frame, state)

    def count_faces(self, frame: FrameContext) -> int:
        """How many faces of the frame are worked on; nothing is searched if no processor asks for faces."""
        return len(frame.selected) if self.plan.needs_faces else 0

    def marks(self) -> Marks | None:
        """What the output says about how it was made; None when marking is switched off."""
        plan = self.plan
        if not plan.output.marking:
            return None
        kinds: dict[str, OperationKind] = {
            link.name: "synthetic" if link.processor.synthetic else "enhancement" for link in plan.chain
        }
        return marks_for(kinds, read_marks(plan.step.target))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a picture or video run counted."""

    frames: int
    faces: int
    content: Verdict
    resumed_segments: int = 0
    signed: bool = False
