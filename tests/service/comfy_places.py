"""Services with ComfyUI instances that are fakes, and workflows that count how often they run.

Also workers of such a service in processes of their own.
"""

from __future__ import annotations

import io
import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mien.comfyui import ComfySettings
from mien.db import open_database
from mien.service.logs import open_log
from mien.service.service import Service
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import StorageSettings, open_storage
from mien.testing import FakeComfyUI
from mien.testing.comfyui import Node
from mien.testing.comfyui.nodes import Result, Run
from tests.comfyui.graphs import node
from tests.forked import Forked
from tests.pipeline.fakes import PROCESSORS, FakeAnalyser

QUICK: Mapping[str, Any] = {
    "poll_seconds": 0.5,
    "poll_fast_seconds": 0.05,
    "lost_seconds": 0.3,
    "unclear_seconds": 0.3,
    "reconnect_seconds": 30.0,
    "cancel_repeat_seconds": 0.2,
    "probe_seconds": 0.2,
}
"""Short intervals, and limits that a busy machine does not reach."""


class Counts:
    """How often a key was worked on, by all fakes that have its node."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()

    def node(self) -> Node:
        """A node that counts its key, and waits for the gate while it reports progress."""

        def run(run: Run, image: Any, key: str) -> Result:
            with self._lock:
                self.begun[key] += 1
            step = 0
            while not self.gate.wait(0.02):
                run.progress(step % 10, 10)
                step += 1
            run.progress(10, 10)
            return Result((image,))

        text = ["STRING", {"default": ""}]
        return Node("Counted", run, {"image": ["IMAGE", {}], "key": text}, output=("IMAGE",))


def write_workflows(folder: Path) -> Path:
    """Workflows over nodes that fakes have."""
    folder.mkdir(parents=True, exist_ok=True)
    color = node("EmptyImage", width=64, height=48, batch_size=1, color=255)
    save = node("SaveImage", images=["2", 0], filename_prefix="x")
    _write(
        folder,
        "counted",
        {"1": color, "2": node("Counted", image=["1", 0], key="-"), "3": save},
        [
            {"name": "key", "type": "str", "required": True, "places": ["2.key"]},
            {"name": "color", "type": "seed", "max": 0xFFFFFF, "places": ["1.color"]},
        ],
    )
    _write(
        folder,
        "stepped",
        {
            "1": color,
            "2": node("ProbeSteps", image=["1", 0], steps=4, delay=0.05, fail_at=-1, preview=True, salt=0),
            "3": save,
        },
        [
            {"name": "steps", "type": "int", "default": 4, "places": ["2.steps"]},
            {"name": "fail_at", "type": "int", "default": -1, "places": ["2.fail_at"]},
            {"name": "salt", "type": "seed", "max": 1_000_000, "places": ["2.salt"]},
        ],
    )
    _write(
        folder,
        "several",
        {
            "1": node("LoadImage", image="x.png"),
            "2": node("ImageInvert", image=["1", 0]),
            "3": save,
            "4": node("CreateVideo", images=["2", 0], fps=5.0),
            "5": node("SaveVideo", video=["4", 0], filename_prefix="x"),
            "6": node("ProbeText", text="It was a picture."),
        },
        [{"name": "image", "type": "image", "required": True, "places": ["1.image"]}],
    )
    (folder / "marked_upscale.toml").write_text(STAGES)
    (folder / "marker.toml").write_text(MARKER)
    return folder


MARKER = """
name = "marker"
version = 1
processors = ["marker"]
[[parameters]]
name = "target_image"
type = "image"
required = true
option = "target"
"""
STAGES = """
name = "marked_upscale"
version = 1
[[parameters]]
name = "target_image"
type = "image"
required = true
[[stages]]
name = "mark"
workflow = "marker"
[stages.inputs]
target_image = { parameter = "target_image" }
[[stages]]
name = "larger"
workflow = "image_upscale"
[stages.inputs]
image = { stage = "mark" }
"""


def _write(folder: Path, name: str, graph: dict[str, Any], parameters: list[dict[str, Any]]) -> None:
    content = {"name": name, "version": 3, "title": name, "graph": graph, "parameters": parameters}
    (folder / f"{name}.json").write_text(json.dumps(content))


@contextmanager
def fakes(count: int, *nodes: Node) -> Iterator[list[FakeComfyUI]]:
    """So many instances with the same nodes."""
    found = [FakeComfyUI(nodes=nodes) for _ in range(count)]
    try:
        for fake in found:
            fake.__enter__()
        yield found
    finally:
        for fake in found:
            fake.__exit__()


def comfy_settings(folder: Path, *urls: str, **more: Any) -> ComfySettings:
    """Settings of the ComfyUI side, with the workflows of this module."""
    workflows = write_workflows(folder / "workflows")
    return ComfySettings(**{**QUICK, "urls": urls, "workflows_dir": workflows, **more})


def make_service(
    folder: Path, comfy: ComfySettings, processors: Mapping[str, Any] | None = PROCESSORS, **given: Any
) -> Service:
    """A service on SQLite with stand-ins for the face engine; ``processors`` None: the real ones."""
    settings = ServiceSettings(data_dir=folder, **{"shutdown_seconds": 1, **given})
    storage = open_storage(StorageSettings(local_path=folder / "storage"))
    engine_settings = Settings(cache_dir=folder / "cache", offline=True, threads=1)
    log = open_log(settings, io.StringIO())
    return Service(
        settings,
        engine_settings,
        open_database(settings.database()),
        storage,
        log,
        partial(_engine, processors),
        comfy,
    )


def _engine(processors: Mapping[str, Any] | None, settings: Settings) -> Any:
    from mien.pipeline.engine import Engine

    analyser = FakeAnalyser()
    return Engine(settings, processors=processors, make_analyser=lambda *_: analyser)


def main(folder: str, urls: list[str], ready: Callable[[], None], **given: Any) -> None:
    """A worker process, which works until it is told to stop."""
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    with make_service(Path(folder), comfy_settings(Path(folder), *urls), **given) as service:
        service.start("worker")
        ready()
        done.wait()
        service.stop()


def worker(folder: Path, urls: list[str], **given: Any) -> Forked:
    """A worker in a process of its own, once it is ready."""
    process = Forked(main, folder=str(folder), urls=urls, **given)
    process.wait_until_ready()
    return process
