from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.comfyui import ComfyInstance, ComfySettings
from mien.testing import FakeComfyUI


@pytest.fixture
def comfy(tmp_path: Path) -> Iterator[FakeComfyUI]:
    with FakeComfyUI(folder=tmp_path / "comfyui") as fake:
        yield fake


@pytest.fixture
def quick() -> ComfySettings:
    """Short intervals, and limits that a busy machine does not reach."""
    return ComfySettings(
        poll_seconds=0.2,
        poll_fast_seconds=0.05,
        lost_seconds=0.15,
        unclear_seconds=0.15,
        reconnect_seconds=30,
        cancel_seconds=30,
        cancel_repeat_seconds=0.1,
    )


@pytest.fixture
def instance(comfy: FakeComfyUI, quick: ComfySettings) -> Iterator[ComfyInstance]:
    with ComfyInstance(comfy.url, quick) as found:
        yield found


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder
