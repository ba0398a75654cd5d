"""Put the face of the source pictures onto the faces of the target.

The options are the same for all models; what a model does is the matter of its family. ``FAMILIES`` tells
which family drives which model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, get_args

from mien.errors import InputError
from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext

ModelName = Literal[
    "blendswap_256",
    "ghost_1_256",
    "ghost_2_256",
    "ghost_3_256",
    "hififace_unofficial_256",
    "hyperswap_1a_256",
    "hyperswap_1b_256",
    "hyperswap_1c_256",
    "inswapper_128",
    "inswapper_128_fp16",
    "simswap_256",
    "simswap_unofficial_512",
    "uniface_256",
    "mesh",
]
PixelBoost = Literal["128x128", "256x256", "384x384", "512x512", "768x768", "1024x1024"]


class FaceSwapperOptions(Options):
    """Options of the face swapper; names and defaults are FaceFusion's, those of ``mesh`` are ours."""

    group = "face_swapper"

    model: ModelName = option(
        "hyperswap_1a_256",
        help="The model that swaps; mesh is built in and needs no download of its own.",
    )
    pixel_boost: PixelBoost | None = option(
        None, help="Size at which a neural model works, in several tiles; unset: the model's own size."
    )
    weight: float = option(
        0.5, ge=0.0, le=1.0, step=0.05, help="How much of the source's identity a neural model puts in."
    )
    mesh_identity: float = option(
        0.7,
        ge=0.0,
        le=1.0,
        step=0.05,
        help="mesh: how much of the shape of the source's features is taken; 0 takes their texture only.",
    )
    mesh_feather: float = option(
        0.06, ge=0.0, le=0.25, step=0.01, help="mesh: width of the soft rim, as a share of the face's size."
    )
    mesh_forehead: float = option(
        0.5,
        ge=0.0,
        le=1.0,
        step=0.05,
        help="mesh: how far up the forehead the swap reaches; 1 is the hairline.",
    )


class SwapFamily(Protocol):
    """How one kind of model swaps. It holds nothing; the state of a step is what ``prepare`` returns."""

    def models(self, options: FaceSwapperOptions) -> Sequence[str]:
        """Names of the catalogue entries that must be present."""
        ...

    def prepare(self, run: RunContext, options: FaceSwapperOptions, sources: Sequence[Path]) -> Any:
        """Make the source pictures ready; raises InputError for those that cannot serve."""
        ...

    def process(self, frame: FrameContext, state: Any) -> None:
        """Swap the selected faces in ``frame.image``."""
        ...


def _mesh() -> SwapFamily:
    from mien.processors.mesh_swap.family import MeshFamily

    return MeshFamily()


def _neural(model: str) -> SwapFamily:
    from mien.processors.neural_swap.family import NeuralFamily

    return NeuralFamily(model)


FAMILIES: Mapping[str, Callable[[], SwapFamily]] = MappingProxyType(
    {name: _mesh if name == "mesh" else partial(_neural, name) for name in get_args(ModelName)}
)
"""Model name to the maker of its family; families are imported on first use."""


@dataclass(frozen=True, slots=True)
class SwapperState:
    """The family that was chosen and what it prepared."""

    family: SwapFamily
    prepared: Any


class FaceSwapper(Processor[FaceSwapperOptions, SwapperState]):
    """Replace faces by that of the source."""

    name = "face_swapper"
    Options: ClassVar[type[Options]] = FaceSwapperOptions
    summary = "Put the face of the source pictures onto the faces of the target."
    needs_source = True
    sequential = True
    per_person = True

    def models(self, options: FaceSwapperOptions) -> Sequence[str]:
        """Names of the catalogue entries that must be present."""
        return FAMILIES[options.model]().models(options)

    def in_order(self, options: FaceSwapperOptions) -> bool:
        """Only the built-in model carries something on from frame to frame."""
        return options.model == "mesh"

    def needs_mesh(self, options: FaceSwapperOptions) -> bool:
        """The built-in model moves pixels by the mesh."""
        return options.model == "mesh"

    def prepare(self, run: RunContext, options: FaceSwapperOptions) -> SwapperState:
        """Make the sources ready for the chosen model.

        Raises InputError without a source picture, NoFace for a source without a face, and ModelUnknown or
        ModelMissing for a model that cannot be had.
        """
        family = FAMILIES[options.model]()
        return SwapperState(family, family.prepare(run, options, source_pictures(run.sources)))

    def process(self, frame: FrameContext, state: SwapperState) -> None:
        """Swap the selected faces in ``frame.image``."""
        state.family.process(frame, state.prepared)


def source_pictures(sources: Sequence[Path]) -> tuple[Path, ...]:
    """The pictures among the sources, for sound may be there too; raises InputError if there is none."""
    from mien.media.sniff import sniff

    found = ((path, sniff(path)) for path in sources)
    pictures = tuple(path for path, what in found if what.kind == "image" or what.format == "gif")
    if not pictures:
        raise InputError("The face swapper needs at least one source picture that shows a face.")
    return pictures
