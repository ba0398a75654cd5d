from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.faces.align import (
    TEMPLATES,
    align_matrix,
    box_matrix,
    invert,
    merge,
    paste_area,
    paste_back,
    rotation,
    scale_face,
    scale_five,
    similarity,
    transform,
    transform_boxes,
    turn,
    warp,
    warp_black,
)
from mien.types import Box, Face, Landmarks

FIVE = np.array([[610, 402], [731.5, 398.25], [668, 471], [622.75, 541.5], [724, 538]])

# p, q, tx, ty of the matrix [p -q tx; q p ty], measured with OpenCV 5.0.
MATRICES = {
    ("arcface_112_v1", 256): (0.5961513742, 0.0145866426, -265.3087025, -132.4540201),
    ("arcface_112_v2", 112): (0.2902895836, 0.0053995867, -136.2921085, -68.2033394),
    ("arcface_112_v2", 224): (0.5805791671, 0.0107991734, -272.5842170, -136.4066789),
    ("arcface_128", 128): (0.2902895836, 0.0053995867, -128.2921085, -68.2033394),
    ("arcface_128", 256): (0.5805791671, 0.0107991734, -256.5842170, -136.4066789),
    ("dfl_whole_face", 256): (0.5471029035, 0.0103594749, -236.6961215, -125.8884984),
    ("ffhq_512", 512): (0.9876747728, 0.0180650557, -397.9096981, -169.1371328),
    ("ffhq_512", 1): (0.00192905229, 0.00003528331, -0.7771673791, -0.3303459624),
    ("mtcnn_512", 512): (1.1279825453, 0.0209812430, -491.1922885, -226.6187492),
    ("styleganex_384", 384): (0.4629725547, 0.0084679573, -114.3418354, 9.0349327),
}


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize(("template", "size"), MATRICES)
def test_five_points_are_laid_onto_each_template(template: str, size: int, compat: bool) -> None:
    p, q, tx, ty = MATRICES[template, size]
    matrix = align_matrix(FIVE, template, (size, size), compat=compat)
    np.testing.assert_allclose(matrix, [[p, -q, tx], [q, p, ty]], rtol=1e-5, atol=1e-8)


def test_an_outlier_counts_unless_the_reference_drops_it() -> None:
    points = np.array(TEMPLATES["arcface_128"]) * 1024
    points[2] += (300, 0)
    ours = align_matrix(points, "arcface_128", (1024, 1024))
    theirs = align_matrix(points, "arcface_128", (1024, 1024), compat=True)
    np.testing.assert_allclose(theirs, np.eye(2, 3), atol=1e-3)
    assert abs(ours[0, 2]) > 10


@pytest.mark.parametrize("compat", [False, True])
def test_points_that_coincide_are_refused(compat: bool) -> None:
    with pytest.raises(ValueError, match=r"different|coincide"):
        align_matrix(np.full((5, 2), 7.0), "ffhq_512", (512, 512), compat=compat)


@given(st.floats(0.05, 20), st.floats(-3.1, 3.1), st.floats(-900, 900), st.floats(-900, 900))
def test_a_similarity_is_found_again(scale: float, angle: float, x: float, y: float) -> None:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cos, -sin, x], [sin, cos, y]])
    np.testing.assert_allclose(similarity(FIVE, transform(FIVE, matrix)), matrix, rtol=1e-7, atol=1e-6)


def test_points_spread_round_the_nose() -> None:
    expected = [[617.25, 410.625], [723.5625, 407.34375], [668, 471], [628.40625, 532.6875], [717, 529.625]]
    np.testing.assert_allclose(scale_five(FIVE, 0.875), expected)


def test_merged_matrices_work_in_order() -> None:
    double, shift = np.array([[2.0, 0, 0], [0, 2, 0]]), np.array([[1.0, 0, 5], [0, 1, 7]])
    np.testing.assert_allclose(transform([[1, 1]], merge(double, shift)), [[7, 9]])
    np.testing.assert_allclose(transform([[1, 1]], merge(shift, double)), [[12, 16]])
    np.testing.assert_allclose(merge(shift, invert(shift)), np.eye(2, 3))


def test_a_box_fills_its_crop() -> None:
    matrix = box_matrix(Box(10, 20, 110, 70), (64, 32))
    np.testing.assert_allclose(transform([[10, 20], [110, 70]], matrix), [[0, 0], [64, 32]], atol=1e-5)


