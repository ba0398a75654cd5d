"""A ComfyUI server without models: real HTTP and websocket, real small pictures, faults at the turn of a switch."""

from __future__ import annotations

from mien.testing.comfyui.faults import Faults
from mien.testing.comfyui.nodes import Node, Result
from mien.testing.comfyui.server import FakeComfyUI

__all__ = ["FakeComfyUI", "Faults", "Node", "Result"]
