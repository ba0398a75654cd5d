"""Faces followed between the frames that the networks look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
from mien.faces.neural.analyser import Analysis, NeuralAnalyser, Setup
from mien.faces.neural.following import Following, Seen
from mien.faces.neural.networks import Networks
from mien.inference.session import Session
from mien.types import Face, Frame
from tests.standins.face_analysis import draw_face

SIZE = (640, 640)
EVERY = 4


def backdrop(seed: int) -> Frame:
    """Grey texture: no face, and something for the eye to hold on to."""
    small = np.random.default_rng(seed).integers(60, 120, (40, 40), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(cv2.resize(small, SIZE), cv2.COLOR_GRAY2BGR), np.uint8)


def scene(*people: tuple[float, float], seed: int = 1) -> Frame:
    """Freckled faces before a backdrop."""
    image = backdrop(seed)
    for number, (x, y) in enumerate(people):
        center = round(x), round(y)
        draw_face(image, center, 40 * number)
        for dx, dy in np.random.default_rng(number).integers(-45, 45, (60, 2)):
            cv2.circle(image, (center[0] + int(dx), center[1] + int(dy)), 4, (0, 160, 0), -1)
    return image


@pytest.fixture
def analyser(standins: Networks) -> NeuralAnalyser:
    return NeuralAnalyser(standins, Setup())


@pytest.fixture
def counts(standins: Networks) -> Callable[[], dict[str, int]]:
    """What ran since the test began."""
    names = ("yoloface_8n", "2dfan4", "arcface_w600k_r50", "fairface")
    sessions: dict[str, Session] = {name: standins.open(name) for name in names}  # type: ignore[misc]
    before = {name: session.runs for name, session in sessions.items()}
    return lambda: {name: session.runs - before[name] for name, session in sessions.items()}


def everybody(analysis: Analysis) -> Sequence[Face]:
    return analysis.faces


def follow(analyser: NeuralAnalyser, frames: Sequence[Frame], select: object = everybody) -> list[Seen]:
    following = Following(analyser, select, EVERY)  # type: ignore[arg-type]
    return [following.see(frame, index) for index, frame in enumerate(frames)]


def test_networks_look_at_some_frames_only(
    analyser: NeuralAnalyser, counts: Callable[[], dict[str, int]]
) -> None:
    seen = follow(analyser, [scene((200 + 2 * n, 300)) for n in range(2 * EVERY + 1)])
    assert [frame.is_key for frame in seen] == [n % EVERY == 0 for n in range(len(seen))]
    assert all(len(frame.settle()) == 1 for frame in seen)
    assert counts()["yoloface_8n"] == 3
    assert counts()["2dfan4"] == 0
    assert all(frame.settle()[0].landmarks.sixty_eight.shape == (68, 2) for frame in seen)
    assert counts()["2dfan4"] == 3


def test_a_face_moves_smoothly_between_key_frames(analyser: NeuralAnalyser) -> None:
    seen = follow(analyser, [scene((200 + 8 * n, 300)) for n in range(2 * EVERY + 1)])
    x = [frame.settle()[0].landmarks.five_of_68[:, 0].mean() for frame in seen]
    x_keys = [x[0], x[EVERY], x[2 * EVERY]]
    expected = np.interp(range(len(seen)), range(0, len(seen), EVERY), x_keys)
    assert np.abs(np.array(x) - expected).max() < 3


def test_who_a_face_is_is_asked_once_for_each_track(
    analyser: NeuralAnalyser, counts: Callable[[], dict[str, int]]
) -> None:
    seen = follow(analyser, [scene((200, 300), (450, 300)) for _ in range(2 * EVERY)])
    embeddings = [[frame.analysis.embedding(face) for face in frame.settle()] for frame in seen]
    assert counts()["arcface_w600k_r50"] == 2
    assert all(pair[0] is embeddings[0][0] and pair[1] is embeddings[0][1] for pair in embeddings)
    assert counts()["fairface"] == 0


def test_a_cut_starts_afresh(analyser: NeuralAnalyser, counts: Callable[[], dict[str, int]]) -> None:
    other = np.full_like(backdrop(1), 250)
    draw_face(other, (200, 300))
    frames = [scene((200, 300))] * (EVERY + 1) + [other] * 2
    seen = follow(analyser, frames)
    assert [frame.cut for frame in seen] == [False] * (EVERY + 1) + [True, False]
    assert seen[EVERY + 1].is_key
    first, second = (frame.analysis.embedding(frame.settle()[0]) for frame in (seen[0], seen[-1]))
    assert first is not second
    assert counts()["arcface_w600k_r50"] == 2


def test_a_gap_ends_a_track_and_is_looked_into(
    analyser: NeuralAnalyser, counts: Callable[[], dict[str, int]]
) -> None:
    there, away = scene((200, 300)), scene()
    seen = follow(analyser, [there] * EVERY + [away] * EVERY + [there] * 2)
    assert [len(frame.settle()) for frame in seen] == [1] * EVERY + [0] * EVERY + [1] * 2
    first, second = (frame.analysis.embedding(frame.settle()[0]) for frame in (seen[0], seen[-1]))
    assert first is not second


def test_a_face_that_comes_in_between_is_followed_back(analyser: NeuralAnalyser) -> None:
    seen = follow(analyser, [scene()] * 2 + [scene((300, 300))] * 3)
    assert [frame.is_key for frame in seen] == [True, False, False, False, True]
    assert [len(frame.settle()) for frame in seen] == [0, 0, 1, 1, 1]


def test_only_chosen_faces_are_followed(analyser: NeuralAnalyser) -> None:
    seen = follow(
        analyser,
        [scene((150, 300), (450, 300))] * EVERY,
        lambda analysis: [face for face in analysis.faces if face.box.x1 > 300],
    )
    assert [[face.box.x1 > 300 for face in frame.settle()] for frame in seen] == [[True]] * EVERY


def test_people_who_come_near_each_other_are_asked_again(
    analyser: NeuralAnalyser, counts: Callable[[], dict[str, int]]
) -> None:
    far, near = scene((200, 300), (400, 300)), scene((264, 300), (312, 300))
    steps = [scene((200 + 16 * n, 300), (400 - 22 * n, 300)) for n in range(1, 4)]
    seen = follow(analyser, [far, *steps, near])
    assert [len(frame.settle()) for frame in (seen[0], seen[-1])] == [2, 1]
    for frame in seen:
        for face in frame.settle():
            frame.analysis.embedding(face)
    assert counts()["arcface_w600k_r50"] == 3