@pytest.mark.parametrize(
    ("angle", "expected", "size"),
    [
        (90, [[0, 1, 0], [-1, 0, 1920]], (1080, 1920)),
        (180, [[-1, 0, 1920], [0, -1, 1080]], (1920, 1080)),
        (270, [[0, -1, 1080], [1, 0, 0]], (1080, 1920)),
    ],
)
def test_turning_as_the_reference_does(angle: int, expected: list[list[int]], size: tuple[int, int]) -> None:
    matrix, turned = rotation(1920, 1080, angle, compat=True)
    np.testing.assert_allclose(matrix, expected, atol=1e-9)
    assert turned == size
    if angle == 90:
        back = transform_boxes([[10, 20, 110, 220]], invert(matrix))
        np.testing.assert_allclose(back, [[1700, 10, 1900, 110]], atol=1e-9)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_turning_loses_no_pixel(angle: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (5, 8, 3), np.uint8)
    turned, matrix = turn(image, angle)
    np.testing.assert_array_equal(turned, np.rot90(image, angle // 90))
    for x, y in ((0, 0), (7, 0), (3, 4)):
        column, row = np.rint(transform([[x, y]], matrix)[0]).astype(int)
        np.testing.assert_array_equal(turned[row, column], image[y, x])


def test_the_reference_loses_a_line_of_pixels() -> None:
    turned, _ = turn(np.full((5, 8, 3), 9, np.uint8), 90, compat=True)
    assert turned.shape == (8, 5, 3)
    assert not turned[0].any()
    assert turned[1:].all()


def test_shrinking_averages_what_the_reference_samples() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 200
    matrix = np.array([[0.25, 0, 0], [0, 0.25, 0]])
    smooth = warp(stripes, matrix, (100, 100))
    assert smooth[10:90, 10:90].std() < 2
    assert smooth[10:90, 10:90].mean() == pytest.approx(100, abs=1)
    sampled = warp(stripes, matrix, (100, 100), compat=True)
    assert abs(float(sampled[10:90, 10:90].mean()) - 100) > 50


def test_shrinking_does_not_shift() -> None:
    y, x = np.mgrid[:600, :600].astype(np.float32)
    ramp = np.stack([x, y, x], axis=-1) * 0.4
    matrix = np.array([[0.29, 0.02, -20], [-0.02, 0.29, -10]])
    np.testing.assert_allclose(
        warp(ramp, matrix, (100, 100)), warp(ramp, matrix, (100, 100), compat=True), atol=0.05
    )


def test_beyond_the_image_its_border_goes_on_or_is_black() -> None:
    image = np.full((20, 20, 3), 50, np.uint8)
    matrix = np.array([[1.0, 0, 100], [0, 1, 0]])
    assert (warp(image, matrix, (10, 10)) == 50).all()
    assert not warp_black(image, matrix, (10, 10)).any()


def test_the_pasted_area_is_the_reference_one() -> None:
    matrix = align_matrix(FIVE, "arcface_128", (256, 256))
    area, inverse = paste_area(matrix, (256, 256), (1920, 1080), compat=True)
    assert area == (446, 218, 895, 667)
    expected = [[1.72182226, 0.03202708, 0.16112455], [-0.03202708, 1.72182226, 8.65041218]]
    np.testing.assert_allclose(inverse, expected, rtol=1e-5, atol=2e-4)


def test_pasting_what_was_cropped_changes_nothing() -> None:
    frame = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8), (0, 0), 4)
    matrix = np.array([[1.3, 0.1, -90], [-0.1, 1.3, -40]])
    crop = warp(frame, matrix, (128, 128))
    result = frame.copy()
    area = paste_back(result, crop, np.ones((128, 128), np.float32), matrix)
    assert (area[2] - area[0]) * (area[3] - area[1]) > 5000
    assert np.abs(result.astype(int) - frame).max() <= 2


@pytest.mark.parametrize(("compat", "expected"), [(False, 101), (True, 100)])
def test_blended_values_are_rounded_or_truncated(compat: bool, expected: int) -> None:
    frame = np.full((40, 40, 3), 100, np.uint8)
    crop = np.full((16, 16, 3), 100.9)
    paste_back(
        frame, crop, np.ones((16, 16), np.float32), np.array([[1.0, 0, -8], [0, 1, -8]]), compat=compat
    )
    assert frame[16, 16, 0] == expected
    assert frame[0, 0, 0] == 100


def test_the_mask_says_how_much_is_pasted() -> None:
    frame = np.zeros((40, 40, 3), np.uint8)
    mask = np.full((20, 20), 0.25, np.float32)
    paste_back(frame, np.full((20, 20, 3), 200, np.uint8), mask, np.array([[1.0, 0, -10], [0, 1, -10]]))
    assert frame[20, 20].tolist() == [50, 50, 50]
    assert not frame[:9].any()


@pytest.mark.parametrize("compat", [False, True])
def test_a_crop_beside_the_frame_is_not_pasted(compat: bool) -> None:
    frame = np.full((20, 20, 3), 7, np.uint8)
    matrix = np.array([[1.0, 0, 500], [0, 1, 0]])
    area = paste_back(frame, np.zeros((8, 8, 3)), np.ones((8, 8), np.float32), matrix, compat=compat)
    assert area[0] == area[2]
    assert (frame == 7).all()


def test_a_face_is_scaled_to_another_frame_size() -> None:
    five, marks = FIVE.astype(np.float32), np.ones((68, 2), np.float32)
    face = Face(Box(10, 20, 30, 40), 0.9, Landmarks(five, five, marks, marks), angle=90)
    scaled = scale_face(face, 2, 3)
    assert scaled.box == Box(20, 60, 60, 120)
    np.testing.assert_allclose(scaled.landmarks.five_of_68, five * (2, 3))
    np.testing.assert_allclose(scaled.landmarks.sixty_eight, marks * (2, 3))
    assert (scaled.score, scaled.angle) == (0.9, 90)
    assert scale_face(face, 1, 1) is face


def test_the_mesh_of_a_face_is_scaled_too() -> None:
    marks = np.ones((68, 2), np.float32)
    mesh = np.ones((474, 3), np.float32)
    landmarks = Landmarks(FIVE, FIVE, marks, marks, mesh)  # type: ignore[arg-type]
    scaled = scale_face(Face(Box(0, 0, 9, 9), 0.9, landmarks, track=4, observed=False), 2, 4)
    assert scaled.landmarks.mesh is not None
    assert scaled.landmarks.mesh[0].tolist() == [2, 4, 3]
    assert (scaled.track, scaled.observed, scaled.landmark_score) == (4, False, 1.0)
