"""Stand-ins for the networks of face analysis: tiny ONNX graphs of the right names and shapes, for any machine.

They see green: a face is a green disc (``draw_face``), a detector pools greenness over cells of 32 pixels and claims
a box of fixed size round each green one, a landmarker lays a fixed shape over its crop. Enough to walk every path of
the code; they say nothing about real faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mien.faces.align import TEMPLATES

Array = NDArray[Any]

CELL = 32
BOX = (128.0, 160.0)
"""Width and height of the box that a detector claims, in pixels of its input."""
# Eyes, nose, mouth corners, from the centre of the box, as shares of its width and height.
FIVE = np.array([[-0.2, -0.12], [0.2, -0.12], [0.0, 0.06], [-0.15, 0.22], [0.15, 0.22]])
GREEN_OF_BGR = (-0.5, 1.0, -0.5)


def draw_face(image: NDArray[np.uint8], center: tuple[int, int], tint: int = 0) -> None:
    """Draw what these detectors take for a face: a green disc 128 pixels wide; ``tint`` tells people apart."""
    cv2.ellipse(image, center, (64, 80), 0, 0, 360, (tint, 255, tint // 2), -1)


def shape_68() -> Array:
    """A schematic face of 68 points in the unit square, in iBUG/300-W order."""
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.42 * np.cos(turn), 0.4 + 0.55 * np.sin(turn)], axis=1)
    brow = np.stack([np.linspace(-0.1, 0.1, 5), -0.03 * np.cos(np.linspace(-1.5, 1.5, 5))], axis=1)
    ridge = np.stack([np.full(4, 0.5), np.linspace(0.4, 0.58, 4)], axis=1)
    nostrils = np.stack([np.linspace(0.42, 0.58, 5), np.full(5, 0.63)], axis=1)
    corner = np.arange(6) * np.pi / 3 + np.pi
    eye = np.stack([0.06 * np.cos(corner), 0.025 * np.sin(corner)], axis=1)
    round12, round8 = (np.arange(count) * 2 * np.pi / count + np.pi for count in (12, 8))
    lips = np.stack([0.14 * np.cos(round12), 0.06 * np.sin(round12)], axis=1)
    inner = np.stack([0.1 * np.cos(round8), 0.02 * np.sin(round8)], axis=1)
    parts = [jaw, brow + (0.3, 0.3), brow + (0.7, 0.3), ridge, nostrils]
    parts += [eye + (0.32, 0.4), eye + (0.68, 0.4), lips + (0.5, 0.78), inner + (0.5, 0.78)]
    return np.concatenate(parts)


class Graph:
    """Collects nodes and constants of one ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any) -> str:
        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node; inputs that are not names become constants."""
        names = [item if isinstance(item, str) else self.constant(item) for item in inputs]
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], **attributes))
        return name

    def save(self, path: Path, shape: Sequence[Any], outputs: Sequence[str], ints: bool = False) -> None:
        """Write the model: one float input called ``input``, outputs in order."""
        kind = TensorProto.INT64 if ints else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(shape))],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        onnx.save(model, path)


def _greenness(graph: Graph, scale: float, cell: int) -> str:
    """Greenness (0 to 1) of cells and their neighbours, of planar BGR of any scale; 0 but for the peaks."""
    weights = np.reshape(GREEN_OF_BGR, (1, 3, 1, 1)) * scale
    green = graph("Conv", "input", weights)
    cells = graph("AveragePool", green, kernel_shape=[cell, cell], strides=[cell, cell])
    around = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    smooth = graph("AveragePool", cells, count_include_pad=1, **around)
    is_peak = graph("Equal", smooth, graph("MaxPool", smooth, **around))
    return graph("Mul", smooth, graph("Cast", is_peak, to=TensorProto.FLOAT))


def _yolo(path: Path) -> None:
    graph, cells = Graph(), 640 // CELL
    score = graph("Reshape", _greenness(graph, 1.0, CELL), [1, 1, cells * cells])
    y, x = (np.mgrid[:cells, :cells] + 0.5).reshape(2, -1) * CELL
    still = np.ones_like(x)
    box = np.stack([x, y, still * BOX[0], still * BOX[1]])[None]
    points = [row for dx, dy in FIVE * BOX for row in (x + dx, y + dy, still)]
    table = graph("Concat", box, score, np.stack(points)[None], axis=1)
    output = graph("Concat", np.zeros((1, 20, 8000)), table, axis=2)
    graph.save(path, [1, 3, 640, 640], [output])


def _distances(path: Path) -> None:
    graph = Graph()
    middle, half = np.array([CELL / 2, CELL / 2]), np.array(BOX) / 2
    box = np.concatenate([half - middle, half + middle]) / CELL
    points = (FIVE * BOX + middle).ravel() / CELL
    levels = []
    for stride in (8, 16, 32):
        cells = graph("Reshape", _greenness(graph, 128 / 255 if stride == CELL else 0.0, stride), [-1, 1])
        scores = graph("Reshape", graph("Concat", cells, graph("Mul", cells, 0.9), axis=1), [-1, 1])
        nothing = graph("Mul", scores, 0.0)
        levels.append((scores, graph("Add", nothing, box[None]), graph("Add", nothing, points[None])))
    graph.save(path, [1, 3, "height", "width"], [part for kind in zip(*levels, strict=True) for part in kind])


def _yunet(path: Path) -> None:
    graph = Graph()
    box = np.array([0.5, 0.5, *np.log(np.array(BOX) / CELL)])
    points = (FIVE * BOX / CELL + 0.5).ravel()
    levels = []
    for stride in (8, 16, 32):
        scores = graph("Reshape", _greenness(graph, 1 / 255 if stride == CELL else 0.0, stride), [1, -1, 1])
        nothing = graph("Mul", scores, 0.0)
        sure = graph("Add", nothing, 1.0)
        levels.append((scores, sure, graph("Add", nothing, box), graph("Add", nothing, points)))
    graph.save(path, [1, 3, 640, 640], [part for kind in zip(*levels, strict=True) for part in kind])


def _certainty(graph: Graph) -> str:
    """1 for a bright crop, towards 0 for a black one; a single number."""
    mean = graph("ReduceMean", "input", keepdims=0)
    return graph("Clip", graph("Mul", mean, 8.0), 0.0, 1.0)


def _points_64() -> Array:
    """The shape as it sits in a landmarker's crop, in cells of the 64×64 grid."""
    return 32 + (shape_68() - 0.5) * 48


