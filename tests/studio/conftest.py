"""A real service with the built-in models, and a real browser in front of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien.studio import DIST
from mien.testing import FakeComfyUI
from tests.conftest import BUILTIN
from tests.models.hub_server import Hub, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from mien.models.store import ModelStore

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE = 60_000
"""Milliseconds that the slowest machine may take for one thing."""


@dataclass(frozen=True)
class Media:
    """Files to work with."""

    woman: Path
    officer: Path
    group: Path
    clip: Path
    camera: Path


@pytest.fixture(scope="session")
def media(builtin_store: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Two portraits, a picture of both people, a clip of two seconds, and what the fake camera sees."""
    import cv2
    import numpy as np

    from mien.cli.showcase import views
    from mien.types import Box

    folder = tmp_path_factory.mktemp("media")
    files = Media(
        *(folder / n for n in ("woman.jpg", "officer.jpg", "group.jpg", "clip.mp4", "camera.mjpeg"))
    )
    woman = cv2.imread(str(builtin_store.path("sample_astronaut")))
    officer = cv2.imread(str(builtin_store.path("sample_hopper")))
    cv2.imwrite(str(files.woman), woman)
    cv2.imwrite(str(files.officer), officer)
    cv2.imwrite(str(files.group), np.hstack([_high(woman, 480), _high(officer, 480)]))
    _write_clip(
        files.clip, officer, list(views(officer.shape[1], officer.shape[0], Box(190, 110, 340, 300), 50))
    )
    frame = cv2.imencode(".jpg", cv2.resize(officer[:384], (640, 480)))[1].tobytes()
    files.camera.write_bytes(frame * 25)
    return files


def _high(picture: Any, height: int) -> Any:
    import cv2

    return cv2.resize(picture, (round(picture.shape[1] * height / picture.shape[0]), height))


def _write_clip(path: Path, picture: Any, seen: list[Any]) -> None:
    from fractions import Fraction

    import av
    import cv2

    from mien.cli.showcase import through

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for view in seen:
            small = cv2.resize(through(picture, view), (320, 240))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="bgr24")))
        out.mux(stream.encode())


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """A model hub on this machine."""
    with serving() as hub:
        yield hub


@pytest.fixture(scope="package")
def comfy() -> Iterator[FakeComfyUI]:
    """A stand-in for ComfyUI."""
    with FakeComfyUI() as comfy:
        yield comfy


@pytest.fixture(scope="module")
def address(
    builtin_store: ModelStore, hub: Hub, comfy: FakeComfyUI, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where a service of its own, with its own models, listens.

    One for each file: results of other tests would be offered beside what a test looks for.
    """
    folder = tmp_path_factory.mktemp("service")
    models = folder / "cache" / "models"
    models.mkdir(parents=True)
    for id in BUILTIN:
        for path in builtin_store.paths(id):
            shutil.copy(path, models)
    more = {
        "MIEN_DOWNLOAD_PROVIDERS": "github",
        "MIEN_HUB_URLS": f"github={hub.url}",
        "COMFYUI_URL": comfy.url,
    }
    with serve(folder, **more) as address:
        yield address


@contextmanager
def serve(folder: Path, command: str = "serve", **variables: str) -> Iterator[str]:
    """Where a service with its files in that folder listens."""
    if not (DIST / "index.html").is_file():
        pytest.skip("the studio is not built: cd web && npm install && npm run build")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
    environment |= {
        "MIEN_CACHE_DIR": str(folder / "cache"),
        "MIEN_DATA_DIR": str(folder / "data"),
        "MIEN_SIGNING": "off",
        "MIEN_SHUTDOWN_SECONDS": "2",
        **variables,
    }
    words = [sys.executable, "-m", "mien", command, "--port", "0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            said = re.search(r"listening on (\S+);", line)
            assert said, line + (folder / "log").read_text()
            yield said[1]
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="package")
def browser(media: Media) -> Iterator[Browser]:
    """The browser of this machine, with a camera that shows a picture.

    It does not outlive the tests of this folder: its event loop would stand in the way of others in the process.
    """
    api = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no chromium on this machine")
    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={media.camera}",
    ]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh visitor; at the end, nothing was wrong in the console, and nobody else was asked for anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    context.grant_permissions(["camera"])
    context.set_default_timeout(PATIENCE)
    context.add_init_script("localStorage.setItem('mien.tour', 'seen')")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda request: _is_own(request.url, address) or wrong.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert wrong == []


def _is_own(url: str, address: str) -> bool:
    return url.startswith((address, "blob:", "data:"))
