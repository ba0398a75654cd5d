"""Tiny networks for the tests: ONNX files through the onnx package, LiteRT files through its own schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

Dim = int | str


def write_onnx(
    path: Path,
    *,
    shape: Sequence[Dim] = (1, 3, 8, 8),
    channels: int = 4,
    dtype: int = TensorProto.FLOAT,
    op: str = "Relu",
    seed: int = 0,
    domain: str = "",
) -> Path:
    """y = op(conv(x)), with random 3×3 weights and zero padding."""
    numpy_type = helper.tensor_dtype_to_np_dtype(dtype)
    weights = np.random.default_rng(seed).standard_normal((channels, int(shape[1]), 3, 3)) * 0.1
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node(op, ["c"], ["y"], domain=domain),
        ],
        "net",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, [shape[0], channels, *shape[2:]])],
        [numpy_helper.from_array(weights.astype(numpy_type), "w")],
    )
    opsets = [helper.make_opsetid("", 13)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def write_sum(path: Path) -> Path:
    """Two inputs: total = a + b, difference = a - b, over 1×N vectors."""
    vector = [1, "n"]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["a", "b"], ["total"]),
            helper.make_node("Sub", ["a", "b"], ["difference"]),
        ],
        "sum",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, vector) for name in ("a", "b")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, vector) for name in ("total", "difference")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def write_tflite(path: Path, length: int = 4) -> Path:
    """y = x + x over 1×length vectors."""

    def tensor(name: bytes, buffer: int) -> schema.TensorT:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, length], schema.TensorType.FLOAT32, buffer
        return made

    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 0], [1]
    operator.builtinOptionsType, operator.builtinOptions = (
        schema.BuiltinOptions.AddOptions,
        schema.AddOptionsT(),
    )
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs = [tensor(b"x", 1), tensor(b"y", 2)], [0], [1]
    graph.operators, graph.name = [operator], b"main"
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = schema.BuiltinOperator.ADD, 0, 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT() for _ in range(3)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
