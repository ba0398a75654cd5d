"""A run that is killed without warning, and what the next one makes of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien.pipeline.step import Step
from tests.pipeline.clips import frames_hash, make_clip, sound_packets, times
from tests.pipeline.fakes import fake_engine, left_over

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 120
SEGMENTS = 6

PROGRAM = """
import sys
from pathlib import Path
from mien.pipeline.step import Step
from tests.pipeline.fakes import fake_engine

folder, processors = Path(sys.argv[1]), sys.argv[2].split(",")
with fake_engine(folder, segment_seconds=1.0, threads=1) as engine:
    step = Step(folder / "clip.mp4", folder / "out.mp4", processors=processors, options={"inverter_delay": 0.004})
    print(engine.run(step).resumed_segments)
"""


def command(folder: Path, processors: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(folder), processors]


def finished(folder: Path) -> int:
    return len(list(folder.glob("cache/work/*/seg*.mp4")))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
@pytest.mark.parametrize("processors", ["echo,inverter", "coverer,inverter"])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, processors: str) -> None:
    make_clip(tmp_path / "clip.mp4", FRAMES, blind=range(38, 43))
    reference = tmp_path / "reference"
    with fake_engine(reference, segment_seconds=1.0, threads=1) as engine:
        options = {"inverter_delay": 0.004}
        names = tuple(processors.split(","))
        engine.run(Step(tmp_path / "clip.mp4", tmp_path / "whole.mp4", processors=names, options=options))

    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": ""}
    process = subprocess.Popen(command(tmp_path, processors), cwd=ROOT, env=environment)
    deadline = time.monotonic() + 60
    while finished(tmp_path) < SEGMENTS // 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    kept = finished(tmp_path)
    assert SEGMENTS // 2 <= kept < SEGMENTS
    assert not (tmp_path / "out.mp4").exists()

    again = subprocess.run(
        command(tmp_path, processors), cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert int(again.stdout) == kept
    assert times(tmp_path / "out.mp4") == times(tmp_path / "whole.mp4")
    assert frames_hash(tmp_path / "out.mp4") == frames_hash(tmp_path / "whole.mp4")
    assert sound_packets(tmp_path / "out.mp4") == sound_packets(tmp_path / "whole.mp4")
    assert left_over(tmp_path, "clip.mp4", "whole.mp4", "out.mp4") == []
