from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.errors import InputMissing, ModelMissing, OptionError
from mien.options import build
from mien.processors.background.compose import covering, despilled
from mien.processors.background.matte import Matted
from mien.processors.background.selfie import SelfieMatter, foreground, refined
from mien.processors.background_remover import (
    FAMILY_OF,
    Background,
    BackgroundRemover,
    BackgroundRemoverOptions,
    RemoverState,
    rgba,
)
from mien.types import Frame
from tests.processors.faces_made import frame_of, noise, run_of


class Halves:
    """A matter that takes the left half as foreground, with a soft column between."""

    def matte(self, image: Frame) -> Matted:
        alpha = np.zeros(image.shape[:2], np.uint8)
        middle = image.shape[1] // 2
        alpha[:, :middle] = 255
        alpha[:, middle : middle + 1] = 128
        return Matted(image, alpha)


def removed(image: Frame, picture: Frame | None = None, alpha: Any = None, **options: Any) -> Any:
    state = RemoverState(Halves(), BackgroundRemoverOptions(model="selfie", **options), picture)
    frame = frame_of(image)
    frame.alpha = alpha
    BackgroundRemover().process(frame, state)
    return frame


def test_by_default_only_the_alpha_tells_the_foreground() -> None:
    image = noise(40, 60)
    frame = removed(image)
    assert (frame.image == image).all()
    assert frame.alpha[0].tolist() == [255] * 30 + [128] + [0] * 29


def test_an_opaque_colour_replaces_the_background() -> None:
    image = noise(40, 60)
    frame = removed(image, fill_color=(10, 20, 30))
    assert frame.alpha is None
    assert (frame.image[:, :30] == image[:, :30]).all()
    assert (frame.image[:, 31:] == (30, 20, 10)).all()
    mixed = image[:, 30] * (128 / 255) + np.array([30, 20, 10]) * (127 / 255)
    assert np.abs(frame.image[:, 30] - mixed).max() <= 1


def test_a_sheer_colour_leaves_its_own_opacity() -> None:
    image = noise(40, 60)
    frame = removed(image, fill_color=(0, 0, 255, 100))
    assert frame.alpha[0].tolist() == [255] * 30 + [128] + [100] * 29
    mixed = image[:, 40] * (155 / 255) + np.array([255, 0, 0]) * (100 / 255)
    assert np.abs(frame.image[:, 40] - mixed).max() <= 1


def test_the_lower_opacity_wins() -> None:
    alpha = np.full((40, 60), 200, np.uint8)
    alpha[:, 50:] = 0
    assert removed(noise(40, 60), alpha=alpha, background="transparent").alpha[0].tolist() == (
        [200] * 30 + [128] + [0] * 29
    )
    assert (removed(noise(40, 60), alpha=alpha, background="blur").alpha == alpha).all()


def test_the_blur_shows_nothing_of_the_foreground() -> None:
    image = np.zeros((100, 160, 3), np.uint8)
    image[:, :80] = 255
    blurred = removed(image, background="blur", blur=0.1).image
    assert (blurred[:, :80] == 255).all()
    assert blurred[:, 81:].max() < 30


def test_the_blur_takes_the_detail_out_of_the_background() -> None:
    image = noise(120, 200)
    blurred = removed(image, background="blur", blur=0.1).image
    assert (blurred[:, :100] == image[:, :100]).all()
    assert blurred[10:-10, 120:].std() < 0.25 * image[10:-10, 120:].std()


def test_another_picture_fills_the_frame() -> None:
    image, picture = noise(40, 60), noise(300, 200, seed=2)
    frame = removed(image, picture, background="picture")
    assert frame.alpha is None
    assert (frame.image[:, 31:] == covering(picture, 60, 40)[:, 31:]).all()


