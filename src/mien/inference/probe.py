"""Finds out whether a provider really opens, by running a network of two layers on it."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import numpy as np

from mien.errors import MienError
from mien.inference.graphs import GraphCache
from mien.inference.onnx import open_session
from mien.inference.options import LoadOptions

# y = relu(conv(x, 2)) for x of 1×1×2×2, IR version 7, operator set 13; made with the onnx package.
_NETWORK = base64.b64decode(
    "CAc6iAEKJgoBeAoBdxIBYyIEQ29udioVCgxrZXJuZWxfc2hhcGVAAUABoAEHCgwKAWMSAXkiBFJlbHUSAWcqEwgBCAEIAQgBEAEiBAAA"
    "AEBCAXdaGwoBeBIWChQIARIQCgIIAQoCCAEKAggCCgIIAmIbCgF5EhYKFAgBEhAKAggBCgIIAQoCCAIKAggCQgQKABAN"
)


def probe(name: str, device_id: int = 0) -> str | None:
    """Open the provider and compute with it; returns None if that works, the reason in one sentence if not."""
    with tempfile.TemporaryDirectory(prefix="mien-probe-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "probe.onnx"
        path.write_bytes(_NETWORK)
        options = LoadOptions(providers=(name,), device_ids=(device_id,), cache_graph=False)
        try:
            session = open_session(path, options, GraphCache(Path(folder)))
            output = session.run([np.array([-1, 0, 1, 2], np.float32).reshape(1, 1, 2, 2)])[0]
        except MienError as error:
            return str(error)
    if not np.allclose(output.ravel(), [0, 0, 2, 4]):
        return f"The execution provider {name} opens but computes wrong numbers."
    return None
