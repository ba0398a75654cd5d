"""The steps after the shape: map, mask, skin, colour, sharpness, mouth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.faces.canonical import canonical
from mien.processors.mesh_swap import colour, mask, sharpness, skin
from mien.processors.mesh_swap.geometry import STATS, area, window_around
from mien.processors.mesh_swap.openings import Crops, close_eye, polygon, restore_mouth
from mien.processors.mesh_swap.source import prepare_source
from mien.processors.mesh_swap.warp import FaceMap, face_map, fetch, sample, version_for

from . import faces

ONES = np.ones(474, np.float32)


def own_map(size: float = 200.0, shut: float = 0.0, **how: float) -> tuple[FaceMap, np.ndarray]:
    """The map of a face onto itself."""
    points = faces.mesh(size, **how)
    pair = prepare_source(faces.picture(points), points)
    window = window_around(points, (320, 320))
    assert pair is not None
    assert window is not None
    columns, rows = window.grid_size()
    return face_map(
        pair[0], window.to_grid(points, columns, rows), points, ONES, shut, (columns, rows)
    ), points


def test_a_face_maps_onto_itself() -> None:
    mapping, _ = own_map()
    rows, columns = mapping.x.shape
    y, x = np.nonzero(cv2.erode(mapping.covered, np.ones((3, 3), np.uint8)))
    assert len(y) > 4000
    assert np.abs(mapping.x[y, x] * columns - 0.5 - x).max() < 0.1
    assert np.abs(mapping.y[y, x] * rows - 0.5 - y).max() < 0.1


def test_map_goes_on_beyond_the_rim() -> None:
    mapping, _ = own_map()
    wider = cv2.dilate(mapping.covered, np.ones((7, 7), np.uint8)) > 0
    assert mapping.x[wider].min() > 0
    assert (mapping.seen[mapping.covered == 0] == 0).all()


def test_fetching_ones_own_pixels_gives_them_back() -> None:
    points = faces.mesh()
    image = faces.picture(points)
    pair = prepare_source(image, points)
    window = window_around(points, (320, 320))
    assert pair is not None
    assert window is not None
    columns, rows = window.grid_size()
    mapping = face_map(pair[0], window.to_grid(points, columns, rows), points, ONES, 0.0, (columns, rows))
    oval = area(points, canonical().groups["oval"])
    pixels, ratio = fetch(pair[0], mapping, oval, (window.width, window.height))
    assert ratio == pytest.approx(1.0, abs=0.01)
    crop = cv2.cvtColor(image[window.slices], cv2.COLOR_BGR2YCrCb)
    inside = cv2.resize(mapping.covered, (window.width, window.height)) == 255
    assert np.abs(pixels[inside].astype(int) - crop[inside]).mean() < 2.5


def test_small_targets_read_small_versions() -> None:
    points = faces.mesh()
    pair = prepare_source(faces.picture(points), points)
    assert pair is not None
    scales = {ratio: version_for(pair[0], ratio).scale for ratio in (1.0, 0.6, 0.5, 0.1, 1.7, 2.0, 1e9)}
    smallest = 0.5 ** max(pair[0].versions)
    assert scales == {1.0: 1.0, 0.6: 1.0, 0.5: 2.0, 0.1: 4.0, 1.7: 0.5, 2.0: 0.5, 1e9: smallest}


def test_shut_mouth_reads_the_lower_lip() -> None:
    open_map, points = own_map(mouth=120.0)
    shut_map, _ = own_map(mouth=120.0, shut=1.0)
    window = window_around(points, (320, 320))
    assert window is not None
    rows, columns = open_map.y.shape
    x, y = window.to_grid(points[[13, 14]].mean(0, keepdims=True), columns, rows)[0].astype(int)
    lip = (points[14, 1] - window.y) / window.height
    assert open_map.y[y, x] < lip <= shut_map.y[y, x]


def test_mask_is_soft_at_the_rim_and_full_inside() -> None:
    mapping, points = own_map()
    window = window_around(points, (320, 320))
    assert window is not None
    ones = np.ones_like(mapping.x)
    alpha = mask.alpha(mapping, window, 0.06, ones, ones)
    assert alpha[mapping.covered == 0].max() < 0.05
    nose = window.to_grid(points[[4]], *mapping.x.shape[::-1])[0].astype(int)
    assert alpha[nose[1], nose[0]] > 0.95
    wide = mask.alpha(mapping, window, 0.2, ones, ones)
    assert wide.sum() < 0.9 * alpha.sum()
    assert mask.alpha(mapping, window, 0.06, ones, 0 * ones).max() == 0


def test_depth_jump_is_cut_out() -> None:
    depth = np.full((40, 40), 0.2, np.float32)
    depth[:, 20:] = 0.6
    inside = np.full((40, 40), 10.0, np.float32)
    kept = mask.no_jump(depth, inside)
    assert kept[20, 19:21].max() < 0.2
    assert kept[20, [5, 35]].min() == pytest.approx(1.0)
    assert mask.no_jump(depth, 0 * inside).min() == 1.0, "at the rim the mask ends anyway"


def test_frame_edge_is_no_rim() -> None:
    points = faces.mesh(220.0, (0.0, 150.0))
    window = window_around(points, (320, 320))
    assert window is not None
    covered = np.full((50, 40), 255, np.uint8)
    distance = mask.rim_distance(covered, window)
    assert distance[25, 0] > 20
    assert distance[25, -1] == pytest.approx(1.0, abs=0.1)


def skin_picture() -> np.ndarray:
    image = np.full((STATS, STATS, 3), faces.SKIN, np.float32)
    image += np.linspace(-20, 20, STATS, dtype=np.float32)[None, :, None]
    return np.clip(image + np.random.default_rng(3).normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def test_skin_is_told_from_hair() -> None:
    image = skin_picture()
    image[:15] = (30, 40, 60)
    central = np.zeros((STATS, STATS), np.float32)
    central[25:55, 10:54] = 1.0
    found = skin.skin_map(image, central, np.ones_like(central))
    assert found[:14].max() < 0.1
    assert found[18:].mean() > 0.95


def test_everything_is_skin_where_little_is_sure() -> None:
    nothing = np.zeros((STATS, STATS), np.float32)
    assert (skin.skin_map(skin_picture(), nothing, nothing + 1) == 1).all()


def test_guided_filter_follows_the_guide() -> None:
    guide = np.zeros((40, 40), np.float32)
    guide[:, 20:] = 1.0
    rough = cv2.GaussianBlur(guide, (0, 0), 3)
    refined = skin.guided_filter(guide, rough, 4, 1e-4)
    assert abs(refined[20, 22] - 1.0) < abs(rough[20, 22] - 1.0)
    assert refined[20, 19] < rough[20, 19]


def ycrcb(bgr: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb)


def test_equal_pictures_need_no_change() -> None:
    image = ycrcb(skin_picture())
    match = colour.measure(image, image, np.ones((STATS, STATS), np.float32))
    assert np.abs(colour.apply(match, image).astype(int) - image).mean() < 1.5


def test_colour_moves_onto_the_target() -> None:
    source = skin_picture()
    target = np.clip(source * np.float32([0.8, 0.9, 1.0]) + 12, 0, 255).astype(np.uint8)
    match = colour.measure(ycrcb(source), ycrcb(target), np.ones((STATS, STATS), np.float32))
    result = cv2.cvtColor(colour.apply(match, ycrcb(source)), cv2.COLOR_YCrCb2BGR)
    assert np.abs(result.mean((0, 1)) - target.mean((0, 1))).max() < 2.0
    assert (np.diff(match.table[:, 0]) >= 0).all()


def test_black_stays_black() -> None:
    source = skin_picture()
    target = np.clip(source.astype(int) + 60, 0, 255).astype(np.uint8)
    match = colour.measure(ycrcb(source), ycrcb(target), np.ones((STATS, STATS), np.float32))
    pupil = np.full((8, 8, 3), (5, 128, 128), np.uint8)
    assert np.abs(colour.apply(match, pupil).astype(int) - pupil).max() <= 12


def test_light_of_the_target_is_taken_over() -> None:
    source = np.full((STATS, STATS, 3), (150, 150, 110), np.uint8)
    target = source.astype(np.float32)
    target[..., 0] += np.linspace(-40, 40, STATS)[None, :]
    match = colour.measure(source, target.astype(np.uint8), np.ones((STATS, STATS), np.float32))
    lit = colour.apply(match, source)[..., 0].astype(float)
    assert lit[32, 55] - lit[32, 8] > 45


def test_too_few_cells_change_nothing() -> None:
    source, target = ycrcb(skin_picture()), np.full((STATS, STATS, 3), 60, np.uint8)
    match = colour.measure(source, target, np.zeros((STATS, STATS), np.float32))
    assert np.abs(colour.apply(match, source).astype(int) - source).max() <= 1


def test_blending_two_matches() -> None:
    first, second = (
        colour.measure(
            np.full((STATS, STATS, 3), 100, np.uint8), np.full((STATS, STATS, 3), to, np.uint8), weight
        )
        for to, weight in (
            (100, np.ones((STATS, STATS), np.float32)),
            (140, np.ones((STATS, STATS), np.float32)),
        )
    )
    middle = first.blended(second, 0.5)
    assert middle.table[100, 0] == pytest.approx((first.table[100, 0] + second.table[100, 0]) / 2, abs=1e-3)


def checkered(sigma: float) -> np.ndarray:
    y, x = np.mgrid[:120, :120]
    board = (((x // 12) + (y // 12)) % 2 * 160 + 40).astype(np.uint8)
    return cv2.GaussianBlur(board, (0, 0), sigma) if sigma else board


def test_too_sharp_is_blurred_and_too_soft_is_sharpened() -> None:
    sharp, soft = checkered(0.0), checkered(1.5)
    assert sharpness.decide(sharp, sharp, 1.0) == sharpness.Sharpening()
    blur = sharpness.decide(sharp, soft, 1.0)
    assert blur.blur > 0
    unsharp = sharpness.decide(soft, sharp, 1.0)
    assert 0 < unsharp.unsharp <= 0.7
    assert sharpness.decide(soft, sharp, 0.3).unsharp == 0, "an enlarged source stays soft"
    for picture, how, other in ((sharp, blur, soft), (soft, unsharp, sharp)):
        image = cv2.merge((picture, picture, picture))
        before = abs(sharpness.edges(picture) - sharpness.edges(other))
        sharpness.apply(image, how)
        assert abs(sharpness.edges(np.ascontiguousarray(image[..., 0])) - sharpness.edges(other)) < before
        assert np.array_equal(image[..., 1], picture)


def test_edges_of_nothing() -> None:
    assert sharpness.edges(np.zeros((2, 2), np.uint8)) == 0.0


def test_open_mouth_is_the_targets() -> None:
    points = faces.mesh(mouth=200.0)
    target, result = faces.picture(points), np.full((320, 320, 3), (100, 120, 150), np.uint8)
    before = result.copy()
    restore_mouth(Crops(result, target, points, points, 200.0), 0.0)
    x, y = points[[13, 14], :2].mean(0).astype(int)
    assert np.array_equal(result[y, x], target[y, x])
    outer = points[canonical().groups["lips_outer"], :2]
    assert np.array_equal(result[: int(outer[:, 1].min()) - 8], before[: int(outer[:, 1].min()) - 8])


def test_shut_mouth_takes_shade_but_not_colour() -> None:
    points = faces.mesh(mouth=2.0)
    target = np.full((320, 320, 3), (60, 60, 230), np.uint8)
    lips = points[canonical().groups["lips_inner"], :2]
    cv2.polylines(target, [lips.astype(np.int32)], True, (20, 20, 60), 2)
    result = np.full((320, 320, 3), (120, 130, 150), np.uint8)
    restore_mouth(Crops(result, target, points, points, 200.0), 1.0)
    x, y = points[13, :2].round().astype(int)
    line, beside = result[y, x].astype(int), result[y + 25, x].astype(int)
    assert line.sum() < beside.sum() - 40
    assert abs((line[2] - line[0]) - (beside[2] - beside[0])) < 20


def test_mouth_outside_the_crop_is_no_matter() -> None:
    points = faces.mesh(center=(160.0, -400.0))
    result = np.full((320, 320, 3), 90, np.uint8)
    restore_mouth(Crops(result, result.copy(), points, points, 200.0), 0.5)
    close_eye(Crops(result, result.copy(), points, points, 200.0), "left", 1.0)
    assert (result == 90).all()


def test_sampling_the_sources_maps() -> None:
    mapping, _ = own_map()
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (96, 1))
    rows, columns = mapping.x.shape
    assert sample(ramp, mapping)[rows // 2, columns // 2] == pytest.approx(0.5, abs=0.03)


def test_closed_eye_hides_the_white() -> None:
    points = faces.mesh(lids=0.05)
    eye = points[canonical().groups["eye_left"], :2]
    image = np.full((320, 320, 3), faces.SKIN, np.uint8)
    result = image.copy()
    result[polygon(eye, image.shape[:2], 1.0) > 0.3] = 240
    open_eye = result.copy()
    close_eye(Crops(open_eye, image, points, points, 200.0), "left", 0.0)
    assert (open_eye == 240).any()
    close_eye(Crops(result, image, points, points, 200.0), "left", 1.0)
    assert np.abs(result.astype(int) - image).max() < 45, "the white was 100 away"


def test_polygon_grows() -> None:
    square = np.float32([[10, 10], [20, 10], [20, 20], [10, 20]])
    plain, grown = polygon(square, (32, 32)), polygon(square, (32, 32), 4.0)
    assert plain.sum() < grown.sum()
    assert grown[15, 7] == 1.0 > plain[15, 7]