def _fan(path: Path) -> None:
    graph = Graph()
    certainty = _certainty(graph)
    points = np.concatenate([_points_64(), np.ones((68, 1))], axis=1)[None]
    landmarks = graph("Mul", points, graph("Add", graph("Mul", certainty, 0.0), 1.0))
    heatmaps = graph("Mul", np.ones((1, 68, 64, 64)), certainty)
    graph.save(path, [1, 3, 256, 256], [landmarks, heatmaps])


def _peppa(path: Path) -> None:
    graph = Graph()
    share = graph("Expand", _certainty(graph), [1, 68, 1])
    rows = graph("Concat", _points_64()[None], share, axis=2)
    graph.save(path, [1, 3, 256, 256], [graph("Reshape", rows, [1, 204])])


def _estimate(path: Path) -> None:
    graph = Graph()
    centre = TEMPLATES["ffhq_512"].mean(axis=0)
    moved = graph("ReduceMean", graph("Sub", "input", TEMPLATES["ffhq_512"][None]), axes=[1], keepdims=1)
    shape = (shape_68() - (0.5, 0.55)) * 0.6 + centre
    graph.save(path, [1, 5, 2], [graph("Add", moved, shape[None])])


def _pooled(graph: Graph, size: int) -> str:
    """Means of a grid of 7×7 cells, as one row of 147."""
    cell = size // 7
    cells = graph("AveragePool", "input", kernel_shape=[cell, cell], strides=[cell, cell])
    return graph("Reshape", cells, [-1, 147])


def _arcface(path: Path) -> None:
    graph = Graph()
    weights = np.random.default_rng(1).normal(size=(147, 512))
    graph.save(path, ["batch", 3, 112, 112], [graph("MatMul", _pooled(graph, 112), weights)])


def _fairface(path: Path) -> None:
    graph, rng = Graph(), np.random.default_rng(2)
    pooled = _pooled(graph, 224)
    scores = [graph("MatMul", pooled, rng.normal(size=(147, classes))) for classes in (7, 2, 9)]
    outputs = [graph("ArgMax", score, axis=1, keepdims=0) for score in scores]
    graph.save(path, [1, 3, 224, 224], outputs, ints=True)


def _xseg(path: Path) -> None:
    """Blue hides the face."""
    graph = Graph()
    blue = graph("MatMul", "input", np.array([[3.0], [-3.0], [0.0]]))
    graph.save(path, [1, 256, 256, 3], [graph("Sub", 1.0, graph("Clip", blue, 0.0, 1.0))])


def _bisenet(path: Path) -> None:
    """Green is skin, red is mouth, the rest is background."""
    graph = Graph()
    weights, bias = np.zeros((19, 3, 1, 1)), np.full(19, -9.0)
    weights[1, :, 0, 0], weights[11, :, 0, 0] = (-1, 2, -1), (2, -1, -1)
    bias[[0, 1, 11]] = (1, 0, 0)
    graph.save(path, [1, 3, 512, 512], [graph("Conv", "input", weights, bias)])


BUILDERS = {
    "yoloface_8n": _yolo,
    "retinaface_10g": _distances,
    "scrfd_2.5g": _distances,
    "yunet_2023_mar": _yunet,
    "2dfan4": _fan,
    "peppa_wutz": _peppa,
    "fan_68_5": _estimate,
    "arcface_w600k_r50": _arcface,
    "fairface": _fairface,
    "xseg_1": _xseg,
    "xseg_2": _xseg,
    "xseg_3": _xseg,
    "bisenet_resnet_18": _bisenet,
    "bisenet_resnet_34": _bisenet,
}


def write_standins(folder: Path) -> None:
    """Write all of them, under the file names of the models that they stand for."""
    for stem, builder in BUILDERS.items():
        builder(folder / f"{stem}.onnx")
