"""How the voice is taken out of a sound."""

from __future__ import annotations

from typing import ClassVar, Literal

from mien.options import Options, option


class VoiceOptions(Options):
    """Options of the voice extractor; name, choices and default are FaceFusion's."""

    group: ClassVar[str] = "voice_extractor"
    section: ClassVar[str] = "voice_extractor"
    title: ClassVar[str] = "Voice extractor"

    model: Literal["kim_vocal_1", "kim_vocal_2", "uvr_mdxnet"] = option(
        "kim_vocal_2", help="The network that takes the voice out of a sound before lips follow it."
    )
