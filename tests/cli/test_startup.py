"""What each command imports: commands that run no model must not wait for what runs models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mien.cli.app import build_app
from mien.cli.program import Program

SCRIPT = """
import sys
from mien.cli.main import main
main(sys.argv[1:])
sys.stderr.write("\\n" + " ".join(sys.modules))
"""
HEAVY = {"numpy", "cv2", "av", "onnxruntime", "ai_edge_litert", "c2pa", "cryptography", "httpcore2"}


def _imported(folder: Path, *words: str) -> set[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("job-list", "drafted"), ("job-create", "x"), ("models", "-h")]
)
def test_commands_that_run_nothing_import_no_library_of_models_or_media(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    found = _imported(tmp_path, *words)
    assert "mien.cli.app" in found
    assert not found & HEAVY
    assert not {
        name for name in found if name.startswith(("mien.processors", "mien.pipeline", "mien.media."))
    } - {"mien.media.atomic", "mien.media.stale"}


def test_a_command_imports_no_other_command(tmp_path: Path) -> None:
    commands = {
        name for name in _imported(tmp_path, "job-list", "drafted") if name.startswith("mien.cli.commands.")
    }
    assert commands == {"mien.cli.commands.jobs"}


@pytest.mark.parametrize("words", [("job-add-step", "x", "-t", "a.png", "-o", "b.png"), ("swap", "-h")])
def test_options_of_all_processors_are_known_without_what_runs_them(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    found = _imported(tmp_path, *words)
    if Program().processors():
        assert "mien.processors.face_swapper" in found
    assert not found & HEAVY


def test_a_command_is_made_once() -> None:
    commands = build_app(Program()).commands
    assert commands["job-add-step"] is commands["job-add-step"]
    assert "job-unknown" not in commands
