from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from mien.db import open_database
from mien.errors import ConsentMissing, InputError
from mien.jobs import states
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import NewJob
from mien.media.images import read_image
from mien.service.assets import Assets
from mien.service.composing import open_jobs
from mien.service.events import Events
from mien.service.faces import FaceSteps
from mien.service.settings import ServiceSettings
from mien.service.steps import StepTask
from mien.settings import Settings
from mien.storage import StorageSettings, open_storage
from tests.service.workplaces import Workplace, new_job, workplace

if TYPE_CHECKING:
    from mien.models.store import ModelStore

KEYS = frozenset(
    {"content_policy", "output_marking", "consent_ref", "output_image_scale", "output_video_scale"}
)


def task(place: Workplace, media: dict[str, Any] | None = None, **args: Any) -> StepTask:
    row = place.store.insert([new_job("job_1", {"target_path": "/a.png", **args})])[0]
    folder = place.settings.data_folder()
    return StepTask(row, 0, row.job.steps[0], folder, folder / "out.png", media or {})


def options(place: Workplace, given: StepTask, **settings: Any) -> dict[str, Any]:
    steps = FaceSteps(
        lambda: pytest.fail("the engine is not needed"), lambda: KEYS, ServiceSettings(**settings)
    )
    return dict(steps.step_of(given).options)


@pytest.fixture
def place(tmp_path: Path) -> Any:
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data") as made:
        yield made


def test_the_operators_rules_hold_for_every_job(place: Workplace) -> None:
    given = task(place, output_marking=False, content_policy="off", other="no option")
    assert options(place, given) == {"content_policy": "refuse"}
    relaxed = options(place, given, marking_required=False, content_policy="off")
    assert relaxed == {"output_marking": False, "content_policy": "off"}


def test_a_stricter_request_is_kept(place: Workplace) -> None:
    given = task(place, content_policy="refuse")
    assert options(place, given, content_policy="flag")["content_policy"] == "refuse"


def test_a_consent_that_is_asked_for_must_be_there(place: Workplace) -> None:
    with pytest.raises(ConsentMissing):
        options(place, task(place), require_consent=True)


@pytest.mark.parametrize(
    ("wanted", "size", "scale"),
    [("1000x1000", (2000, 1000), 0.5), ("500x1000", (1000, 1000), 0.5), ("4000x4000", (100, 50), None)],
)
def test_a_result_fits_and_is_never_distorted(
    place: Workplace, wanted: str, size: tuple[int, int], scale: float | None
) -> None:
    given = task(place, {"width": size[0], "height": size[1]}, resolution=wanted)
    found = options(place, given)
    assert (found.get("output_image_scale"), found.get("output_video_scale")) == (scale, scale)


@pytest.mark.parametrize("wanted", ["10x10", "large"])
def test_a_resolution_that_cannot_be_had_is_refused(place: Workplace, wanted: str) -> None:
    with pytest.raises(InputError, match="resolution"):
        options(place, task(place, {"width": 1000, "height": 1000}, resolution=wanted))


def test_a_face_is_swapped_by_a_job(builtin_store: ModelStore, tmp_path: Path) -> None:
    """The real engine with the built-in models, from the submission to the result in the storage."""
    from mien.pipeline.engine import Engine

    database = open_database(f"sqlite:///{tmp_path}/mien.db")
    settings = ServiceSettings(data_dir=tmp_path, database_url=SecretStr(database.url))
    storage = open_storage(StorageSettings(local_path=tmp_path / "storage"))
    assets, events = Assets(database, storage, settings), Events(database)
    engine_settings: Settings = builtin_store.settings.model_copy(update={"work_dir": tmp_path / "work"})
    with Engine(engine_settings) as engine:
        if "face_swapper" not in engine.processors:
            pytest.skip("the package is not installed, so that its processors are not known")
        jobs = open_jobs(settings, engine_settings, database, storage, assets, events, lambda: engine)
        source, target = (
            assets.store_file(builtin_store.path(name), "", "face.png").id
            for name in ("sample_astronaut", "sample_hopper")
        )
        step = {
            "source_paths": [f"asset:{source}"],
            "target_path": f"asset:{target}",
            "output_path": "result:out.png",
            "processors": ["face_swapper"],
            "face_swapper_model": "mesh",
            "resolution": "400x400",
        }
        jobs.start("all")
        try:
            rows = jobs.store.insert([NewJob(states.submit(Job("job_1", now(), steps=(JobStep(step),))))])
            jobs.nudge(rows)
            seen = 0
            while not any(event.type == "result" for event in events.wait("job_1", seen, 60)):
                seen = events.since("job_1")[-1].id
            row = jobs.store.row("job_1")
        finally:
            jobs.close()
    assert row.status == "completed", row.job.failure
    (record,) = row.results
    assert (record["kind"], record["faces"], record["name"]) == ("image", 1, "out.png")
    assert max(record["width"], record["height"]) == 400
    with assets.local_copy(record["asset"], "") as path:
        assert read_image(path).pixels.shape[:2] == (record["height"], record["width"])
    database.close()
