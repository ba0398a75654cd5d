"""Driving ComfyUI: instances, environments of instances, and workflows with typed parameters."""

from __future__ import annotations

from mien.comfyui.environments import Environments, EnvironmentStatus, Submission, as_json
from mien.comfyui.graph import Graph, Upload
from mien.comfyui.instance import ComfyInstance, ComfyResult
from mien.comfyui.outputs import Output
from mien.comfyui.settings import ComfySettings
from mien.comfyui.tally import ComfyProgress

__all__ = [
    "ComfyInstance",
    "ComfyProgress",
    "ComfyResult",
    "ComfySettings",
    "EnvironmentStatus",
    "Environments",
    "Graph",
    "Output",
    "Submission",
    "Upload",
    "as_json",
]
