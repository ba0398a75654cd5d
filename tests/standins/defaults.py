"""Stand-ins for the network that each processor takes when no model is named: enough for whole runs of all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.standins.face_analysis import Graph, write_standins
from tests.standins.redrawing import ddcolor, dfm, enlarger, fran, save
from tests.standins.talking import write_talking


def write_defaults(folder: Path) -> None:
    """Write them, and those for face analysis, under the file names of the models that they stand for."""
    write_standins(folder)
    write_talking(folder)
    ddcolor(folder / "ddcolor.onnx", 20, -20)
    dfm(folder / "iperov" / "elon_musk_224.dfm", 224)
    enlarger(folder / "span_kendata_x4.onnx", 4)
    fran(folder / "fran.onnx")
    _restorer(folder / "gfpgan_1.4.onnx")
    _swapper(folder / "hyperswap_1a_256.onnx")
    _matte(folder / "modnet.onnx")


def _restorer(path: Path) -> None:
    """The negative of the crop."""
    graph = Graph()
    save(graph, path, {"input": [1, 3, 512, 512]}, graph("Neg", "input"))


def _swapper(path: Path) -> None:
    """The crop darker, by a trace of who the source is."""
    graph = Graph()
    trace = graph("ReduceMean", graph("Mul", "source", 0.0), keepdims=1)
    trace = graph("Reshape", trace, [1, 1, 1, 1])
    drawn = graph("Add", graph("Sub", graph("Mul", "target", 0.5), 0.5), trace)
    save(graph, path, {"source": [1, 512], "target": [1, 3, 256, 256]}, drawn)


def _matte(path: Path) -> None:
    """1 where the picture is green."""
    graph = Graph()
    matte = graph("Conv", "input", np.reshape([-1.0, 1.0, -1.0], (1, 3, 1, 1)))
    save(graph, path, {"input": [1, 3, 512, 512]}, matte)
