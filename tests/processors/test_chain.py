"""Whole runs over several neural processors, with the reference's stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from mien.media.images import read_image
from mien.pipeline.engine import Engine
from mien.pipeline.step import Step
from mien.settings import Settings
from tests.processors.goldens import Goldens

FIVE = ("face_swapper", "expression_restorer", "face_editor", "face_enhancer", "lip_syncer")


@pytest.fixture
def engine(goldens: Goldens, tmp_path: Path) -> Iterator[Engine]:
    folder = goldens.store.path("modnet").parent
    settings = Settings(models_dir=folder, models_verify=False, cache_dir=tmp_path / "cache")
    with Engine(settings) as engine:
        yield engine


def runs(engine: Engine) -> dict[str, int]:
    return {Path(path).stem: count for path, count in engine.runtime.loaded.items()}


def test_five_processors_look_for_the_face_once(engine: Engine, goldens: Goldens, tmp_path: Path) -> None:
    media = goldens.folder / "media"
    sources = (media / "astronaut.png", media / "voice.wav")
    options = {"face_editor_mouth_smile": 0.5}
    engine.run(Step(media / "hopper.png", tmp_path / "out.png", sources, FIVE, options))
    counted = runs(engine)
    # Once in the source, once in the target.
    assert counted["yoloface_8n"] == 2
    assert counted["2dfan4"] == 2
    used = ("hyperswap_1a_256", "live_portrait_stitcher", "gfpgan_1.4", "wav2lip_gan_96")
    assert [counted[name] for name in used] == [1, 1, 1, 1]
    # The restorer and the editor share these.
    assert counted["live_portrait_generator"] == 2
    assert counted["live_portrait_motion_extractor"] == 3
    before, after = (read_image(path).pixels for path in (media / "hopper.png", tmp_path / "out.png"))
    assert (before != after).any(axis=2).sum() > 10_000


def test_lips_of_a_part_of_a_video_follow_the_sound_from_its_beginning(
    engine: Engine, goldens: Goldens, tmp_path: Path
) -> None:
    """The sound begins where the part begins, so the same frame hears something else in another part."""
    media = goldens.folder / "media"
    frames = {}
    for start in (10, 16):
        output = tmp_path / f"{start}.mkv"
        options = {
            "trim_frame_start": start,
            "trim_frame_end": 18,
            "output_video_encoder": "ffv1",
            "lip_syncer_model": "edtalk_256",
            "lip_syncer_weight": 1.0,
        }
        source, target = media / "voice.wav", media / "astronaut_480p.mp4"
        engine.run(Step(target, output, (source,), ("lip_syncer",), options))
        with av.open(str(output)) as container:
            assert container.streams.audio
            frames[start] = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert [len(frames[start]) for start in (10, 16)] == [8, 2]
    assert runs(engine)["edtalk_256"] == 10
    assert (frames[10][6] != frames[16][0]).any()
    whole = np.abs(frames[10][6].astype(int) - frames[16][0])
    assert whole.max() < 60  # the same frame and face, other lips
