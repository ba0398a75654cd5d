"""A mien that swaps by stand-ins, in a process of its own: ``python -m tests.service.engine_process FOLDER PORT``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tests.pipeline.fakes import Inverter
from tests.server.served import served


class Swapper(Inverter):
    name = "face_swapper"
    synthetic = True


if __name__ == "__main__":
    processors = {"face_swapper": Swapper()}
    given = {"fetch_http": True, "fetch_allow": ("127.0.0.1/32",)}
    with served(Path(sys.argv[1]), processors=processors, port=int(sys.argv[2]), **given):
        threading.Event().wait()
