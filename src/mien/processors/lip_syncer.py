"""Move the lips of faces to a voice: that of the first sound among the sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from mien.errors import InputError
from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext, SettingsOf
from mien.processors.voice.options import VoiceOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.faces.masks import Masker
    from mien.processors.lip_sync.networks import LipNetwork
    from mien.types import Face, Frame, MediaInfo

Hear: TypeAlias = "Callable[[float], NDArray[np.float32]]"
"""What the network reads (80×16) for the frame at a time in seconds."""


class LipSyncerOptions(Options):
    """Options of the lip syncer; names, choices and defaults are FaceFusion's."""

    group = "lip_syncer"

    model: Literal["edtalk_256", "wav2lip_96", "wav2lip_gan_96"] = option(
        "wav2lip_gan_96", help="The network that moves lips; edtalk_256 redraws the whole face."
    )
    weight: float = option(
        0.5, ge=0.0, le=1.0, step=0.05, help="How strongly the lips move; 0.5 is as trained."
    )


@dataclass(frozen=True, slots=True)
class LipSyncState:
    """What a step needs for every frame."""

    network: LipNetwork
    hear: Hear
    masker: Masker
    compat: bool


class LipSyncer(Processor[LipSyncerOptions, LipSyncState]):
    """Move the lips of the selected faces."""

    name: ClassVar[str] = "lip_syncer"
    Options: ClassVar[type[Options]] = LipSyncerOptions
    summary: ClassVar[str] = "Move lips to a voice."
    needs_source: ClassVar[bool] = True
    source_kind: ClassVar[Literal["face", "audio"]] = "audio"

    def models(self, options: LipSyncerOptions) -> Sequence[str]:
        """The lip network."""
        return (options.model,)

    def further_models(
        self, options: LipSyncerOptions, target: MediaInfo, settings_of: SettingsOf
    ) -> Sequence[str]:
        """The network that extracts the voice; a picture needs none."""
        return () if target.video is None else (settings_of(VoiceOptions).model,)

    def prepare(self, run: RunContext, options: LipSyncerOptions) -> LipSyncState:
        """Open the network and listen to the sound.

        Raises InputError without a sound among the sources, what decoding raises, ModelMissing, ModelCorrupt.
        """
        from mien.processors.lip_sync.networks import LipNetwork
        from mien.processors.masking import make_masker

        sound = _sound_of(run.sources)
        session = run.runtime.load(run.models.path(options.model))
        params = run.models.catalogue[options.model].params
        network = LipNetwork.of(options.model, params, session, options.weight, compat=run.compat)
        return LipSyncState(network, _listen(run, sound, network.lead), make_masker(run), run.compat)

    def process(self, frame: FrameContext, state: LipSyncState) -> None:
        """Move the lips of the selected faces in ``frame.image``, one after the other."""
        from mien.faces.align import scale_face

        x = frame.image.shape[1] / frame.target.shape[1]
        y = frame.image.shape[0] / frame.target.shape[0]
        for face in frame.selected:
            _speak(frame.image, scale_face(face, x, y), state.hear(frame.time), state)


def _sound_of(sources: Sequence[Path]) -> Path:
    from mien.media.sniff import sniff

    for source in sources:
        if sniff(source).kind == "audio":
            return source
    names = ", ".join(source.name for source in sources) or "no file"
    raise InputError(f"The lip syncer needs a sound file among the sources, which are {names}.")


def _listen(run: RunContext, sound: Path, lead: float) -> Hear:
    from mien.processors.voice.mel import COLUMNS_PER_SECOND, FACEFUSION, TRAINED
    from mien.processors.voice.separation import VoiceExtractor
    from mien.processors.voice.speech import SPAN, read_speech, silence

    if run.target.video is None:
        run.notice("A picture has no time in which anybody could speak: its lips are drawn as in silence.")
        nothing = silence(FACEFUSION if run.compat else TRAINED)
        return lambda time: nothing
    model = run.settings_of(VoiceOptions).model
    extractor = VoiceExtractor(model, run.runtime.load(run.models.path(model)))
    seconds = run.target.duration + SPAN / COLUMNS_PER_SECOND
    speech = read_speech(sound, extractor, seconds=seconds, compat=run.compat)
    if not run.compat:
        return lambda time: speech.at(time, lead)
    rate = float(run.target.video.rate)
    return lambda time: speech.at_frame(round(time * rate), rate)


def _speak(image: Frame, face: Face, sound: NDArray[np.float32], state: LipSyncState) -> None:
    from mien.faces.align import align_matrix, paste_back, transform, warp
    from mien.faces.masks import combine
    from mien.processors.lip_sync.networks import CROP, TEMPLATE

    side = (CROP, CROP)
    matrix = align_matrix(face.landmarks.five_of_68, TEMPLATE, side, compat=state.compat)
    crop = warp(image, matrix, side, compat=state.compat)
    points = transform(face.landmarks.sixty_eight, matrix)
    masks = state.network.masks(crop, points, state.masker)
    spoken = state.network.speak(crop, points, sound)
    paste_back(image, spoken, combine(masks), matrix, compat=state.compat)
