"""Cut people out of their background, or put a colour, a blur or another picture behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, get_args

from pydantic import field_validator

from mien.errors import ModelMissing, OptionError
from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext

if TYPE_CHECKING:
    from mien.models.store import ModelStore
    from mien.processors.background.compose import Composed
    from mien.processors.background.matte import Matted, Matter
    from mien.types import Frame

Model = Literal[
    "ben_2",
    "birefnet_general",
    "birefnet_portrait",
    "corridor_key_1024",
    "corridor_key_2048",
    "isnet_general",
    "modnet",
    "ormbg",
    "rmbg_1.4",
    "rmbg_2.0",
    "silueta",
    "u2net_cloth",
    "u2net_general",
    "u2net_human",
    "u2netp",
    "selfie",
]
Background = Literal["fill", "transparent", "blur", "picture"]
Rgba: TypeAlias = tuple[int, int, int, int]


class BackgroundRemoverOptions(Options):
    """Options of the background remover."""

    group = "background_remover"

    model: Model = option("modnet", help="Model that finds the foreground; selfie is built in.")
    fill_color: tuple[int, ...] = option(
        (0, 0, 0, 0), help="Colour of the background: red, green, blue, opacity, 0 to 255 each."
    )
    despill_color: tuple[int, ...] = option(
        (0, 0, 0, 0), help="Colour that the background casts on the foreground: red, green, blue, strength."
    )
    background: Background = option(
        "fill", help="Fill with the colour, leave transparent, blur, or show another picture."
    )
    picture: str | None = option(None, help="Path of the picture to show as the background.")
    blur: float = option(
        0.03, ge=0.005, le=0.2, step=0.005, help="Sigma of the blur as a share of the frame height."
    )

    @field_validator("fill_color", "despill_color")
    @classmethod
    def _bytes(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not 1 <= len(value) <= 4 or not all(0 <= part <= 255 for part in value):
            raise ValueError("give one to four whole numbers from 0 to 255")
        return value


def rgba(values: Sequence[int]) -> Rgba:
    """Complete a colour: v → (v, v, v, 255), (u, v) → (u, v, u, 255), (r, g, b) → (r, g, b, 255)."""
    red, green = values[0], values[1 % len(values)]
    blue = values[2] if len(values) > 2 else red
    return red, green, blue, values[3] if len(values) > 3 else 255


@dataclass(frozen=True, slots=True)
class RemoverState:
    """What a step needs: how to find the foreground, and what to put behind it."""

    matter: Matter
    options: BackgroundRemoverOptions
    picture: Frame | None
    compat: bool = False


def _fill(matted: Matted, image: Frame, state: RemoverState) -> Composed:
    from mien.processors.background.compose import filled, filled_with_mask

    if state.compat:
        return filled_with_mask(matted, rgba(state.options.fill_color))
    return filled(matted, rgba(state.options.fill_color))


def _transparent(matted: Matted, image: Frame, state: RemoverState) -> Composed:
    return matted.foreground, matted.alpha


def _blur(matted: Matted, image: Frame, state: RemoverState) -> Composed:
    from mien.processors.background.compose import before_blur

    return before_blur(matted, image, state.options.blur * image.shape[0])


def _picture(matted: Matted, image: Frame, state: RemoverState) -> Composed:
    from mien.processors.background.compose import before_picture

    assert state.picture is not None
    return before_picture(matted, state.picture)


BACKGROUNDS: Mapping[Background, Callable[[Matted, Frame, RemoverState], Composed]] = {
    "fill": _fill,
    "transparent": _transparent,
    "blur": _blur,
    "picture": _picture,
}


def _read(path: str) -> Frame:
    from mien.media.images import read_image

    return read_image(Path(path)).pixels


def _selfie(run: RunContext, options: BackgroundRemoverOptions) -> Matter:
    from mien.processors.background.selfie import SelfieMatter

    return SelfieMatter(run.runtime.load(run.models.path("selfie_segmentation")))


def _neural(run: RunContext, options: BackgroundRemoverOptions) -> Matter:
    from mien.processors.background.neural import NeuralMatter

    session = run.runtime.load(run.models.path(options.model))
    params = run.models.catalogue[options.model].params
    return NeuralMatter.of(options.model, params, session, compat=run.compat)


FAMILIES: Mapping[str, Callable[[RunContext, BackgroundRemoverOptions], Matter]] = {
    "neural": _neural,
    "selfie": _selfie,
}
"""How to make the matter of each family of models."""
FAMILY_OF: Mapping[str, str] = {
    **{name: "neural" for name in get_args(Model) if name != "selfie"},
    "selfie": "selfie",
}
"""Family of each model that can be used."""
FILES: Mapping[str, tuple[str, ...]] = {"selfie": ("selfie_segmentation",)}
"""Catalogue entries of models whose entry has another name."""


class BackgroundRemover(Processor[BackgroundRemoverOptions, RemoverState]):
    """Separates people from what is behind them."""

    name: ClassVar[str] = "background_remover"
    Options: ClassVar[type[Options]] = BackgroundRemoverOptions
    summary: ClassVar[str] = "Remove, blur or replace the background."
    needs_faces: ClassVar[bool] = False
    builtin_model: ClassVar[str] = "selfie"

    def models(self, options: BackgroundRemoverOptions) -> Sequence[str]:
        """The one model that is chosen."""
        return FILES.get(options.model, (options.model,))

    def files(self, options: BackgroundRemoverOptions, store: ModelStore) -> Sequence[Path]:
        """The picture that is shown as the background."""
        shown = options.picture if options.background == "picture" else None
        return () if shown is None else (Path(shown),)

    def prepare(self, run: RunContext, options: BackgroundRemoverOptions) -> RemoverState:
        """Load model and picture. Raises OptionError without a needed picture, ModelMissing, InputError."""
        if options.background == "picture" and not options.picture:
            raise OptionError(
                "background_remover_background picture needs background_remover_picture, the path of one."
            )
        family = FAMILY_OF.get(options.model)
        if family is None:
            raise ModelMissing(f"This version has no code for the model {options.model}; choose selfie.")
        picture = _read(options.picture) if options.background == "picture" and options.picture else None
        return RemoverState(FAMILIES[family](run, options), options, picture, run.compat)

    def process(self, frame: FrameContext, state: RemoverState) -> None:
        """Replace the frame, and its opacity where the background is left transparent."""
        from mien.processors.background.compose import despilled, lower_of

        matted = state.matter.matte(frame.image)
        spill = rgba(state.options.despill_color)
        if spill[3]:
            matted = despilled(matted, spill)
        frame.image, alpha = BACKGROUNDS[state.options.background](matted, frame.image, state)
        frame.alpha = lower_of(frame.alpha, alpha)
