"""Stand-ins for networks that edit faces, hear voices and find foregrounds: tiny ONNX graphs, any machine.

What each does can be foretold: a generator draws the picture that it was given, lighter by four times how far the
key-points moved; a lip network lightens the face by the loudness of what it hears; a voice network lets half of
everything through; a matte is how green a picture is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.standins.face_analysis import Graph

POINTS = np.random.default_rng(5).normal(0, 0.2, (1, 21, 3)).astype(np.float32)
ANGLES = (4.0, -3.0, 2.0)


def _save(path: Path, graph: Graph, inputs: Mapping[str, Sequence[Any]], *outputs: str) -> None:
    made = helper.make_graph(
        graph.nodes,
        path.stem,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(size)) for name, size in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        graph.constants,
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)


def _mean(graph: Graph, name: str) -> str:
    """The mean of all values, as a single number without dimensions."""
    return graph("Squeeze", graph("ReduceMean", graph("Reshape", name, [-1]), keepdims=1), [0])


def _features(folder: Path) -> None:
    graph = Graph()
    small = graph("AveragePool", "input", kernel_shape=[4, 4], strides=[4, 4])
    pick = np.zeros((512, 3, 1, 1))
    pick[np.arange(512), np.arange(512) % 3] = 1
    volume = graph("Reshape", graph("Conv", small, pick), [1, 32, 16, 64, 64])
    path = folder / "live_portrait_feature_extractor.onnx"
    _save(path, graph, {"input": [1, 3, 256, 256]}, volume)


def _motion(folder: Path) -> None:
    graph = Graph()
    mean = _mean(graph, "input")
    still = graph("Mul", mean, 0.0)
    angles = [graph("Add", still, angle) for angle in ANGLES]
    expression = graph("Mul", np.full((1, 21, 3), 0.01), mean)
    rest = [graph("Add", still, value) for value in (np.ones(1), np.zeros((1, 1, 3)))]
    points = graph("Add", still, POINTS)
    path = folder / "live_portrait_motion_extractor.onnx"
    _save(path, graph, {"input": [1, 3, 256, 256]}, *angles, *rest, expression, points)


def _generator(folder: Path) -> None:
    graph = Graph()
    planes = graph("Reshape", "feature_volume", [1, 512, 64, 64])
    colors = graph("Slice", planes, [0], [3], [1])
    large = graph("Resize", colors, "", np.array([1, 1, 8, 8], np.float32), mode="nearest")
    moved = graph("Mul", _mean(graph, graph("Abs", graph("Sub", "source", "target"))), 4.0)
    shapes = {"feature_volume": [1, 32, 16, 64, 64], "source": [1, 21, 3], "target": [1, 21, 3]}
    _save(folder / "live_portrait_generator.onnx", graph, shapes, graph("Add", large, moved))


def _stitcher(folder: Path) -> None:
    graph = Graph()
    corrected = graph("Add", graph("Mul", "source", 0.75), graph("Mul", "target", 0.25))
    _save(
        folder / "live_portrait_stitcher.onnx",
        graph,
        {"source": [1, 21, 3], "target": [1, 21, 3]},
        corrected,
    )


def _retargeter(folder: Path, part: str, length: int) -> None:
    graph = Graph()
    weights = np.zeros((length, 63))
    weights[-1] = 0.1
    path = folder / f"live_portrait_{part}_retargeter.onnx"
    _save(path, graph, {"input": [1, length]}, graph("MatMul", "input", weights))


def _wav2lip(path: Path) -> None:
    graph = Graph()
    seen = graph("Slice", "target", [3], [6], [1])
    drawn = graph("Add", seen, graph("Mul", _mean(graph, "source"), 0.04))
    _save(path, graph, {"source": [1, 1, 80, 16], "target": [1, 6, 96, 96]}, drawn)


def _edtalk(path: Path) -> None:
    graph = Graph()
    heard = graph("Mul", graph("Mul", _mean(graph, "source"), 0.04), graph("Squeeze", "weight", [0]))
    shapes = {"source": [1, 1, 80, 16], "target": [1, 3, 256, 256], "weight": [1]}
    _save(path, graph, shapes, graph("Add", "target", heard))


def _voice(path: Path) -> None:
    graph = Graph()
    _save(path, graph, {"input": ["batch", 4, 3072, 256]}, graph("Mul", "input", 0.5))


def _green(path: Path, size: int) -> None:
    """The matte of a picture fed as it is: 1 where it is green."""
    graph = Graph()
    matte = graph("Conv", "input", np.reshape([-1.0, 1.0, -1.0], (1, 3, 1, 1)))
    _save(path, graph, {"input": [1, 3, size, size]}, matte)


def _clothes(path: Path, size: int) -> None:
    """Class 2 where the picture is green, else class 0."""
    graph = Graph()
    weights = np.zeros((4, 3, 1, 1))
    weights[2, :, 0, 0] = (-1, 1, -1)
    scores = graph("Conv", "input", weights, np.array([3.0, -9, 0, -9]))
    _save(path, graph, {"input": [1, 3, size, size]}, scores)


def _corridor(path: Path, size: int) -> None:
    """The coarse matte as it came in, and a foreground that is plain red."""
    graph = Graph()
    matte = graph("Slice", "input", [3], [4], [1])
    still = graph("Mul", graph("Slice", "input", [0], [3], [1]), 0.0)
    front = graph("Add", still, np.reshape([1.0, 0.0, 0.0], (1, 3, 1, 1)))
    _save(path, graph, {"input": [1, 4, size, size]}, matte, front)


def write_talking(folder: Path) -> None:
    """Write all of them, under the file names of the models that they stand for."""
    for make in (_features, _motion, _generator, _stitcher):
        make(folder)
    _retargeter(folder, "eye", 66)
    _retargeter(folder, "lip", 65)
    for name in ("wav2lip_96", "wav2lip_gan_96"):
        _wav2lip(folder / f"{name}.onnx")
    _edtalk(folder / "edtalk_256.onnx")
    for name in ("kim_vocal_1", "kim_vocal_2", "uvr_mdxnet"):
        _voice(folder / f"{name}.onnx")
    _green(folder / "ormbg.onnx", 1024)
    _clothes(folder / "u2net_cloth.onnx", 768)
    _corridor(folder / "corridor_key_1024.onnx", 1024)
