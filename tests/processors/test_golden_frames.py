"""Frame enhancer, colorizer, age modifier and deep swapper against FaceFusion's own results, pixel by pixel."""

from __future__ import annotations

from typing import Any

import pytest

from mien.processors.age_modifier import AgeModifier
from mien.processors.base import Processor
from mien.processors.deep_swapper import DeepSwapper
from mien.processors.face_swapper import FaceSwapper
from mien.processors.frame_colorizer import FrameColorizer
from mien.processors.frame_enhancer import FrameEnhancer
from tests.processors.goldens import Goldens

CASES: dict[str, tuple[Processor[Any, Any], ...]] = {
    "age-fran-older": (AgeModifier(),),
    "age-styleganex": (AgeModifier(),),
    "colorize-default": (FrameColorizer(),),
    "colorize-deoldify-192": (FrameColorizer(),),
    "deep-224": (DeepSwapper(),),
    "frame-enhance-default": (FrameEnhancer(),),
    "frame-enhance-web-photo": (FrameEnhancer(),),
    "frame-enhance-x8-blend": (FrameEnhancer(),),
    "chain-enhance-swap": (FrameEnhancer(), FaceSwapper()),
}
EXACT = 0.1
"""Levels by which a result may be off on average; what is measured is 0.03 for fran and 0 for all others."""


@pytest.mark.parametrize("id", CASES)
def test_results_equal_the_reference(id: str, goldens: Goldens) -> None:
    assert goldens.error(id, *CASES[id]) < EXACT


def test_an_enlarged_frame_of_a_video_equals_the_reference(goldens: Goldens) -> None:
    assert goldens.error("video-upscale", FrameEnhancer(), frame=2) < EXACT


@pytest.mark.parametrize("id", [id for id in CASES if not id.startswith(("age-fran", "chain"))])
def test_networks_run_as_often_as_in_the_reference(id: str, goldens: Goldens) -> None:
    before = dict(goldens.runtime.loaded)
    goldens.run(id, *CASES[id])
    after = goldens.runtime.loaded
    runs = {
        path.rsplit("/", 1)[-1]: after[path] - before.get(path, 0)
        for path in after
        if after[path] > before.get(path, 0)
    }
    counted = goldens.cases[id]["model_run_counts"]
    faces = ("yoloface", "fan_68", "2dfan4", "arcface", "fairface")
    own = [name for name in counted if not name.startswith(("nsfw", *faces))]
    assert {name: runs.get(name) for name in own} == {name: counted[name] for name in own}


@pytest.mark.parametrize("id", CASES)
def test_the_better_way_stays_near_the_reference(id: str, goldens: Goldens) -> None:
    """It differs by design: mirrored borders, real lightness, least squares, rounding, averaged shrinking."""
    assert 0 < goldens.error(id, *CASES[id], compat=False) < 8
