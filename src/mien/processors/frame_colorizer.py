"""Colour grey pictures and video, or colour faded ones anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext

if TYPE_CHECKING:
    from mien.processors.colorize.network import Colorizer

ModelName = Literal["ddcolor", "ddcolor_artistic", "deoldify", "deoldify_artistic", "deoldify_stable"]
Size = Literal["192x192", "256x256", "384x384", "512x512"]


class FrameColorizerOptions(Options):
    """Options of the frame colorizer; names, choices and defaults are FaceFusion's."""

    group = "frame_colorizer"

    model: ModelName = option("ddcolor", help="The network that guesses colours.")
    size: Size = option(
        "256x256", help="Size at which colours are guessed: larger finds smaller things, smaller is calmer."
    )
    blend: int = option(100, ge=0, le=100, step=1, unit="%", help="Share of the new colours in the result.")


class FrameColorizer(Processor[FrameColorizerOptions, "Colorizer"]):
    """Colour whole frames."""

    name = "frame_colorizer"
    Options: ClassVar[type[Options]] = FrameColorizerOptions
    summary = "Colour grey or faded pictures and video."
    needs_faces = False

    def models(self, options: FrameColorizerOptions) -> Sequence[str]:
        """Names of the catalogue entries that must be present."""
        return (options.model,)

    def prepare(self, run: RunContext, options: FrameColorizerOptions) -> Colorizer:
        """Open the network. Raises ModelMissing or ModelCorrupt."""
        from mien.processors.colorize.network import Colorizer

        session = run.runtime.load(run.models.path(options.model))
        kind = run.models.catalogue[options.model].params["kind"]
        width, height = (int(side) for side in options.size.split("x"))
        return Colorizer.of(options.model, kind, session, (width, height), options.blend / 100, run.compat)

    def process(self, frame: FrameContext, state: Colorizer) -> None:
        """Replace ``frame.image`` by the coloured frame."""
        frame.image = state.colored(frame.image)
