"""The limit on memory, in a process of its own: it holds for the rest of a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("resource")

SCRIPT = """
from mien.cli.memory import limit_memory
limit_memory({limit})
try:
    block = bytearray(1 << 31)
except MemoryError:
    print("refused")
else:
    print("given")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count all memory as data")
@pytest.mark.parametrize(("limit", "answer"), [(1, "refused"), (0, "given"), (16, "given")])
def test_memory_beyond_the_limit_is_refused(limit: int, answer: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(limit=limit)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == answer
