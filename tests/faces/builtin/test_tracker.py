"""Tracking: the rules on stand-ins for the networks, and the real networks on a made clip with known motion."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mien.faces.analyser import Observed
from mien.faces.builtin.analyser import BuiltinAnalyser
from mien.faces.builtin.blazeface import Detection
from mien.faces.builtin.mesh import Mesh, region_of_mesh
from mien.faces.builtin.region import Region
from mien.faces.builtin.tracker import BuiltinTracker
from mien.faces.canonical import canonical
from mien.faces.options import TrackerOptions
from mien.types import Box, Frame, Points, Pose

RATE = 10.0
Spot = tuple[float, float]


class World:
    """A frame says by its index where faces are; both networks look that up. Faces are 215 × 242 pixels."""

    def __init__(
        self, faces: Callable[[int], list[Spot]], *, seen_by_detector: Callable[[int], bool] | None = None
    ):
        self.faces = faces
        self.seen = seen_by_detector or (lambda index: True)
        self.index = 0
        self.detections: list[tuple[int, bool]] = []

    def mesh(self, spot: Spot) -> Points:
        return (canonical().points_full * 0.1 + [*spot, 0]).astype(np.float32)

    def detect(self, image: Frame, closely: bool) -> tuple[Detection, ...]:
        self.detections.append((self.index, closely))
        if not self.seen(self.index):
            return ()
        return tuple(
            Detection(Box(x - 90, y - 40, x + 90, y + 140), 0.9, np.zeros((6, 2), np.float32))
            for x, y in self.faces(self.index)
        )

    def still(self, image: Frame, detection: Detection, least: float) -> Mesh | None:
        x, y = detection.box.center
        return self.near(x, y - 50, 60)

    def follow(self, image: Frame, region: Region) -> Mesh | None:
        x, y = region.x, region.y - 44.5
        return self.near(x, y, 120)

    def near(self, x: float, y: float, reach: float) -> Mesh | None:
        for spot in self.faces(self.index):
            if math.dist(spot, (x, y)) < reach:
                return Mesh(self.mesh(spot), 1.0, Pose(0, 0, 0))
        return None

    def run(
        self, frames: int, options: TrackerOptions | None = None, *, cuts: tuple[int, ...] = ()
    ) -> list[Observed]:
        tracker = BuiltinTracker(self.detect, self, RATE, options)  # type: ignore[arg-type]
        seen = []
        for self.index in range(frames):
            scene = sum(self.index >= cut for cut in cuts)
            colours = np.random.default_rng(scene).integers(0, 255, (6, 9, 3), dtype=np.uint8)
            image = cv2.resize(colours, (900, 600), interpolation=cv2.INTER_NEAREST)
            seen.append(tracker.update(image, self.index))
        return seen


def numbers(seen: list[Observed]) -> list[list[int | None]]:
    return [[face.track for face in frame.faces] for frame in seen]


def test_the_detector_looks_first_and_then_about_once_a_second() -> None:
    world = World(lambda i: [(200, 200)])
    seen = world.run(35)
    assert numbers(seen) == [[1]] * 35
    assert world.detections == [(0, False), (10, False), (20, False), (30, False)]


@pytest.mark.parametrize(("interval", "expected"), [(0.0, 12), (0.5, 3), (5.0, 1)])
def test_the_interval_of_detection(interval: float, expected: int) -> None:
    world = World(lambda i: [(200, 200)])
    world.run(12, TrackerOptions(interval=interval))
    assert len(world.detections) == expected


def test_numbers_stay_with_faces_that_move_past_each_other() -> None:
    def faces(index: int) -> list[Spot]:
        return [(150 + 8 * index, 150), (750 - 8 * index, 440)]

    seen = World(faces).run(60)
    assert numbers(seen) == [[1, 2]] * 60
    x, y = seen[-1].faces[0].box.center
    assert (x, y - 44.5) == pytest.approx((150 + 8 * 59, 150), abs=4)


def test_a_new_face_is_found_at_the_next_look() -> None:
    world = World(lambda i: [(200, 200)] + ([(600, 300)] if i >= 13 else []))
    seen = numbers(world.run(25))
    assert seen[19] == [1]
    assert seen[20:] == [[1, 2]] * 5


def test_a_lost_face_is_looked_for_in_every_frame_and_keeps_its_number() -> None:
    world = World(lambda i: [(600, 300)] + ([] if 15 <= i < 22 else [(200, 200)]))
    seen = numbers(world.run(30))
    assert seen[14] == [1, 2]
    assert seen[15:22] == [[1]] * 7
    assert seen[22:] == [[1, 2]] * 8
    assert [index for index, _ in world.detections] == [0, 10, *range(15, 23)]


def test_a_face_that_was_away_for_long_is_a_new_one() -> None:
    world = World(lambda i: [] if 5 <= i < 40 else [(200, 200)])
    seen = numbers(world.run(45))
    assert seen[:5] == [[1]] * 5
    assert seen[40:] == [[2]] * 5


def test_a_face_elsewhere_is_a_new_one() -> None:
    world = World(lambda i: [(200, 200)] if i < 5 else [(600, 300)])
    assert numbers(world.run(8)) == [[1]] * 5 + [[2]] * 3


def test_squares_are_searched_only_while_no_face_is_known_and_rarely() -> None:
    world = World(lambda i: [])
    world.run(25)
    assert [index for index, closely in world.detections if closely] == [0, 10, 20]
    assert [index for index, closely in world.detections if not closely] == list(range(25))
    lost = World(lambda i: [(200, 200)] if i < 12 else [])
    lost.run(20)
    assert [index for index, closely in lost.detections if closely] == [12, 13, 14]


def test_small_faces_are_looked_for_each_time_if_asked() -> None:
    world = World(lambda i: [(200, 200)])
    world.run(12, TrackerOptions(small_faces=True))
    assert world.detections == [(0, True), (10, True)]


def test_a_cut_starts_afresh() -> None:
    world = World(lambda i: [(200, 200)])
    seen = world.run(9, cuts=(4,))
    assert [frame.cut for frame in seen] == [index == 4 for index in range(9)]
    assert numbers(seen) == [[1]] * 4 + [[2]] * 5
    assert [index for index, _ in world.detections] == [0, 4]


def test_a_face_that_leaves_the_frame_ends() -> None:
    world = World(lambda i: [(850 + 40 * i, 200)])
    assert numbers(world.run(6)) == [[1], [1], [1], [], [], []]


def test_two_tracks_never_follow_one_face() -> None:
    """Two faces walk into each other and only one is left: one number ends."""
    world = World(lambda i: [(200 + 10 * i, 200), (600 - 10 * i, 200)] if i < 16 else [(400, 200)])
    seen = numbers(world.run(24, TrackerOptions(interval=10)))
    assert seen[0] == [1, 2]
    assert all(len(frame) == 1 for frame in seen[17:])


def test_the_overlap_that_makes_two_boxes_one_face_is_an_option() -> None:
    """The face jumps by 110 of its 215 pixels within the gap: an overlap of .32."""

    def faces(index: int) -> list[Spot]:
        return [] if index in (5, 6) else [(200, 200)] if index < 5 else [(310, 200)]

    assert numbers(World(faces).run(9))[-1] == [1]
    assert numbers(World(faces).run(9, TrackerOptions(score=0.4)))[-1] == [2]


def test_a_face_that_the_detector_does_not_see_is_followed_on() -> None:
    world = World(lambda i: [(200, 200)], seen_by_detector=lambda index: index == 0)
    assert numbers(world.run(25)) == [[1]] * 25
    assert world.detections == [(0, False), (10, False), (20, False)], "no closer look while it is followed"


def test_what_the_mesh_does_not_confirm_is_no_face() -> None:
    world = World(lambda i: [(200, 200)])
    world.still = lambda image, detection, least: None  # type: ignore[method-assign]
    assert numbers(world.run(3)) == [[]] * 3


def test_faces_carry_what_others_need() -> None:
    (face,) = World(lambda i: [(200, 200)]).run(1)[0].faces
    assert face.score == 0.9
    assert face.landmark_score == 1.0
    assert face.observed
    assert face.pose is not None
    assert face.landmarks.mesh is not None
    assert region_of_mesh(face.landmarks.mesh).x == pytest.approx(200, abs=0.5)


def test_regions_follow_what_was_seen_not_what_was_smoothed() -> None:
    world = World(lambda i: [(200 + 30 * i, 200)])
    assert numbers(world.run(20)) == [[1]] * 20


# The real networks.


def motion(time: float) -> tuple[float, float, float, float]:
    """Scale, angle in degrees, and shift in pixels."""
    return (
        1.0 + 0.2 * math.sin(time * 2.1),
        8 * math.sin(time * 2.7),
        50 * math.sin(time * 3.1),
        18 * math.cos(time * 3.7),
    )


def shown(portrait: Frame, centre: Spot, time: float, scale: float) -> tuple[Frame, np.ndarray]:
    """The portrait as a moving camera sees it, 480×360, and the matrix that moved it."""
    zoom, angle, dx, dy = motion(time)
    matrix = cv2.getRotationMatrix2D(centre, angle, zoom * scale)
    matrix[:, 2] += [240 - centre[0] + dx, 180 - centre[1] + dy]
    return cv2.warpAffine(portrait, matrix, (480, 360), borderMode=cv2.BORDER_REPLICATE).astype(
        np.uint8
    ), matrix


def noisy(frame: Frame, noise: np.random.Generator) -> Frame:
    return np.clip(frame + noise.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)


def measure(
    analyser: BuiltinAnalyser, portrait: Frame, smoothing: bool, frames: int = 45
) -> tuple[float, float]:
    """Tremble and error of a tracked face with known motion, per cent of the eye distance; its number must stay."""
    tracker = BuiltinAnalyser(
        analyser.store, analyser.runtime, tracker=TrackerOptions(smoothing=smoothing)
    ).tracker(30.0)
    still = analyser.faces(portrait)[0]
    assert still.landmarks.mesh is not None
    noise = np.random.default_rng(0)
    errors = []
    for index in range(frames):
        frame, matrix = shown(portrait, still.box.center, index / 30, 130 / still.box.height)
        observed = tracker.update(noisy(frame, noise), index)
        assert not observed.cut
        assert [face.track for face in observed.faces] == [1]
        mesh = observed.faces[0].landmarks.mesh
        assert mesh is not None
        true = still.landmarks.mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        errors.append((mesh[:, :2] - true) / np.linalg.norm(true[33] - true[263]) * 100)
    late = np.asarray(errors[5:])
    tremble = np.linalg.norm(np.diff(late, axis=0), axis=2).mean()
    return float(tremble), float(np.linalg.norm(late, axis=2).mean())


def test_a_moving_portrait_keeps_its_number_and_trembles_less(
    analyser: BuiltinAnalyser, astronaut: Frame
) -> None:
    raw_tremble, raw_error = measure(analyser, astronaut, smoothing=False)
    tremble, error = measure(analyser, astronaut, smoothing=True)
    assert tremble < 0.75 * raw_tremble
    assert error < 1.2 * raw_error
    assert error < 1.5


def two_people(astronaut: Frame, hopper: Frame, index: int) -> Frame:
    time = index / 30
    left, _ = shown(astronaut, (224, 122), time * 0.4, 1.1)
    right, _ = shown(hopper, (262, 232), time * 0.3 + 1, 0.6)
    return np.hstack([left, right])


def test_two_people_a_hidden_face_a_flash_and_a_cut(
    analyser: BuiltinAnalyser, astronaut: Frame, hopper: Frame
) -> None:
    tracker = analyser.tracker(30.0)
    numbers_seen, cuts = [], []
    for index in range(40):
        frame = two_people(astronaut, hopper, index)
        if 10 <= index < 16:
            frame[20:340, 120:360] = 90
        if index == 20:
            frame = np.clip(frame.astype(int) + 100, 0, 255).astype(np.uint8)
        if index >= 30:
            frame = np.ascontiguousarray(frame[:, ::-1])
        observed = tracker.update(frame, index)
        numbers_seen.append({face.track for face in observed.faces})
        cuts.append(observed.cut)
    assert numbers_seen[:10] == [{1, 2}] * 10
    assert all(len(seen) == 1 for seen in numbers_seen[10:16])
    assert numbers_seen[16:30] == [{1, 2}] * 14
    assert [index for index, cut in enumerate(cuts) if cut] == [30]
    assert numbers_seen[30:] == [{3, 4}] * 10


def test_the_same_frames_give_the_same_faces(analyser: BuiltinAnalyser, astronaut: Frame) -> None:
    frames = [shown(astronaut, (224, 122), index / 30, 1.1)[0] for index in range(6)]
    runs = []
    for _ in range(2):
        tracker = analyser.tracker(30.0)
        observed = [tracker.update(frame, index) for index, frame in enumerate(frames)]
        runs.append(np.stack([frame.faces[0].landmarks.sixty_eight for frame in observed]))
    np.testing.assert_array_equal(runs[0], runs[1])


def test_the_detector_rests_while_a_face_is_followed(analyser: BuiltinAnalyser, astronaut: Frame) -> None:
    detector = analyser.runtime.load(analyser.store.path("blazeface_full"))
    tracker = analyser.tracker(30.0)
    before = detector.runs
    for index in range(20):
        tracker.update(shown(astronaut, (224, 122), index / 30, 1.1)[0], index)
    assert detector.runs - before == 1
