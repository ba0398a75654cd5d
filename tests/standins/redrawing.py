"""Stand-ins for networks that redraw crops and frames: tiny ONNX graphs of the right names and shapes.

What each does is simple enough to be foretold by a test: enlarge a blurred picture, add a colour, lighten by an age.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.standins.face_analysis import Graph

BLUR = 5
"""Side of the blur of an enlarger; beyond the tile it sees black."""


def save(graph: Graph, path: Path, inputs: Mapping[str, Sequence[Any]], *outputs: str) -> Path:
    """Write a graph with any number of float inputs; outputs are names of nodes."""
    made = [graph("Identity", name) for name in outputs]
    net = helper.make_graph(
        graph.nodes,
        "standin",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in made],
        graph.constants,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(net, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def enlarger(path: Path, scale: int, *, batch: bool = False, blurs: bool = True) -> Path:
    """Each pixel becomes scale×scale; blurred before, as a real network mixes neighbours."""
    graph = Graph()
    blurred = "input"
    if blurs:
        around = {"kernel_shape": [BLUR, BLUR], "pads": [BLUR // 2] * 4, "count_include_pad": 1}
        blurred = graph("AveragePool", "input", **around)
    factors = np.array([1, 1, scale, scale], np.float32)
    large = graph("Resize", blurred, "", factors, mode="nearest", nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric")  # fmt: skip
    return save(graph, path, {"input": ["batch" if batch else 1, 3, "height", "width"]}, large)


def ddcolor(path: Path, a: float, b: float) -> Path:
    """The same a and b of Lab everywhere."""
    graph = Graph()
    zero = graph("Mul", graph("ReduceMean", "input", axes=[1], keepdims=1), 0.0)
    planes = graph("Concat", graph("Add", zero, float(a)), graph("Add", zero, float(b)), axis=1)
    return save(graph, path, {"input": [1, 3, "height", "width"]}, planes)


def deoldify(path: Path, factors: Sequence[float] = (1.0, 1.0, 1.0)) -> Path:
    """Grey times a factor for red, green and blue."""
    graph = Graph()
    drawn = graph("Mul", "input", np.reshape(factors, (1, 3, 1, 1)))
    return save(graph, path, {"input": [1, 3, "height", "width"]}, drawn)


def fran(path: Path) -> Path:
    """Red is the age that is wanted, green the age now, blue is 0."""
    graph = Graph()
    nothing = graph("Mul", graph("ReduceMean", "target", axes=[1], keepdims=1), 0.0)
    ages = [graph("Gather", "direction", np.array(index), axis=0) for index in (1, 0)]
    planes = [graph("Add", nothing, age) for age in ages]
    drawn = graph("Concat", *planes, nothing, axis=1)
    return save(graph, path, {"target": [1, 3, 1024, 1024], "direction": [2]}, drawn)


def styleganex(path: Path) -> Path:
    """The larger crop four times as large, lighter by a tenth of the direction."""
    graph = Graph()
    lit = graph("Add", "target_with_background", graph("Mul", "direction", 0.1))
    nothing = graph("Mul", graph("ReduceMean", "target", keepdims=1), 0.0)
    large = graph("Resize", graph("Add", lit, nothing), "", np.array([1, 1, 4, 4], np.float32), mode="linear")
    shapes = {"target": [1, 3, 256, 256], "target_with_background": [1, 3, 384, 384], "direction": []}
    return save(graph, path, shapes, large)


def dfm(path: Path, side: int, *, morphs: bool = True, mask: float = 1.0) -> Path:
    """A green face as bright as the crop; with a morph value, that much of it."""
    graph = Graph()
    mean = graph("ReduceMean", "in_face:0", axes=[3], keepdims=1)
    share = "morph_value:0" if morphs else graph.constant([1.0])
    green = graph("Mul", mean, np.array([0.0, 1.0, 0.0]))
    face = graph("Add", graph("Mul", green, share), graph("Mul", "in_face:0", graph("Sub", 1.0, share)))
    cover = graph("Add", graph("Mul", mean, 0.0), mask)
    inputs: dict[str, Sequence[Any]] = {"in_face:0": [1, side, side, 3]}
    if morphs:
        inputs["morph_value:0"] = [1]
    other = graph("Identity", cover)
    return save(graph, path, inputs, cover, face, other)
