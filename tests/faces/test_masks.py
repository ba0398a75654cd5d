from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.masks import (
    AREAS,
    Masker,
    Occluder,
    Parser,
    area_mask,
    box_mask,
    combine,
    occlusion_mask,
    region_mask,
    soften,
)
from tests.standins.face_analysis import shape_68

CROP = np.full((64, 64, 3), 90, np.uint8)


class Fixed:
    """A session that gives the same answer to everything, and remembers what it was fed."""

    def __init__(self, *outputs: NDArray[Any]) -> None:
        self.outputs = list(outputs)
        self.fed: list[NDArray[Any]] = []

    def run(self, feeds: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        self.fed.append(feeds[0])
        return self.outputs


def half(size: int) -> NDArray[np.float32]:
    mask = np.zeros((1, size, size, 1), np.float32)
    mask[:, :, size // 2 :] = 1
    return mask


def test_the_box_mask_of_the_reference() -> None:
    mask = box_mask((256, 256), 0.3, compat=True)
    columns = [0, 5, 10, 15, 19, 20, 25, 30, 40]
    expected = [0.051335, 0.084174, 0.186656, 0.356393, 0.521012, 0.562762, 0.753192, 0.887088, 0.988244]
    np.testing.assert_allclose(mask[128, columns], expected, atol=2e-6)
    assert mask.sum(dtype=np.float64) == pytest.approx(47546.38, abs=0.05)


def test_the_padded_box_mask_of_the_reference() -> None:
    mask = box_mask((128, 128), 0.3, (10, 20, 0, 5), compat=True)
    columns = [0, 5, 10, 20, 64, 100, 110, 120, 127]
    expected = [0.072971, 0.232368, 0.624174, 0.992376, 1, 0.701012, 0.056822, 0.000092, 0]
    np.testing.assert_allclose(mask[64, columns], expected, atol=2e-6)
    rows = [0, 5, 10, 15, 20, 30, 64, 120, 127]
    expected = [0.015248, 0.085409, 0.375854, 0.769817, 0.963515, 0.999972, 1, 0.376374, 0.072971]
    np.testing.assert_allclose(mask[rows, 64], expected, atol=2e-6)
    assert mask.sum(dtype=np.float64) == pytest.approx(10066.05, abs=0.05)


@pytest.mark.parametrize("compat", [False, True])
def test_without_blur_one_pixel_is_cut(compat: bool) -> None:
    assert box_mask((128, 128), 0.0, compat=compat).sum() == 126**2


def test_our_box_mask_is_nothing_at_the_rim_and_close_to_the_reference() -> None:
    ours, theirs = (box_mask((256, 256), 0.3, compat=compat) for compat in (False, True))
    rim = np.concatenate([ours[0], ours[-1], ours[:, 0], ours[:, -1]])
    assert rim.max() < 5e-3 < 0.05 < theirs[128, 0]
    assert ours.max() == pytest.approx(1)
    assert np.abs(ours - theirs).max() < 0.07


def test_an_oblong_crop_has_an_oblong_mask() -> None:
    mask = box_mask((64, 32), 0.2, (50, 0, 0, 0))
    assert mask.shape == (32, 64)
    assert mask[4].max() < 0.01 < 0.99 < mask[24, 32]


def test_softening_keeps_the_inside_of_the_half_contour() -> None:
    mask = np.zeros((256, 256), np.float32)
    mask[:, 128:] = 1
    soft = soften(mask, compat=True)
    assert soft[128, 127] == 0
    assert 0 < soft[128, 130] < 0.6
    assert soft[128, 160] == pytest.approx(1)


def test_the_feather_grows_with_the_crop_unless_compat() -> None:
    mask = np.zeros((512, 512), np.float32)
    mask[:, 256:] = 1
    assert soften(mask)[0, 262] < soften(mask, compat=True)[0, 262]
    np.testing.assert_array_equal(soften(mask[::2, ::2]), soften(mask[::2, ::2], compat=True))


def test_areas_are_hulls_of_their_landmarks() -> None:
    points = shape_68() * 256
    both = area_mask((256, 256), points, ["upper-face", "lower-face"])
    lower = area_mask((256, 256), points, ["lower-face"])
    mouth = area_mask((256, 256), points, ["mouth"])
    assert both.sum() > lower.sum() > mouth.sum() > 0
    assert lower[int(0.4 * 256), 128] == 0
    assert both[int(0.5 * 256), 128] == 1


def test_only_the_reference_covers_what_lies_between_areas() -> None:
    points = shape_68() * 256
    between = (int(0.69 * 256), 128)
    areas = ["upper-face", "mouth"]
    assert area_mask((256, 256), points, areas, compat=True)[between] > 0.9
    assert area_mask((256, 256), points, areas)[between] < 0.1


def test_occluders_see_bgr_and_the_most_hidden_counts() -> None:
    left = Fixed(1 - half(256))
    mask = occlusion_mask(CROP, [Occluder("a", Fixed(half(256))), Occluder("b", left)])
    assert mask.shape == (64, 64)
    assert mask.max() < 0.05
    assert left.fed[0].shape == (1, 256, 256, 3)
    assert left.fed[0].mean() == pytest.approx(90 / 255)


def test_regions_are_classes_of_the_parser() -> None:
    scores = np.zeros((1, 19, 512, 512), np.float32)
    scores[:, 1, :, 256:] = 1
    session = Fixed(scores)
    skin = region_mask(CROP, Parser("p", session), ["skin"])
    assert skin[32, 60] == pytest.approx(1)
    assert skin[32, 3] == 0
    assert region_mask(CROP, Parser("p", session), ["nose"]).max() == 0
    red_first = (90 / 255 - np.array([0.485, 0.456, 0.406])) / (0.229, 0.224, 0.225)
    np.testing.assert_allclose(session.fed[0].mean(axis=(0, 2, 3)), red_first, rtol=1e-5)


def test_a_crop_of_floats_is_parsed_unrounded() -> None:
    session = Fixed(np.zeros((1, 19, 512, 512), np.float32))
    Parser("p", session).inside(np.full((64, 64, 3), 90.5), {1})
    assert session.fed[0][0, 0, 0, 0] == pytest.approx((90.5 / 255 - 0.485) / 0.229)


def test_another_model_is_refused() -> None:
    with pytest.raises(ModelCorrupt, match=r"xseg_1 is not that model.*1×5"):
        Occluder("xseg_1", Fixed(np.zeros((1, 5)))).visible(CROP)
    with pytest.raises(ModelCorrupt, match="wrong shape"):
        Parser("p", Fixed()).inside(CROP, {1})


def test_the_smallest_mask_counts() -> None:
    masks = [np.full((2, 2), value, np.float32) for value in (0.5, 1.5, 0.25)]
    assert combine(masks).tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert combine([masks[1]]).max() == 1
    with pytest.raises(ValueError, match="at least one"):
        combine([])


def test_a_masker_makes_what_was_asked_for_and_no_more() -> None:
    def never() -> Any:
        raise AssertionError

    masker = Masker(types=("box",), padding=(0, 50, 0, 0), occluders=never, parser=never)
    (mask,) = masker.before(CROP, never)
    assert mask is masker.before(CROP, never)[0]
    assert not mask.flags.writeable
    assert mask[32, 50] < 0.01 < masker.box(CROP, padded=False)[32, 50]
    assert masker.after(CROP) == []


def test_a_masker_makes_all_types() -> None:
    session = Fixed(np.ones((1, 256, 256, 1), np.float32))
    parser = Parser("p", Fixed(np.zeros((1, 19, 512, 512), np.float32)))
    masker = Masker(
        types=("box", "occlusion", "area", "region"),
        areas=tuple(AREAS),
        occluders=lambda: [Occluder("o", session)],
        parser=lambda: parser,
    )
    masks = masker.before(CROP, lambda: shape_68() * 64) + masker.after(CROP)
    assert [mask.shape for mask in masks] == [(64, 64)] * 4
    assert combine(masks).max() == 0