@pytest.mark.parametrize(("width", "height"), [(60, 40), (40, 60), (300, 300), (1, 7)])
def test_a_picture_is_cut_in_the_middle_not_squeezed(width: int, height: int) -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    cv2.circle(picture, (100, 50), 30, (255, 255, 255), -1)
    part = covering(picture, width, height)
    assert part.shape == (height, width, 3)
    if width > 10:
        rows, columns = np.nonzero(part[..., 0] > 127)
        assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=3)
        assert columns.mean() == pytest.approx(width / 2, abs=1.5)


def test_a_cast_colour_is_limited_to_the_mean_of_the_others() -> None:
    image = np.array([[[40, 200, 80], [90, 20, 80]]], np.uint8)
    alpha = np.full((1, 2), 255, np.uint8)
    full = despilled(Matted(image, alpha), (0, 255, 0, 255)).foreground
    assert full.tolist() == [[[40, 60, 80], [90, 20, 80]]]
    half = despilled(Matted(image, alpha), (0, 255, 0, 128)).foreground
    assert half[0, 0].tolist() == [40, int(200 - 140 * 128 / 255), 80]
    assert (removed(image, despill_color=(0, 255, 0, 255)).image == full).all()


@pytest.mark.parametrize(
    ("given_values", "complete"),
    [
        ((7,), (7, 7, 7, 255)),
        ((7, 8), (7, 8, 7, 255)),
        ((7, 8, 9), (7, 8, 9, 255)),
        ((1, 2, 3, 4), (1, 2, 3, 4)),
    ],
)
def test_short_colours_are_completed(given_values: tuple[int, ...], complete: tuple[int, ...]) -> None:
    assert rgba(given_values) == complete


@pytest.mark.parametrize("value", [(), (256,), (-1, 0, 0), (1, 2, 3, 4, 5)])
def test_wrong_colours_are_refused(value: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="background_remover_fill_color"):
        build(BackgroundRemoverOptions, {"background_remover_fill_color": value})


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    background=st.sampled_from(get_args(Background)),
    fill=st.tuples(*[st.integers(0, 255)] * 4),
    blur=st.floats(0.005, 0.2),
)
def test_any_size_of_frame(
    size: tuple[int, int], background: Background, fill: tuple[int, ...], blur: float
) -> None:
    image = noise(*size)
    frame = removed(image, noise(9, 31), background=background, fill_color=fill, blur=blur)
    assert frame.image.shape == image.shape
    assert frame.image.dtype == np.uint8
    assert frame.alpha is None or (frame.alpha.shape == size and frame.alpha.dtype == np.uint8)
    sure = size[1] // 2
    assert np.abs(frame.image[:, :sure].astype(int) - image[:, :sure]).max(initial=0) <= 1


class FakeSession:
    """Answers with a disc, softly rimmed; keeps what it was fed."""

    def __init__(self) -> None:
        self.fed: list[NDArray[Any]] = []

    def run(self, feeds: Any) -> list[NDArray[Any]]:
        self.fed.append(feeds[0])
        rows, columns = np.indices((256, 256))
        disc = np.clip((100 - np.hypot(rows - 128, columns - 128)) / 10 + 0.5, 0, 1)
        return [disc.astype(np.float32)[None, ..., None]]


def disc_picture(height: int, width: int) -> tuple[Frame, NDArray[np.bool_]]:
    """A red disc before blue, its rim where a sharp mask should end."""
    rows, columns = np.indices((height, width))
    inside = np.hypot((rows + 0.5) / height - 0.504, (columns + 0.5) / width - 0.504) < 100 / 256
    image = np.where(inside[..., None], (30, 30, 200), (200, 60, 20)).astype(np.uint8)
    return image, inside


def test_the_matte_ends_at_the_edges_of_the_picture() -> None:
    image, inside = disc_picture(600, 800)
    session: Any = FakeSession()
    matted = SelfieMatter(session).matte(image)
    assert session.fed[0].shape == (1, 256, 256, 3)
    assert session.fed[0].max() <= 1
    assert session.fed[0][0, 128, 128] == pytest.approx(np.array([200, 30, 30]) / 255, abs=0.01)
    wrong = (matted.alpha > 127) != inside
    assert wrong.mean() < 0.006
    assert (matted.alpha[inside & (matted.alpha > 0)].mean()) > 240


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (700, 3)])
def test_the_matte_of_narrow_pictures(height: int, width: int) -> None:
    session: Any = FakeSession()
    matted = SelfieMatter(session).matte(noise(height, width))
    assert matted.alpha.shape == (height, width)
    assert matted.foreground.shape == (height, width, 3)


