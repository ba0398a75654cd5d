"""The neural face swappers: an identity (or a picture) and a face crop in, the crop with the other face out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_RECOGNISER = "arcface"

CONVERTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ghost_1_256": "crossface_ghost",
        "ghost_2_256": "crossface_ghost",
        "ghost_3_256": "crossface_ghost",
        "hififace_unofficial_256": "crossface_hififace",
        "simswap_256": "crossface_simswap",
        "simswap_unofficial_512": "crossface_simswap",
    }
)
"""The networks that translate the recogniser's identities for a swap network."""

_PICTURES: Final = frozenset({"blendswap_256", "uniface_256"})
"""Networks that look at the source picture itself."""


def models_for(model: str) -> tuple[str, ...]:
    """The swap network, and what tells it who the source is."""
    if model in _PICTURES:
        return (model,)
    converter = CONVERTERS.get(model)
    return (model, _RECOGNISER) if converter is None else (model, _RECOGNISER, converter)
