"""Runs models. The only place that imports the runtimes, ONNX Runtime and LiteRT, and only when a model is loaded."""

from mien.inference.runtime import Runtime

__all__ = ["Runtime"]