def test_soft_pixels_lose_the_colour_of_the_background() -> None:
    inside = disc_picture(256, 256)[1]
    alpha = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 3)
    mixed = (alpha[..., None] * (30, 30, 200) + (1 - alpha[..., None]) * (200, 60, 20)).astype(np.uint8)
    found = foreground(mixed, alpha)
    rim = (alpha > 0.3) & (alpha < 0.9)
    before, after = (np.abs(part[rim].astype(int) - (30, 30, 200)).mean() for part in (mixed, found))
    assert after < 0.4 * before
    assert (found[alpha == 1] == mixed[alpha == 1]).all()


def test_flat_pictures_keep_the_coarse_mask() -> None:
    flat = np.full((256, 256, 3), 90, np.uint8)
    mask = np.zeros((256, 256), np.float32)
    mask[:, :128] = 1
    alpha = refined(flat, flat, mask)
    assert alpha[:, :110].min() > 0.99
    assert alpha[:, 146:].max() < 0.01


def test_preparing_opens_the_chosen_model(tmp_path: Path) -> None:
    loaded: list[Path] = []
    models = SimpleNamespace(path=lambda id: tmp_path / id)
    runtime = SimpleNamespace(load=lambda path: loaded.append(path) or FakeSession())
    run = run_of(models=models, runtime=runtime)
    state = BackgroundRemover().prepare(run, BackgroundRemoverOptions(model="selfie"))
    assert isinstance(state.matter, SelfieMatter)
    assert loaded == [tmp_path / "selfie_segmentation"]
    assert BackgroundRemover().models(BackgroundRemoverOptions(model="selfie")) == ("selfie_segmentation",)
    assert BackgroundRemover().models(BackgroundRemoverOptions()) == ("modnet",)


def test_what_cannot_be_done_is_refused_before_any_frame(tmp_path: Path) -> None:
    runtime = SimpleNamespace(load=lambda path: FakeSession())
    run = run_of(models=SimpleNamespace(path=lambda id: tmp_path / id), runtime=runtime)
    with pytest.raises(OptionError, match="background_remover_picture"):
        BackgroundRemover().prepare(run, BackgroundRemoverOptions(model="selfie", background="picture"))
    nowhere = str(tmp_path / "none.png")
    with pytest.raises(InputMissing, match=r"none\.png"):
        BackgroundRemover().prepare(
            run, BackgroundRemoverOptions(model="selfie", background="picture", picture=nowhere)
        )
    if "modnet" not in FAMILY_OF:
        with pytest.raises(ModelMissing, match="choose selfie"):
            BackgroundRemover().prepare(run, BackgroundRemoverOptions())


def test_a_picture_is_read_once(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "b.png"), noise(20, 30))
    runtime = SimpleNamespace(load=lambda path: FakeSession())
    run = run_of(models=SimpleNamespace(path=lambda id: tmp_path / id), runtime=runtime)
    options = BackgroundRemoverOptions(model="selfie", background="picture", picture=str(tmp_path / "b.png"))
    picture = BackgroundRemover().prepare(run, options).picture
    assert picture is not None
    assert (picture == noise(20, 30)).all()


def test_the_picture_that_is_shown_determines_the_result() -> None:
    shown = BackgroundRemoverOptions(background="picture", picture="beach.jpg")
    assert [str(path) for path in BackgroundRemover().files(shown, None)] == ["beach.jpg"]
    hidden = BackgroundRemoverOptions(background="blur", picture="beach.jpg")
    assert not BackgroundRemover().files(hidden, None)
