from __future__ import annotations

from typing import Any, get_args

import cv2
import numpy as np
import pytest

from mien.errors import ModelCorrupt
from mien.processors.background.neural import NeuralMatter, coarse_matte
from mien.processors.background_remover import (
    FAMILIES,
    FAMILY_OF,
    BackgroundRemover,
    BackgroundRemoverOptions,
    Model,
)
from mien.types import Frame
from tests.processors.faces_made import frame_of, noise
from tests.processors.standin_run import StandIns


def half_green(height: int = 90, width: int = 160) -> Frame:
    image = np.full((height, width, 3), 60, np.uint8)
    image[:, width // 2 :] = (0, 255, 0)
    return image


def removed(standins: StandIns, image: Frame, model: str, *, compat: bool = False, **options: Any) -> Any:
    given: Any = BackgroundRemoverOptions(model=model, **options)  # type: ignore[arg-type]
    frame = frame_of(image)
    BackgroundRemover().process(frame, BackgroundRemover().prepare(standins.run(compat=compat), given))
    return frame


@pytest.mark.parametrize("model", ["ormbg", "u2net_cloth"])
@pytest.mark.parametrize("compat", [False, True])
def test_the_network_tells_the_foreground(standins: StandIns, model: str, compat: bool) -> None:
    """The stand-ins take green for the foreground; u2net_cloth tells classes, of which any is foreground."""
    frame = removed(standins, half_green(), model, compat=compat)
    assert (frame.alpha[:, :78] == 0).all()
    assert (frame.alpha[:, 82:] == 255).all()
    assert (frame.image == half_green()).all()


@pytest.mark.parametrize("compat", [False, True])
def test_a_green_screen_is_keyed(standins: StandIns, compat: bool) -> None:
    """The network gets a coarse matte, and gives the foreground's colours too: red from this stand-in."""
    frame = removed(standins, half_green(), "corridor_key_1024", compat=compat)
    assert (frame.alpha[:, :78] == 255).all()
    assert (frame.alpha[:, 82:] == 0).all()
    assert (frame.image == (0, 0, 255)).all()


def test_the_coarse_matte_is_what_is_not_green() -> None:
    image = np.array([[[0, 255, 0], [255, 255, 255], [0, 64, 0], [10, 20, 200]]], np.uint8)
    assert coarse_matte(image)[0] == pytest.approx([0, 1, 1 - 2 * 64 / 255, 1], abs=1e-6)


def test_an_opaque_fill_is_opaque_and_as_in_facefusion_a_matte(standins: StandIns) -> None:
    color = (200, 10, 30, 255)
    own = removed(standins, half_green(), "ormbg", fill_color=color)
    theirs = removed(standins, half_green(), "ormbg", fill_color=color, compat=True)
    assert own.alpha is None
    assert (theirs.alpha[:, :78] == 0).all()
    for frame in (own, theirs):
        assert (frame.image[:, :78] == (30, 10, 200)).all()
        assert (frame.image[:, 82:] == (0, 255, 0)).all()


def test_a_fill_with_half_a_colour_is_truncated_as_in_facefusion(standins: StandIns) -> None:
    frame = removed(standins, half_green(), "ormbg", fill_color=(201, 11, 31, 128), compat=True)
    share = 128 / 255
    expected = [int(60 * (1 - share) + part * share) for part in (31, 11, 201)]
    assert frame.image[0, 0].tolist() == expected


class Soft:
    """Gives a mask of very small steps, and keeps what it was fed."""

    def __init__(self, size: int) -> None:
        from mien.inference.session import TensorSpec

        self.inputs = (TensorSpec("input", (1, 3, size, size), np.dtype(np.float32)),)
        self.size = size
        self.fed: list[np.ndarray] = []

    def run(self, feeds: Any) -> list[np.ndarray]:
        self.fed.append(feeds[0])
        ramp = np.linspace(0.5, 0.5 + 2 / 255, self.size, dtype=np.float32)
        return [np.broadcast_to(ramp, (1, 1, self.size, self.size))]


def matter(session: Any, *, compat: bool, **more: Any) -> NeuralMatter:
    params = {"kind": "modnet", "size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, **more}
    return NeuralMatter.of("modnet", params, session, compat=compat)


def test_masks_keep_their_precision_until_they_are_enlarged() -> None:
    """FaceFusion rounds the small mask to bytes first, so that steps of 1/255 grow into blocks."""
    image = noise(64, 640)
    own = matter(Soft(64), compat=False).matte(image).alpha[0].astype(int)
    theirs = matter(Soft(64), compat=True).matte(image).alpha[0].astype(int)
    exact = 255 * np.interp(
        (np.arange(640) + 0.5) / 10 - 0.5, np.arange(64), np.linspace(0.5, 0.5 + 2 / 255, 64)
    )
    assert np.abs(own - exact).max() <= 0.51
    assert np.abs(theirs - exact).max() > 0.9


def test_large_pictures_are_averaged_down() -> None:
    """FaceFusion samples every few pixels: fine stripes turn into anything."""
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    own, theirs = Soft(64), Soft(64)
    matter(own, compat=False).matte(stripes)
    matter(theirs, compat=True).matte(stripes)
    assert np.abs(own.fed[0]).max() < 0.02
    expected = (cv2.resize(stripes, (64, 64))[0, 0, 0] / 255 - 0.5) / 0.5
    assert theirs.fed[0][0, 0, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (64, 64)])
@pytest.mark.parametrize("compat", [False, True])
def test_frames_of_any_size(size: tuple[int, int], compat: bool) -> None:
    matted = matter(Soft(64), compat=compat).matte(noise(*size))
    assert matted.alpha.shape == size
    assert matted.alpha.dtype == np.uint8


def test_planes_are_red_green_blue_with_the_networks_statistics() -> None:
    session = Soft(64)
    image = np.full((64, 64, 3), (0, 51, 255), np.uint8)
    matter(session, compat=False, mean=[0.1, 0.2, 0.3], std=[1.0, 2.0, 0.5]).matte(image)
    assert session.fed[0][0, :, 5, 5] == pytest.approx([0.9, 0.0, -0.6], abs=1e-6)


def test_every_model_has_an_entry_and_a_family(standins: StandIns) -> None:
    assert set(FAMILY_OF) == set(get_args(Model))
    assert set(FAMILY_OF.values()) == set(FAMILIES)
    for name, family in FAMILY_OF.items():
        if family == "neural":
            params = standins.store.catalogue[name].params
            assert {"kind", "size", "mean", "std"} <= set(params)
            assert BackgroundRemover().models(BackgroundRemoverOptions(model=name)) == (name,)  # type: ignore[arg-type]


def test_foreign_model_files_are_refused(standins: StandIns) -> None:
    entry = standins.store.catalogue["corridor_key_1024"].params
    with pytest.raises(ModelCorrupt, match="1024×1024 in 4 planes"):
        NeuralMatter.of("corridor_key_1024", entry, standins.session("ormbg"), compat=False)

    class Wrong(Soft):
        def run(self, feeds: Any) -> list[np.ndarray]:
            return [np.zeros((1, 1, 8, 8), np.float32)]

    with pytest.raises(ModelCorrupt, match="wrong shape"):
        matter(Wrong(64), compat=False).matte(noise())
