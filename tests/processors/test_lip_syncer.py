from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import InputError, ModelCorrupt, OptionError
from mien.faces.options import MaskOptions
from mien.options import build
from mien.processors.lip_sync.networks import LipNetwork
from mien.processors.lip_syncer import LipSyncer, LipSyncerOptions
from mien.processors.voice.mel import FULL
from mien.types import ColorTags, Frame, MediaInfo, VideoInfo
from tests.processors.faces_made import frame_of, made_face, noise
from tests.processors.standin_run import StandIns

FACE = made_face(110, 100, 150)


def clip(rate: Fraction = Fraction(25), seconds: float = 2.0) -> MediaInfo:
    video = VideoInfo(
        codec="h264", width=220, height=220, rate=rate, time_base=1 / rate, start_pts=0,
        frame_count=round(seconds * rate), pixel_format="yuv420p", rotation=0, sample_aspect=Fraction(1),
        color=ColorTags(), bit_depth=8, has_alpha=False, is_hdr=False, is_interlaced=False,
    )  # fmt: skip
    return MediaInfo("video", "mp4", 220, 220, seconds, video)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of noise, as loud in all bands, then silence."""
    path = tmp_path_factory.mktemp("sound") / "voice.wav"
    samples = np.random.default_rng(4).integers(-20000, 20000, 16000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes() + bytes(32000))
    return path


def spoken(
    standins: StandIns, voice: Path, *times: float, target: MediaInfo | None = None, compat: bool = False,
    image: Frame | None = None, masks: MaskOptions | None = None, **options: Any,
) -> list[Frame]:  # fmt: skip
    groups = () if masks is None else (masks,)
    run = standins.run(*groups, sources=(voice,), target=target or clip(), compat=compat)
    state = LipSyncer().prepare(run, LipSyncerOptions(**options))
    frames = []
    for time in times:
        frame = frame_of(np.full((220, 220, 3), 100, np.uint8) if image is None else image, FACE, time=time)
        LipSyncer().process(frame, state)
        frames.append(frame.image)
    return frames


@pytest.mark.parametrize("model", ["wav2lip_96", "wav2lip_gan_96", "edtalk_256"])
@pytest.mark.parametrize("compat", [False, True])
def test_faces_are_lit_by_what_they_hear(standins: StandIns, voice: Path, model: str, compat: bool) -> None:
    loud, silent = spoken(standins, voice, 0.4, 1.6, model=model, compat=compat)
    mouth = np.s_[140:150, 105:115]
    assert loud[mouth].mean() > silent[mouth].mean() + 2
    assert silent[mouth].mean() < 90


def test_only_the_lower_half_of_the_face_is_redrawn_by_wav2lip(standins: StandIns, voice: Path) -> None:
    (image,) = spoken(standins, voice, 1.6, model="wav2lip_96")
    eyes = FACE.landmarks.five_of_68[:2].mean(axis=0)
    x, y = (int(value) for value in eyes)
    assert (image[: y + 3] == 100).all()
    assert (image[y + 50 : y + 60, x - 5 : x + 5] < 90).all()


def test_edtalk_redraws_the_face_within_the_users_padding(standins: StandIns, voice: Path) -> None:
    (whole,) = spoken(standins, voice, 1.6, model="edtalk_256", weight=1.0)
    (part,) = spoken(
        standins, voice, 1.6, model="edtalk_256", weight=1.0, masks=MaskOptions(padding=(60, 0, 0, 0))
    )
    x, y = (int(value) for value in FACE.landmarks.five_of_68[:2].mean(axis=0))
    assert whole[y, x].max() < 90
    assert (part[y, x] == 100).all()


def test_the_weight_scales_what_is_heard(standins: StandIns, voice: Path) -> None:
    mouth = np.s_[140:150, 105:115]
    for model in ("wav2lip_96", "edtalk_256"):
        values = [
            spoken(standins, voice, 1.6, model=model, weight=weight)[0][mouth].mean()
            for weight in (0.0, 0.5, 1.0)
        ]
        assert values[0] == pytest.approx(100, abs=1)
        assert values[0] - values[1] == pytest.approx(values[1] - values[2], rel=0.1)


def test_frames_at_any_rate_hear_what_is_said_then(standins: StandIns, voice: Path) -> None:
    """A frame hears by its time: its number and the rate of the video do not matter."""
    steady = spoken(standins, voice, 0.1, 0.5, target=clip(Fraction(25)))
    odd = spoken(standins, voice, 0.1, 0.5, target=clip(Fraction(24000, 1001)))
    for one, other in zip(steady, odd, strict=True):
        assert (one == other).all()


def test_a_picture_is_drawn_as_in_silence(standins: StandIns, voice: Path) -> None:
    still = MediaInfo("image", "png", 220, 220, 0.0)
    heard = standins.runs("kim_vocal_2")
    (image,) = spoken(standins, voice, 0.0, target=still)
    assert standins.runs("kim_vocal_2") == heard
    assert "as in silence" in standins.notices[-1]
    (silent,) = spoken(standins, voice, 1.6)
    assert np.abs(image.astype(int) - silent).max() <= 1


def test_frames_of_another_size_are_spoken_at_the_same_place(standins: StandIns, voice: Path) -> None:
    run = standins.run(sources=(voice,), target=clip())
    state = LipSyncer().prepare(run, LipSyncerOptions())
    frame = frame_of(np.full((220, 220, 3), 100, np.uint8), FACE, time=1.6)
    frame.image = np.full((440, 440, 3), 100, np.uint8)
    LipSyncer().process(frame, state)
    (small,) = spoken(standins, voice, 1.6)
    halved = frame.image.reshape(220, 2, 220, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small).mean() < 0.5
    assert (np.abs(halved - 100) > 5).sum() > 500


def test_the_voice_is_extracted_once_for_all_frames(standins: StandIns, voice: Path) -> None:
    before = standins.runs("kim_vocal_2")
    spoken(standins, voice, *np.arange(0, 1, 0.1))
    assert standins.runs("kim_vocal_2") == before + 1


def test_a_source_without_sound_is_refused(standins: StandIns, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "face.png"), noise())
    run = standins.run(sources=(tmp_path / "face.png",), target=clip())
    with pytest.raises(InputError, match=r"sound file.*face\.png"):
        LipSyncer().prepare(run, LipSyncerOptions())
    assert LipSyncer.needs_source


def test_a_foreign_model_file_is_refused(standins: StandIns) -> None:
    session = standins.session("ormbg")
    with pytest.raises(ModelCorrupt, match="wav2lip_96 has the inputs input instead of source, target"):
        LipNetwork.of("wav2lip_96", {"kind": "wav2lip", "size": 96, "lead": 0.0}, session, 0.5, compat=False)
    wrong = LipNetwork("edtalk_256", "edtalk", standins.session("edtalk_256"), 128, 0.08, 0.5)
    quiet = np.full((80, 16), -FULL, np.float32)
    with pytest.raises(ModelCorrupt, match="edtalk_256"):
        wrong.run(
            {
                "source": quiet[None, None],
                "target": np.zeros((1, 3, 256, 256), np.float32),
                "weight": np.ones(1, np.float32),
            }
        )


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="from 0 to 1"):
        build(LipSyncerOptions, {"lip_syncer_weight": 1.5})
    assert LipSyncer().models(LipSyncerOptions()) == ("wav2lip_gan_96",)
    picture = MediaInfo("image", "png", 320, 320, 0.0)
    assert LipSyncer().further_models(LipSyncerOptions(), picture, lambda group: group()) == ()
    assert LipSyncer().further_models(LipSyncerOptions(), clip(), lambda group: group()) == ("kim_vocal_2",)
