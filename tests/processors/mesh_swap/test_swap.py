from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mien.faces.canonical import MESH_COUNT, canonical
from mien.processors.mesh_swap.memory import Memory
from mien.processors.mesh_swap.source import SourceFace, prepare_source
from mien.processors.mesh_swap.swap import MeshSettings, swap_face
from mien.types import Frame

from . import faces

DEFAULTS = MeshSettings()


@pytest.fixture(scope="module")
def sources() -> tuple[SourceFace, ...]:
    points = faces.mesh(180.0, mouth=120.0)
    prepared = prepare_source(faces.picture(points, skin=(110, 140, 190)), points)
    assert prepared is not None
    return prepared


def swapped(image: Frame, points: np.ndarray, sources: tuple[SourceFace, ...], **sliders: float) -> Frame:
    result = image.copy()
    assert swap_face(result, points, sources, MeshSettings(**sliders), Memory())
    return result


def test_changes_the_face_and_nothing_else(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh()
    image = faces.picture(points)
    result = swapped(image, points, sources)
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    margin = 0.06 * (high - low).max()
    outside = np.ones(image.shape[:2], bool)
    outside[
        int(low[1] - margin) : int(high[1] + margin) + 1, int(low[0] - margin) : int(high[0] + margin) + 1
    ] = False
    assert np.array_equal(result[outside], image[outside])
    brow = points[canonical().groups["brow_left"], :2].mean(0).astype(int)
    around = np.s_[brow[1] - 12 : brow[1] + 12, brow[0] - 12 : brow[0] + 12]
    assert np.abs(result[around].astype(int) - image[around]).max() > 20


def test_rim_of_the_face_keeps_the_target(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh()
    image = faces.picture(points)
    result = swapped(image, points, sources)
    x, y = np.rint(points[canonical().groups["oval"], :2]).astype(int).T
    assert np.abs(result[y, x].astype(int) - image[y, x]).max() <= 6


def test_skin_takes_the_targets_colour(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh()
    image = faces.picture(points, skin=(150, 190, 235))
    result = swapped(image, points, sources)
    cheek = points[[50, 280, 205, 425], :2].astype(int)
    for x, y in cheek:
        spot = np.s_[y - 3 : y + 4, x - 3 : x + 4]
        assert np.abs(result[spot].mean((0, 1)) - image[spot].mean((0, 1))).max() < 8


def test_shut_mouth_stays_shut(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh(mouth=4.0)
    image = faces.picture(points)
    result = swapped(image, points, sources)
    low, high = (
        points[canonical().groups["lips_outer"], :2].min(0),
        points[canonical().groups["lips_outer"], :2].max(0),
    )
    lips = result[int(low[1]) : int(high[1]) + 1, int(low[0]) + 8 : int(high[0]) - 8]
    assert lips[..., 0].max() < 190, "blue is high in the source's teeth only"


def test_open_mouth_shows_the_targets_own_inside(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh(mouth=200.0)
    image = faces.picture(points)
    x, y = points[[13, 14], :2].mean(0).astype(int)
    image[y - 4 : y + 5, x - 4 : x + 5] = (200, 30, 20)
    result = swapped(image, points, sources, identity=0.0)
    assert np.abs(result[y - 2 : y + 3, x - 2 : x + 3].astype(int) - (200, 30, 20)).max() <= 6


@pytest.mark.parametrize("yaw", [-40.0, -15.0, 15.0, 40.0])
def test_turned_heads_are_swapped(sources: tuple[SourceFace, ...], yaw: float) -> None:
    points = faces.mesh(yaw=yaw)
    image = faces.picture(points)
    assert (swapped(image, points, sources) != image).any()


@pytest.mark.parametrize("yaw", [-65.0, 70.0])
def test_profiles_are_left_alone(sources: tuple[SourceFace, ...], yaw: float) -> None:
    points = faces.mesh(yaw=yaw)
    image = faces.picture(points)
    result = image.copy()
    assert not swap_face(result, points, sources, DEFAULTS, Memory())
    assert np.array_equal(result, image)


def test_tiny_faces_are_left_alone(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh(20.0)
    image = faces.picture(points)
    assert not swap_face(image, points, sources, DEFAULTS, Memory())


@pytest.mark.parametrize("center", [(5.0, 150.0), (315.0, 150.0), (160.0, 0.0), (160.0, 310.0), (0.0, 0.0)])
def test_faces_that_the_picture_cuts_off(
    sources: tuple[SourceFace, ...], center: tuple[float, float]
) -> None:
    points = faces.mesh(220.0, center)
    image = faces.picture(points)
    assert (swapped(image, points, sources) != image).any()


def test_face_cut_off_by_the_frame_is_swapped_up_to_the_edge(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh(220.0, (0.0, 150.0))
    image = faces.picture(points)
    result = swapped(image, points, sources)
    middle = slice(120, 220)
    assert (result[middle, 0] != image[middle, 0]).any()


def test_same_input_gives_the_same_output(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh(roll=12.0)
    image = faces.picture(points)
    assert np.array_equal(swapped(image, points, sources), swapped(image, points, sources))


def test_sliders_matter(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh()
    points[canonical().groups["nose"]] *= np.float32([1.0, 1.01, 1.0])
    image = faces.picture(points)
    plain = swapped(image, points, sources)
    for sliders in ({"identity": 0.0}, {"feather": 0.2}, {"forehead": 0.0}):
        assert (swapped(image, points, sources, **sliders) != plain).any(), sliders


def test_colour_moves_slowly_from_frame_to_frame(sources: tuple[SourceFace, ...]) -> None:
    points = faces.mesh()
    memory = Memory()
    dark, bright = faces.picture(points, skin=(90, 120, 160)), faces.picture(points, skin=(150, 190, 235))
    swap_face(dark.copy(), points, sources, DEFAULTS, memory)
    assert memory.colour is not None
    before = memory.colour.table[180, 0]
    for _ in range(3):
        swap_face(bright.copy(), points, sources, DEFAULTS, memory)
    after, fresh = memory.colour.table[180, 0], Memory()
    swap_face(bright.copy(), points, sources, DEFAULTS, fresh)
    assert fresh.colour is not None
    assert before < after < before + 0.3 * (fresh.colour.table[180, 0] - before)


def test_another_source_is_measured_afresh(sources: tuple[SourceFace, ...]) -> None:
    turned = faces.mesh(180.0, yaw=30.0)
    others = prepare_source(faces.picture(turned, skin=(60, 80, 110)), turned)
    assert others is not None
    both, memory = (sources[0], others[0]), Memory()
    frontal, aside = faces.mesh(), faces.mesh(yaw=32.0)
    swap_face(faces.picture(frontal), frontal, both, DEFAULTS, memory)
    assert memory.source is sources[0]
    slow = faces.picture(aside)
    swap_face(slow, aside, both, DEFAULTS, memory)
    assert memory.source is others[0]
    assert np.array_equal(slow, swapped(faces.picture(aside), aside, others[:1]))


coordinates = st.floats(-3000, 3000, width=32)
anything = st.floats(width=32)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    points=npst.arrays(
        np.float32, (MESH_COUNT, 3), elements=st.one_of(coordinates, anything), fill=coordinates
    ),
    width=st.integers(1, 200),
    height=st.integers(1, 200),
)
def test_no_mesh_makes_it_fail(
    sources: tuple[SourceFace, ...], points: np.ndarray, width: int, height: int
) -> None:
    image = np.full((height, width, 3), 100, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        swap_face(image, points, sources, DEFAULTS, Memory())
    assert image.shape == (height, width, 3)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    size=st.floats(1, 5000),
    x=st.floats(-4000, 4000),
    y=st.floats(-4000, 4000),
    squash=st.sampled_from([0.0, 1e-6, 0.01, 1.0, -1.0, 50.0]),
    axis=st.integers(0, 2),
    jitter=st.floats(0, 100),
    roll=st.floats(-180, 180),
    frame=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    seed=st.integers(0, 1000),
)
def test_distorted_faces_anywhere_do_not_make_it_fail(
    sources: tuple[SourceFace, ...],
    size: float,
    x: float,
    y: float,
    squash: float,
    axis: int,
    jitter: float,
    roll: float,
    frame: tuple[int, int],
    seed: int,
) -> None:
    points = faces.mesh(size, (0.0, 0.0), roll=roll)
    points[:, axis] *= squash
    points += np.float32([x % (2 * frame[0]) - frame[0] / 2, y % (2 * frame[1]) - frame[1] / 2, 0])
    random = np.random.default_rng(seed)
    points += random.normal(0.0, jitter, points.shape).astype(np.float32)
    image = random.integers(0, 256, (frame[1], frame[0], 3), np.uint8)
    swap_face(image, points, sources, DEFAULTS, Memory())


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    points=npst.arrays(np.float32, (MESH_COUNT, 3), elements=anything, fill=coordinates),
    width=st.integers(1, 200),
    height=st.integers(1, 200),
)
def test_no_source_mesh_makes_it_fail(points: np.ndarray, width: int, height: int) -> None:
    image = np.full((height, width, 3), 100, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        prepared = prepare_source(image, points)
    if prepared is not None:
        target = faces.mesh()
        swap_face(faces.picture(target), target, prepared, DEFAULTS, Memory())
