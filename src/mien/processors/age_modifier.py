"""Make faces younger or older."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext

if TYPE_CHECKING:
    from mien.faces.neural.networks import Networks
    from mien.processors.age.ways import AgeState
    from mien.types import Face

ModelName = Literal["fran", "styleganex_age"]

CLASSIFIERS: dict[ModelName, tuple[str, ...]] = {"fran": ("fairface",), "styleganex_age": ()}
"""What tells how old a face is now, for the models that must be told."""


class AgeModifierOptions(Options):
    """Options of the age modifier; names, choices and defaults are FaceFusion's."""

    group = "age_modifier"

    model: ModelName = option("fran", help="The network that changes ages.")
    direction: int = option(
        0, ge=-100, le=100, step=1, help="Below 0 younger, above 0 older; for fran the number of years."
    )


@dataclass(frozen=True, slots=True)
class ModifierState:
    """What a step needs for every frame."""

    model: ModelName
    age: AgeState
    networks: Networks


class AgeModifier(Processor[AgeModifierOptions, ModifierState]):
    """Change the age of the selected faces."""

    name = "age_modifier"
    Options: ClassVar[type[Options]] = AgeModifierOptions
    summary = "Make faces younger or older."

    def models(self, options: AgeModifierOptions) -> Sequence[str]:
        """The network, and the classifier of ages where it must be told one."""
        return (options.model, *CLASSIFIERS[options.model])

    def prepare(self, run: RunContext, options: AgeModifierOptions) -> ModifierState:
        """Open the network. Raises ModelMissing or ModelCorrupt."""
        from mien.faces.neural.networks import networks_of
        from mien.processors.age.network import AgeNetwork
        from mien.processors.age.ways import AgeState
        from mien.processors.masking import make_masker

        params = run.models.catalogue[options.model].params
        network = AgeNetwork.of(options.model, params, run.runtime.load(run.models.path(options.model)))
        age = AgeState(network, options.direction, make_masker(run), run.compat)
        return ModifierState(options.model, age, networks_of(run.models, run.runtime))

    def process(self, frame: FrameContext, state: ModifierState) -> None:
        """Change the selected faces in ``frame.image``, one after the other."""
        from mien.faces.align import scale_face
        from mien.processors.age.ways import WAYS

        x = frame.image.shape[1] / frame.target.shape[1]
        y = frame.image.shape[0] / frame.target.shape[0]
        for face in frame.selected:
            WAYS[state.model](frame.image, scale_face(face, x, y), state.age, _age_of(frame, face, state))


def _age_of(frame: FrameContext, face: Face, state: ModifierState) -> Callable[[], float]:
    """Asks for the middle of the range of years that the classifier gives a face."""

    def years() -> float:
        if frame.analysis is not None:
            ages = frame.analysis.attributes(face).age
        else:
            five = face.landmarks.five_of_68
            ages = state.networks.classifier().classify(frame.target, five, compat=state.age.compat).age
        return (ages[0] + ages[-1]) / 2

    return years
