"""Replace faces by that of one person, which a network of the DeepFaceLive kind was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import field_validator

from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext
from mien.processors.deep_swap.names import check_name, custom_path, is_custom

if TYPE_CHECKING:
    from mien.faces.masks import Masker
    from mien.models.store import ModelStore
    from mien.processors.deep_swap.network import DeepNetwork
    from mien.types import Face, Frame


class DeepSwapperOptions(Options):
    """Options of the deep swapper; names, choices and defaults are FaceFusion's."""

    group = "deep_swapper"

    model: str = option(
        "iperov/elon_musk_224",
        help="The person: a model of the catalogue, or custom/NAME for a file of your own in the folder custom.",
    )
    morph: int = option(
        100,
        ge=0,
        le=100,
        step=1,
        unit="%",
        help="How much of the person is put in, for models that can do less.",
    )

    @field_validator("model")
    @classmethod
    def _name(cls, value: str) -> str:
        return check_name(value)


@dataclass(frozen=True, slots=True)
class DeepState:
    """What a step needs for every frame."""

    network: DeepNetwork
    template: str
    masker: Masker
    compat: bool


class DeepSwapper(Processor[DeepSwapperOptions, DeepState]):
    """Replace the selected faces by the person of the model; no source picture is needed."""

    name = "deep_swapper"
    Options: ClassVar[type[Options]] = DeepSwapperOptions
    summary = "Replace faces by a person for whom a model was trained."

    def models(self, options: DeepSwapperOptions) -> Sequence[str]:
        """The catalogue entry; none for a model of the user's own."""
        return () if is_custom(options.model) else (options.model,)

    def files(self, options: DeepSwapperOptions, store: ModelStore) -> Sequence[Path]:
        """A model of the user's own."""
        return (_path(store, options.model),) if is_custom(options.model) else ()

    def prepare(self, run: RunContext, options: DeepSwapperOptions) -> DeepState:
        """Open the network. Raises ModelUnknown, ModelMissing or ModelCorrupt."""
        from mien.processors.deep_swap.network import DeepNetwork
        from mien.processors.masking import make_masker

        session = run.runtime.load(_path(run.models, options.model))
        network = DeepNetwork.of(options.model, session, options.morph / 100, run.compat)
        return DeepState(network, TEMPLATE, make_masker(run), run.compat)

    def process(self, frame: FrameContext, state: DeepState) -> None:
        """Replace the selected faces in ``frame.image``, one after the other."""
        from mien.faces.align import scale_face

        x = frame.image.shape[1] / frame.target.shape[1]
        y = frame.image.shape[0] / frame.target.shape[0]
        for face in frame.selected:
            _swap(frame.image, scale_face(face, x, y), state)


TEMPLATE = "dfl_whole_face"
"""How all models of this kind see a face; those of the user's own have no catalogue entry that could say so."""


def custom_folders(store: ModelStore) -> tuple[Path, ...]:
    """Where the folder ``custom`` may be: beside the user's own models, then beside the downloaded ones."""
    own = store.settings.models_dir
    return (*((own,) if own else ()), store.folder)


def _path(store: ModelStore, name: str) -> Path:
    return custom_path(name, custom_folders(store)) if is_custom(name) else store.path(name)


def _swap(image: Frame, face: Face, state: DeepState) -> None:
    from mien.faces.align import align_matrix, paste_back, transform, warp
    from mien.faces.masks import combine
    from mien.processors.colour_match import match_colour_by_likeness

    size, compat = state.network.size, state.compat
    matrix = align_matrix(face.landmarks.five_of_68, state.template, size, compat=compat)
    crop = warp(image, matrix, size, compat=compat)
    masks = [state.masker.box(crop)]
    masks += state.masker.before(crop, lambda: transform(face.landmarks.sixty_eight, matrix))
    drawn, mask = state.network.swap(crop)
    matched = match_colour_by_likeness(crop, drawn, compat=compat)
    masks += [mask, *state.masker.after(matched)]
    paste_back(image, matched, combine(masks), matrix, compat=compat)
