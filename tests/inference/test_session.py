from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ModelCorrupt
from mien.inference.session import Counter, Expected, TensorSpec, arrange, in_words

F32 = np.dtype(np.float32)
PATH = Path("m.onnx")


def spec(*shape: int | None, name: str = "x") -> TensorSpec:
    return TensorSpec(name, shape, F32)


@pytest.mark.parametrize(
    ("own", "other", "fits"),
    [
        ((1, 3, 8, 8), (1, 3, 8, 8), True),
        ((1, 3, 8, 8), (1, 3, 8, 9), False),
        ((1, 3, 8, 8), (3, 8, 8), False),
        ((None, 3, None, None), (4, 3, 8, 9), True),
        ((None, 3, None, None), (4, 1, 8, 9), False),
        ((1, 3, 8, 8), (None, None, None, None), True),
        ((), (), True),
    ],
)
def test_fitting(own: tuple[int | None, ...], other: tuple[int | None, ...], fits: bool) -> None:
    assert spec(*own).fits(other) is fits


def test_batches() -> None:
    assert spec(None, 3).has_batch
    assert not spec(1, 3).has_batch
    assert not spec().has_batch


class Fake:
    runs = 0

    def __init__(self, inputs: tuple[TensorSpec, ...], outputs: int) -> None:
        self.inputs = inputs
        self.outputs = (spec(1),) * outputs

    def run(self, feeds: object) -> list[np.ndarray]:
        return []


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [((), 0), (((1, 3, 8, 8),), 2), (((None, 3, None, None), (1, 512)), 1)],
)
def test_a_model_of_the_expected_shape(inputs: tuple[tuple[int | None, ...], ...], outputs: int) -> None:
    session = Fake((spec(1, 3, 8, 8), spec(1, 512)), 2)
    Expected(inputs, outputs).check(session, PATH)
    assert session.runs == 0


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        (((1, 3, 9, 9),), 1, r"m\.onnx takes 1×3×8×8 as 'x' where 1×3×9×9 is needed"),
        (((1, 3, 8, 8),), 3, "has 2 inputs and 2 outputs where 1 and 3 are needed"),
        (((1, 3, 8, 8), (1, 512), (1,)), 1, "where 3 and 1 are needed"),
    ],
)
def test_a_model_of_another_shape(
    inputs: tuple[tuple[int | None, ...], ...], outputs: int, words: str
) -> None:
    with pytest.raises(ModelCorrupt, match=words):
        Expected(inputs, outputs).check(Fake((spec(1, 3, 8, 8), spec(1, 512)), 2), PATH)


def test_arranging_keeps_what_fits_already() -> None:
    x = np.zeros((1, 4), np.float32)
    assert arrange([x], [spec(1, 4)], PATH)[0] is x


def test_single_numbers_stay_single_numbers() -> None:
    (weight,) = arrange([np.float64(0.5)], [TensorSpec("weight", (), F32)], PATH)
    assert (weight.shape, weight.dtype) == ((), F32)


def test_counting_from_many_threads() -> None:
    counter = Counter()
    threads = [threading.Thread(target=lambda: [counter.add() for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == 8000


def test_shapes_in_words() -> None:
    assert in_words((1, None, 3)) == "1×?×3"
    assert in_words(()) == "a single number"
