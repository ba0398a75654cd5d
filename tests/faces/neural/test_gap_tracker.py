from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mien.faces.neural.analyser import NeuralAnalyser
from mien.faces.neural.networks import Networks
from mien.faces.neural.tracker import blend, follow, follow_analyses
from mien.types import Box, Face, Landmarks
from tests.standins.face_analysis import draw_face, shape_68


def face(x: float, score: float = 0.9) -> Face:
    marks = (shape_68() * 10 + (x, 0)).astype(np.float32)
    five = marks[:5]
    return Face(Box(x, 0, x + 10, 10), score, Landmarks(five, five, marks, marks), landmark_score=score)


def middle(*window: tuple[Face, ...], score: float = 0.3, compat: bool = False) -> list[Box]:
    return [item.face.box for item in follow(window, score, compat=compat)]


def test_a_gap_is_filled_between_two_faces() -> None:
    assert middle((face(0),), (), (), (), (face(4),)) == [Box(2, 0, 12, 10)]


def test_far_faces_are_not_one() -> None:
    assert middle((face(0),), (), (), (), (face(40),)) == []


def test_a_gap_needs_both_ends() -> None:
    assert middle((face(0),), (face(0),), (), (), ()) == []
    assert middle((), (), (), (face(0),), ()) == []


def test_a_face_that_is_there_stays_as_it_is() -> None:
    here = face(1)
    (item,) = follow([(face(0),), (here,), (face(2),)], 0.3)
    assert item.face is here
    assert item.index == 1


def test_faces_come_in_the_order_of_their_tracks() -> None:
    assert middle((face(50),), (face(1), face(50)), (face(1), face(51))) == [
        Box(50, 0, 60, 10),
        Box(1, 0, 11, 10),
    ]


def test_only_the_reference_merges_two_faces_of_one_frame() -> None:
    pair = (face(0), face(3))
    assert middle(pair) == [Box(0, 0, 10, 10), Box(3, 0, 13, 10)]
    assert middle(pair, compat=True) == [Box(3, 0, 13, 10)]


@pytest.mark.parametrize(("share", "score"), [(0.25, 0.6), (0.5, 0.8), (0.75, 0.8)])
def test_a_blend_has_the_scores_of_the_nearer_face(share: float, score: float) -> None:
    mixed = blend(face(0, 0.6), face(8, 0.8), share)
    assert mixed.box.x1 == pytest.approx(8 * share)
    assert (mixed.score, mixed.landmark_score, mixed.observed) == (score, score, False)
    for points in (mixed.landmarks.sixty_eight, mixed.landmarks.sixty_eight_of_five):
        np.testing.assert_allclose(points, shape_68() * 10 + (8 * share, 0), atol=1e-5)
    assert mixed.landmarks.five.dtype == np.float32


@pytest.mark.parametrize(("gap", "owner"), [(1, 0), (2, 4), (3, 4)])
def test_a_filled_face_has_the_identity_of_the_nearer_one(gap: int, owner: int) -> None:
    window: list[Any] = [(), (), (), (), (), (), ()]
    window[3 - gap], window[3 - gap + 4] = (face(0),), (face(1),)
    (item,) = follow(window, 0.3)
    assert item.index == 3 - gap + owner
    assert item.original is window[item.index][0]


def test_analyses_know_the_faces_filled_in(standins: Networks) -> None:
    analyser = NeuralAnalyser(standins)
    images = [np.full((640, 640, 3), 40, np.uint8) for _ in range(3)]
    draw_face(images[0], (176, 208))
    draw_face(images[2], (176, 208), tint=90)
    window = [analyser.analyse(image) for image in images]
    (found,) = follow_analyses(window, 0.3)
    assert not found.observed
    nearer = window[2].embedding(window[2].faces[0])
    assert window[1].embedding(found) is nearer
    assert window[1].attributes(found) is window[2].attributes(window[2].faces[0])
    assert follow_analyses([None, window[1], window[2]], 0.3) == ()
