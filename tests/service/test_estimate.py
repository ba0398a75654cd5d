from __future__ import annotations

import pytest

from mien.db import Database
from mien.jobs.job import JobStep
from mien.service.estimate import Estimator, Measurements, Work, signature, works_of
from mien.service.intake import Media
from tests.pipeline.fakes import PROCESSORS

STEP = JobStep({"processors": ["inverter"], "target_path": "asset:x"})
VIDEO = Media("video", "mp4", "video/mp4", 1000, 1000, 4.0, 100, 25.0)


def test_averages_move_towards_what_work_takes(database: Database) -> None:
    measurements = Measurements(database)
    what = signature(STEP, PROCESSORS, "video")
    for seconds in (11.0, 21.0):
        measurements.record(
            STEP, PROCESSORS, kind="video", frames=100, width=1000, height=1000, seconds=seconds, overhead=1.0
        )
    found = measurements.of(what)
    assert found is not None
    assert found.count == 2
    assert found.seconds_per_megapixel == pytest.approx(0.15)
    assert found.overhead_seconds == pytest.approx(1.0)
    estimate = Estimator(measurements).step(Work(what, 50.0))
    assert (estimate.seconds, estimate.basis) == (pytest.approx(8.5), "measured")
    assert estimate.low < estimate.seconds < estimate.high


def test_nothing_is_learnt_from_nothing(database: Database) -> None:
    measurements = Measurements(database)
    measurements.record(STEP, PROCESSORS, kind="image", frames=1, width=0, height=0, seconds=1.0)
    assert measurements.of(signature(STEP, PROCESSORS, "image")) is None


def test_a_job_is_as_sure_as_its_least_sure_step(database: Database) -> None:
    estimator = Estimator(Measurements(database))
    total, steps = estimator.estimate([Work("face_debugger on image", 1.0), Work("other on image", 1.0)])
    assert [step.basis for step in steps] == ["benchmark", "guess"]
    assert total.basis == "guess"
    assert total.seconds == pytest.approx(sum(step.seconds for step in steps), abs=0.02)


def test_parts_and_results_of_steps_count_as_much_as_their_pictures() -> None:
    trimmed = JobStep({**STEP.args, "trim_frame_start": 25, "trim_frame_end": 75})
    chained = JobStep({"processors": ["inverter"], "target_path": "step:0"})
    remote = JobStep({"processors": ["inverter"], "target_path": "https://example.org/a.png"})
    works = works_of([trimmed, chained, remote], lambda id: VIDEO, PROCESSORS)
    assert [work.megapixels for work in works[:2]] == [50.0, 50.0]
    assert [work.what.rpartition(" ")[2] for work in works] == ["video", "video", "image"]
