"""Runs models. The only place that imports ONNX Runtime and LiteRT, and only when a model is loaded."""

from mien.inference.runtime import Runtime

__all__ = ["Runtime"]
