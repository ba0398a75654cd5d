from __future__ import annotations

import json
import subprocess
import sys

import pytest

import mien

NAMES = [
    "Box",
    "Cancel",
    "Canceled",
    "Engine",
    "Face",
    "Frame",
    "FrameContext",
    "InputError",
    "Landmarks",
    "Marks",
    "MediaInfo",
    "MienError",
    "ModelError",
    "NoFace",
    "OptionError",
    "Options",
    "OutputError",
    "Person",
    "Pose",
    "Processor",
    "Progress",
    "ProviderError",
    "Result",
    "RunContext",
    "Settings",
    "Step",
    "__version__",
    "option",
    "read_marks",
    "swap",
]


def test_the_public_names() -> None:
    assert mien.__all__ == NAMES
    assert len(NAMES) <= 30
    assert dir(mien) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(mien, name)
    assert getattr(value, "__name__", name) in (name, "NDArray", "ndarray")


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        mien.nothing_of_that_name  # type: ignore[attr-defined]


def test_importing_loads_no_heavy_library() -> None:
    program = "import sys, json, mien; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"numpy", "cv2", "av", "onnxruntime", "ai_edge_litert", "pydantic", "typer", "rich"}


def test_a_step_and_its_errors_need_no_media_library() -> None:
    program = "import sys, mien; mien.Step('a', 'b'); mien.Cancel(); print('av' in sys.modules, 'cv2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
