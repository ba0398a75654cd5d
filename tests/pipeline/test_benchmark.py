from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from mien.cli.job_options import Resolution as CliResolution
from mien.errors import Canceled
from mien.media.probe import probe
from mien.pipeline.benchmark import SIZES, Resolution, Row, bench_step, measure_warm, time_run
from mien.pipeline.progress import Cancel, Progress
from tests.pipeline.fakes import fake_engine
from tests.server.served import face_png


@pytest.fixture
def portraits(tmp_path: Path) -> tuple[Path, Path]:
    path = tmp_path / "face.png"
    path.write_bytes(face_png())
    return path, path


def test_the_sizes_are_those_of_the_command_line() -> None:
    assert get_args(Resolution) == get_args(CliResolution) == tuple(SIZES)


def test_the_clip_has_the_size_and_length_that_it_says(portraits: tuple[Path, Path], tmp_path: Path) -> None:
    step = bench_step(portraits, tmp_path, "240p", ["inverter"], {})
    info = probe(step.target)
    assert (info.width, info.height, info.duration) == (426, 240, pytest.approx(2.0, abs=0.05))


def test_the_first_run_does_not_count(portraits: tuple[Path, Path], tmp_path: Path) -> None:
    told: list[Progress] = []
    row = Row("240p")
    with fake_engine(tmp_path) as engine:
        options = {"trim_frame_end": 10}
        step = bench_step(portraits, tmp_path, "240p", ["inverter"], options)
        measure_warm(engine, step, row, 2, Cancel(), told.append)
    assert (len(row.seconds), row.frames) == (2, 10)
    assert row.first is not None
    assert {"models", "analyse", "process"} <= row.stages.keys()
    assert sum(row.stages.values()) <= sum(row.seconds)
    data = row.as_data()
    assert data["relative_fps"] == pytest.approx(20 / sum(row.seconds), abs=0.01)
    shares = [progress.done / progress.total for progress in told]
    assert shares == sorted(shares)
    assert (told[-1].done, told[-1].total) == (30, 30)


def test_it_stops_within_a_run(portraits: tuple[Path, Path], tmp_path: Path) -> None:
    cancel, row = Cancel(), Row("240p")
    with fake_engine(tmp_path) as engine:
        step = bench_step(portraits, tmp_path, "240p", ["inverter"], {})
        with pytest.raises(Canceled):
            measure_warm(engine, step, row, 5, cancel, lambda progress: cancel.set())
        with pytest.raises(Canceled):
            time_run(engine, step, row, cancel)
    assert row.seconds == []
