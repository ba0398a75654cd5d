"""kill -9 in every stage of a job of two steps on a video: what is run again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.cli.main import run
from mien.cli.program import Program
from mien.jobs import states
from mien.jobs.folder import FolderStore
from mien.media.reader import VideoReader
from mien.media.writer import VideoSpec, VideoWriter

if TYPE_CHECKING:
    from mien.models.store import ModelStore

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

FRAMES = 36
TRIMMED = 30
"""Both are cut into two segments."""
SECONDS = "0.8"
OPTIONS = ("--output-video-preset", "ultrafast", "--background-remover-model", "selfie")
PROCESSORS = ("background_remover", "face_debugger")
"""Each with one of the small models, and the second with what is carried on from frame to frame."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second and a half of a moving gradient."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    spec = VideoSpec(96, 64, Fraction(1, 25), Fraction(25))
    ramp = np.linspace(0, 160, 96, dtype=np.float32)[None, :, None].repeat(64, 0).repeat(3, 2)
    with VideoWriter(path, spec) as writer:
        for index in range(FRAMES):
            writer.write((ramp + index).astype(np.uint8), index)
    return path


class Shell:
    """A folder with jobs; what is to be killed runs as a program of its own, all else in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def start(self, *words: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "mien", *self._all(words)],
            env={**os.environ, "MIEN_SEGMENT_SECONDS": SECONDS},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *words: object) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MIEN_SEGMENT_SECONDS", SECONDS)
            return run(self._all(words), Program())

    def _all(self, words: tuple[object, ...]) -> list[str]:
        found = [*map(str, words), "--jobs-path", str(self.folder / ".jobs")]
        return [*found, "--temp-path", str(self.folder / "parts")] if words[1:] == ("two",) else found

    def job(self, clip: Path) -> None:
        """Two steps: the second works on the result of the first, and each has an output."""
        a, b = self.folder / "a.mp4", self.folder / "b.mp4"
        store = FolderStore(self.folder / ".jobs")
        store.create("two")
        assert (
            self.run("job-add-step", "two", "-t", clip, "-o", a, *OPTIONS, "--processors", *PROCESSORS) == 0
        )
        second = ("--processors", *PROCESSORS, "--trim-frame-end", TRIMMED)
        assert self.run("job-remix-step", "two", 0, "-o", b, *OPTIONS, *second) == 0
        store.update("two", states.submit)

    def statuses(self) -> list[str]:
        for place in ("queued", "completed", "failed"):
            path = self.folder / ".jobs" / place / "two.json"
            if path.is_file():
                return [step["status"] for step in json.loads(path.read_text())["steps"]]
        return []

    def parts(self) -> int:
        return len(list((self.folder / "parts").glob("*/seg*.mp4")))


STAGES: dict[str, Callable[[Shell], bool]] = {
    "the first step begins": lambda shell: shell.statuses()[:1] == ["started"],
    "inside the first video": lambda shell: shell.parts() >= 1,
    "the second step begins": lambda shell: shell.statuses() == ["completed", "started"],
    "inside the second video": lambda shell: shell.statuses()[:1] == ["completed"] and shell.parts() >= 1,
    "while results are delivered": lambda shell: (shell.folder / "a.mp4").exists(),
}


@pytest.fixture(scope="module")
def undisturbed(
    clip: Path, tmp_path_factory: pytest.TempPathFactory, builtin_store: ModelStore
) -> dict[str, list[bytes]]:
    """Frames of both outputs of a run that nobody disturbs."""
    if not set(PROCESSORS) <= set(Program().processors()):
        pytest.skip("the package is not installed, so that its processors are not known")
    shell = Shell(tmp_path_factory.mktemp("calm") / "w")
    shell.job(clip)
    assert shell.run("job-run", "two") == 0
    found = {name: frames(shell.folder / name) for name in ("a.mp4", "b.mp4")}
    assert [len(found["a.mp4"]), len(found["b.mp4"])] == [FRAMES, TRIMMED]
    return found


def frames(path: Path) -> list[bytes]:
    with VideoReader(path) as reader:
        return [frame.image.tobytes() for frame in reader]


@pytest.mark.parametrize(
    ("stage", "again"), [*((stage, "job-run") for stage in STAGES), ("inside the first video", "job-retry")]
)
def test_a_killed_run_ends_like_an_undisturbed_one(
    clip: Path, undisturbed: dict[str, list[bytes]], tmp_path: Path, stage: str, again: str
) -> None:
    shell = Shell(tmp_path / "w")
    shell.job(clip)
    process = shell.start("job-run", "two")
    while process.poll() is None and not STAGES[stage](shell):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # A run that was faster than its murderer leaves nothing to do.
    assert not (shell.folder / ".jobs/failed/two.json").exists(), (
        shell.folder / ".jobs/failed/two.json"
    ).read_text()[-600:]
    over = shell.statuses() == ["completed"] * 2 and not (shell.folder / ".jobs/queued/two.json").exists()
    assert shell.run(again, "two") == int(over)
    assert shell.statuses() == ["completed", "completed"]
    assert {name: frames(shell.folder / name) for name in ("a.mp4", "b.mp4")} == undisturbed
    assert sorted(path.name for path in shell.folder.iterdir() if path.is_file()) == ["a.mp4", "b.mp4"]
