"""Recogniser and classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.neural.classifier import Classifier
from mien.faces.neural.recogniser import Embedding, Recogniser, average
from tests.standins.face_analysis import BOX, FIVE


class Fixed:
    def __init__(self, *outputs: Any) -> None:
        self.outputs = [np.asarray(output) for output in outputs]
        self.fed: list[NDArray[Any]] = []

    def run(self, feeds: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        self.fed.append(feeds[0])
        return self.outputs


POINTS = FIVE * BOX + 200
BLUE = np.zeros((400, 400, 3), np.uint8)
BLUE[:, :, 0] = 255


def test_the_recogniser_is_fed_rgb_from_minus_one_to_one() -> None:
    session = Fixed(np.ones((1, 512)))
    embedding = Recogniser("arcface", session).embed(BLUE, POINTS)
    assert session.fed[0].shape == (1, 3, 112, 112)
    np.testing.assert_allclose(session.fed[0].mean(axis=(0, 2, 3)), [-1, -1, 1], atol=1e-6)
    assert embedding.raw.shape == (512,)
    assert np.linalg.norm(embedding.unit) == pytest.approx(1)


def test_distances_are_half_of_one_minus_cosine() -> None:
    one, same, other, opposite = (Embedding.of(v) for v in ([1, 0], [5, 0], [0, 2], [-1, 0]))
    assert one.distance(same) == pytest.approx(0)
    assert one.distance(other) == pytest.approx(0.5)
    assert one.distance(opposite) == pytest.approx(1)


def test_an_average_is_of_length_one_unless_compat() -> None:
    pair = [Embedding.of([2, 0]), Embedding.of([0, 4])]
    ours, theirs = average(pair), average(pair, compat=True)
    assert ours.raw.tolist() == theirs.raw.tolist() == [1, 2]
    np.testing.assert_allclose(ours.unit, [0.5**0.5] * 2, rtol=1e-6)
    np.testing.assert_allclose(theirs.unit, [0.5, 0.5])
    with pytest.raises(ValueError, match="no embedding"):
        average([])


@pytest.mark.parametrize(
    ("race", "gender", "age", "expected"),
    [
        (0, 0, 0, ("male", "white", range(0, 3))),
        (1, 1, 1, ("female", "black", range(3, 10))),
        (2, 0, 2, ("male", "latino", range(10, 20))),
        (3, 0, 3, ("male", "asian", range(20, 30))),
        (4, 0, 7, ("male", "asian", range(60, 70))),
        (5, 0, 8, ("male", "indian", range(70, 101))),
        (6, 0, 99, ("male", "arabic", range(70, 101))),
    ],
)
def test_classes_have_names(race: int, gender: int, age: int, expected: tuple[Any, ...]) -> None:
    session = Fixed([race], [gender], [age])
    person = Classifier("fairface", session).classify(BLUE, POINTS)
    assert (person.gender, person.race, person.age) == expected
    assert session.fed[0].shape == (1, 3, 224, 224)
    theirs = Classifier("fairface", session).classify(BLUE, POINTS, compat=True)
    assert theirs.age == range(expected[2].start, expected[2].stop - 1)


def test_other_models_are_refused() -> None:
    with pytest.raises(ModelCorrupt, match="arcface"):
        Recogniser("arcface", Fixed(np.ones((1, 128)))).embed(BLUE, POINTS)
    with pytest.raises(ModelCorrupt, match="fairface"):
        Classifier("fairface", Fixed([0], [0])).classify(BLUE, POINTS)
