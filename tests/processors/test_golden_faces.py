"""Background remover, LivePortrait and lip syncer against FaceFusion's own results, pixel by pixel."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from mien.processors.background_remover import BackgroundRemover
from mien.processors.base import Processor
from mien.processors.expression_restorer import ExpressionRestorer
from mien.processors.face_editor import FaceEditor
from mien.processors.face_swapper import FaceSwapper
from mien.processors.lip_syncer import LipSyncer
from tests.processors.goldens import Goldens

CASES: dict[str, tuple[Processor[Any, Any], ...]] = {
    "background-default": (BackgroundRemover(),),
    "background-fill": (BackgroundRemover(),),
    "background-cloth": (BackgroundRemover(),),
    "background-ben": (BackgroundRemover(),),
    "expression-after-swap": (FaceSwapper(), ExpressionRestorer()),
    "edit-smile": (FaceEditor(),),
    "edit-open": (FaceEditor(),),
    "lips-image-wav2lip": (LipSyncer(),),
}
FRAMES = [
    ("video-lips-wav2lip", 0),
    ("video-lips-wav2lip", 8),
    ("video-lips-wav2lip", 19),
    ("video-audio-replaced", 0),
    ("video-audio-replaced", 29),
]
EXACT = 0.01
"""Levels by which a result may be off on average; what is measured is at most 0.0003."""
BACKGROUNDS = [id for id in CASES if id.startswith("background")]


@pytest.mark.parametrize("id", [id for id in CASES if id not in ("background-default",)])
def test_results_equal_the_reference(id: str, goldens: Goldens) -> None:
    assert goldens.error(id, *CASES[id]) < EXACT


@pytest.mark.parametrize("id", BACKGROUNDS)
def test_mattes_equal_the_reference(id: str, goldens: Goldens) -> None:
    expected = cv2.imread(str(goldens.folder / id / "output.png"), cv2.IMREAD_UNCHANGED)
    frame = goldens.processed(id, BackgroundRemover())
    assert frame.alpha is not None
    assert np.abs(frame.alpha.astype(int) - expected[..., 3]).mean() < EXACT
    assert np.abs(frame.image.astype(int) - expected[..., :3]).mean() < EXACT


@pytest.mark.parametrize(("id", "frame"), FRAMES)
def test_frames_of_videos_equal_the_reference(id: str, frame: int, goldens: Goldens) -> None:
    assert goldens.error(id, LipSyncer(), frame=frame) < EXACT


@pytest.mark.parametrize("id", ["expression-after-swap", "edit-smile", "lips-image-wav2lip"])
def test_networks_run_as_often_as_in_the_reference(id: str, goldens: Goldens) -> None:
    before = dict(goldens.runtime.loaded)
    goldens.run(id, *CASES[id])
    after = goldens.runtime.loaded
    runs = {path.rsplit("/", 1)[-1]: after[path] - before.get(path, 0) for path in after}
    counted = goldens.cases[id]["model_run_counts"]
    own = [name for name in counted if name.startswith(("live", "wav2lip"))]
    assert own
    assert {name: runs.get(name) for name in own} == {name: counted[name] for name in own}


@pytest.mark.parametrize("id", [id for id in CASES if id not in BACKGROUNDS])
def test_the_better_way_stays_near_the_reference(id: str, goldens: Goldens) -> None:
    """It differs by design: least squares, rounding, averaged shrinking, masks in proportion to the crop."""
    assert 0 < goldens.error(id, *CASES[id], compat=False) < 10
