from __future__ import annotations

import numpy as np
import pytest

from mien.faces.builtin.scene import SceneCuts, thumbnail
from mien.types import Frame


def scene(seed: int, shift: int = 0, light: float = 1.0) -> Frame:
    """Large soft blobs, the same ones for the same seed."""
    noise = np.random.default_rng(seed).integers(0, 200, (6, 10, 3)).astype(np.float32)
    image = np.kron(noise, np.ones((40, 40, 1), np.float32)) * light
    return np.roll(np.clip(image, 0, 255), shift, axis=1).astype(np.uint8)


def cuts(frames: list[Frame]) -> list[int]:
    watch = SceneCuts()
    return [index for index, frame in enumerate(frames) if watch.update(frame)]


def test_a_cut_is_seen_on_the_first_frame_of_the_new_scene() -> None:
    frames = [scene(1, i) for i in range(5)] + [scene(2, i) for i in range(5)] + [scene(3)]
    assert cuts(frames) == [5, 10]


def test_the_first_frame_is_no_cut() -> None:
    assert cuts([scene(1)]) == []


@pytest.mark.parametrize("light", [0.3, 1.6])
def test_a_flash_is_no_cut(light: float) -> None:
    assert cuts([scene(1), scene(1), scene(1, 0, light), scene(1), scene(1)]) == []


def test_panning_is_no_cut() -> None:
    assert cuts([scene(1, 12 * i) for i in range(20)]) == []


def test_a_fade_is_no_cut() -> None:
    fading = [scene(1, 0, 1 - i / 12) for i in range(13)]
    assert cuts(fading) == []


def test_noise_is_no_cut() -> None:
    random = np.random.default_rng(0)
    noisy = [
        np.clip(scene(1) + random.normal(0, 25, (240, 400, 3)), 0, 255).astype(np.uint8) for _ in range(6)
    ]
    assert cuts(noisy) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2160, 3840), (17, 31)])
def test_all_sizes(size: tuple[int, int]) -> None:
    thumb = thumbnail(np.full((*size, 3), 7, np.uint8))
    assert thumb.shape == (18, 32, 3)
    assert (thumb == 7).all()


def test_to_black_and_back_are_cuts() -> None:
    black = np.zeros((240, 400, 3), np.uint8)
    assert cuts([scene(1), scene(1), black, black, scene(1)]) == [2, 4]
