"""Stand-ins for the services that mien speaks to, for the tests of those who build on it.

from mien.testing import FakeComfyUI

with FakeComfyUI() as comfy:
    ...  # comfy.url answers like a ComfyUI server
"""

from __future__ import annotations

from mien.testing.comfyui import FakeComfyUI, Faults, Node

__all__ = ["FakeComfyUI", "Faults", "Node"]
