import numpy as np
import pytest

from mien.faces.neural.recogniser import Embedding
from mien.processors.neural_swap.source import (
    Kind,
    by_matrix,
    by_network,
    by_unit,
    identity_of,
    share_of_target,
)

SOURCE = Embedding.of(np.linspace(-1, 2, 512))
TARGET = Embedding.of(np.cos(np.arange(512)) * 3)


def never() -> Embedding:
    raise AssertionError("the target's embedding is not needed")


@pytest.mark.parametrize(("weight", "share"), [(0.0, 0.35), (0.5, 0.0), (1.0, -0.35), (0.25, 0.175)])
def test_weight_scale(weight: float, share: float) -> None:
    assert share_of_target(weight) == pytest.approx(share)


def test_half_weight_is_the_source_alone_and_asks_for_no_target() -> None:
    identity = identity_of("hyperswap", SOURCE, by_unit, 0.5, compat=False)
    assert np.array_equal(identity.against(never), SOURCE.unit[None])


@pytest.mark.parametrize("compat", [False, True])
def test_hyperswap_mixes_unit_vectors(compat: bool) -> None:
    mixed = identity_of("hyperswap", SOURCE, by_unit, 0.0, compat=compat).against(lambda: TARGET)
    assert np.allclose(mixed, SOURCE.unit * 0.65 + TARGET.unit * 0.35, atol=1e-6)
    assert mixed.shape == (1, 512)
    assert mixed.dtype == np.float32


@pytest.mark.parametrize(("kind", "plain"), [("ghost", TARGET.raw), ("simswap", TARGET.unit)])
def test_compat_mixes_the_plain_target_and_the_default_the_converted_one(
    kind: Kind, plain: np.ndarray
) -> None:
    convert = by_network(lambda vector: vector * 2 + 1, unit=False)
    source = convert(SOURCE)
    as_upstream = identity_of(kind, SOURCE, convert, 1.0, compat=True).against(lambda: TARGET)
    better = identity_of(kind, SOURCE, convert, 1.0, compat=False).against(lambda: TARGET)
    assert np.allclose(as_upstream, source * 1.35 - plain * 0.35, atol=1e-4)
    assert np.allclose(better, source * 1.35 - convert(TARGET) * 0.35, atol=1e-4)


def test_converter_output_is_brought_to_length_one_where_asked() -> None:
    assert np.linalg.norm(by_network(lambda vector: vector * 5, unit=True)(SOURCE)) == pytest.approx(1)
    assert np.linalg.norm(by_network(lambda vector: vector * 5, unit=False)(SOURCE)) > 2


def test_matrix_projection_divides_by_the_length_of_the_embedding() -> None:
    matrix = np.eye(512, dtype=np.float32) * 2
    assert np.allclose(by_matrix(matrix)(SOURCE), SOURCE.unit[None] * 2, atol=1e-6)
