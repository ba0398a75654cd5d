from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.errors import ModelCorrupt
from mien.inference.initializers import last_initializer


def write(path: Path, *arrays: np.ndarray) -> Path:
    constants = [numpy_helper.from_array(array, f"c{index}") for index, array in enumerate(arrays)]
    nodes = [helper.make_node("Identity", ["input"], ["output"])]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [tensor("input", TensorProto.FLOAT, [1])],
        [tensor("output", TensorProto.FLOAT, [1])],
        constants,
    )
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_reads_the_last_of_several(tmp_path: Path, dtype: type) -> None:
    wanted = np.arange(12, dtype=dtype).reshape(3, 4) / 8
    path = write(tmp_path / "m.onnx", np.ones(5, np.float32), np.ones((2, 300), np.int64), wanted)
    found = last_initializer(path)
    assert found.dtype == np.float32
    assert np.array_equal(found, wanted.astype(np.float32))


def test_reads_numbers_that_are_not_raw_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.initializer.append(helper.make_tensor("c", TensorProto.FLOAT, [2, 2], [1.0, 2.0, 3.0, 4.5]))
    onnx.save(model, path)
    assert last_initializer(path).tolist() == [[1.0, 2.0], [3.0, 4.5]]


@pytest.mark.parametrize(
    "content", [b"", b"not a model at all", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
)
def test_refuses_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"m\.onnx has no matrix"):
        last_initializer(path)


def test_refuses_a_last_constant_of_whole_numbers(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt):
        last_initializer(write(tmp_path / "m.onnx", np.arange(4)))
