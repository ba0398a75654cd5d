"""Give faces that were swapped or edited the expression back that the target has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext
from mien.processors.live_portrait.parts import EXTRACTORS, model_ids

if TYPE_CHECKING:
    from mien.processors.live_portrait.restorer import ExpressionRestorer as Restorer

Area = Literal["upper-face", "lower-face"]


class ExpressionRestorerOptions(Options):
    """Options of the expression restorer; names, choices and defaults are FaceFusion's."""

    group = "expression_restorer"

    model: Literal["live_portrait"] = option("live_portrait", help="The networks that restore expressions.")
    factor: int = option(
        80, ge=0, le=100, step=1, unit="%", help="How much of the target's expression comes back."
    )
    areas: tuple[Area, ...] = option(
        ("upper-face", "lower-face"), help="Parts of the face whose expression comes back."
    )


class ExpressionRestorer(Processor[ExpressionRestorerOptions, "Restorer"]):
    """Restores the expressions of the selected faces."""

    name: ClassVar[str] = "expression_restorer"
    Options: ClassVar[type[Options]] = ExpressionRestorerOptions
    summary: ClassVar[str] = "Give swapped faces the expression of the target."

    def models(self, options: ExpressionRestorerOptions) -> Sequence[str]:
        """Three of LivePortrait's networks."""
        return model_ids(EXTRACTORS)

    def prepare(self, run: RunContext, options: ExpressionRestorerOptions) -> Restorer:
        """Open the networks. Raises ModelMissing or ModelCorrupt."""
        from mien.processors.live_portrait.networks import LivePortrait
        from mien.processors.live_portrait.restorer import FACTOR_SPAN, kept_points
        from mien.processors.live_portrait.restorer import ExpressionRestorer as Restorer
        from mien.processors.masking import make_masker

        return Restorer(
            portrait=LivePortrait.load(run, EXTRACTORS),
            masker=make_masker(run),
            share=options.factor / 100 * FACTOR_SPAN,
            kept=kept_points(options.areas),
            compat=run.compat,
        )

    def process(self, frame: FrameContext, state: Restorer) -> None:
        """Restore the selected faces in ``frame.image``, one after the other."""
        for face in frame.selected:
            state.restore(frame, face)
