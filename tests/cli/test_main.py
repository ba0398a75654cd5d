"""The program as a process of its own: what it imports, prints and returns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mien.cli.main import limit_threads

HEAVY = ("numpy", "cv2", "av", "onnxruntime", "ai_edge_litert")
STUCK = """
import sys, time
from pathlib import Path
from mien.cli.main import run
from tests.cli.conftest import FakeProgram

def behave(step, report, cancel):
    print("running", flush=True)
    cancel.wait(60)

program = FakeProgram(Path(sys.argv[1]))
program.behave = behave
sys.exit(run(["edit", "t", "-o", "o.mp4"], program))
"""
MUTE = """
import sys, time
from pathlib import Path
from mien.cli.main import run
from tests.cli.conftest import FakeProgram

def behave(step, report, cancel):
    try:
        print("running", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("ignored", flush=True)
    time.sleep(60)

program = FakeProgram(Path(sys.argv[1]))
program.behave = behave
sys.exit(run(["edit", "t", "-o", "o.mp4"], program))
"""


def _mien(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mien", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **more})


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("models", "--help"), ("swp",)])
def test_light_commands_import_nothing_heavy(words: tuple[str, ...]) -> None:
    script = (
        "import sys; from mien.cli.main import main; code = main(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.returncode == (2 if words == ("swp",) else 0)


def test_the_module_is_the_program() -> None:
    done = _mien("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mien ")


def test_a_wrong_word_is_one_sentence() -> None:
    done = _mien("swap", "--no-such-thing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mien: There is no option --no-such-thing")
    assert done.stderr.count("\n") == 1


def test_a_wrong_environment_is_one_sentence(tmp_path: Path) -> None:
    done = _mien("models", "list", MIEN_THREADS="many")
    assert done.returncode == 2
    assert done.stderr.startswith("mien: MIEN_THREADS")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_a_file_name_that_is_no_text_is_printed_all_the_same() -> None:
    command = [sys.executable, "-m", "mien", "faces", b"\xff.jpg", "--json"]
    done = subprocess.run(command, capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 11
    assert "\udcff.jpg" in json.loads(done.stdout)["error"]["message"]
    assert done.stderr.startswith(b"mien: ")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m mien options | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


def test_numeric_libraries_get_one_thread_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    limit_threads()
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("script", "signals"), [(STUCK, 1), (MUTE, 3)], ids=["polite", "hanging"])
def test_ctrl_c_ends_the_process_with_130(tmp_path: Path, script: str, signals: int) -> None:
    """A run that listens stops at the first signal; one that hangs is ended by the third."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    # Each signal is answered before the next is sent, as the system may merge signals that are pending.
    answers = [process.stderr.readline(), process.stderr.readline()]
    assert answers[1].startswith("mien: stopping after the current frame")
    if signals > 1:
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ignored\n"
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
