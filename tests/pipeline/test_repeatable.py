"""Equal pictures give equal streams: without that, a resumed video could not equal an undisturbed one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.media.writer import VideoSpec, VideoWriter
from tests.pipeline.clips import frames_hash


@pytest.mark.parametrize("width", [848, 854])
def test_encoding_again_gives_the_same_pictures(tmp_path: Path, width: int) -> None:
    noise = np.random.default_rng(2).normal(0, 3, (2, 480, width, 3))
    y, x = np.mgrid[0:480, 0:width]
    hashes = set()
    for number in range(4):
        path = tmp_path / f"{number}.mp4"
        with VideoWriter(path, VideoSpec(width, 480, Fraction(1, 25), Fraction(25), quality=60)) as writer:
            for time in range(20):
                wave = 128 + 60 * np.sin(x / 23 + time / 3) * np.cos(y / 17 - time / 5)
                picture = np.clip(wave[:, :, None] + noise[time % 2], 0, 255).astype(np.uint8)
                writer.write(picture, time)
        hashes.add(frames_hash(path))
    assert len(hashes) == 1
