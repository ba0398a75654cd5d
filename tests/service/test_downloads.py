from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.db import open_database
from mien.errors import Canceled, Forbidden, JobBusy, ModelMissing, ModelUnknown
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import JobRow, NewJob
from mien.models import ModelStore, load_catalogue
from mien.models.catalogue import Catalogue
from mien.service import attempt as attempts
from mien.service.attempt import Attempt
from mien.service.downloads import Downloads, wanted
from mien.service.events import Events
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from tests.models.hub_server import Hub, crc32, serving
from tests.models.test_store import BODY, GITHUB, model

MODELS = ("one", "two", "three")


class Place:
    """A worker that may begin jobs, and a hub with three models."""

    def __init__(self, store: DatabaseStore, hub: Hub, folder: Path) -> None:
        self.store, self.hub, self.folder = store, hub, folder
        self.events = Events(store.database)
        for name in MODELS:
            hub.add(f"{GITHUB}{name}.onnx", BODY)

    def begin(self, *steps: list[str]) -> Attempt:
        made = tuple(JobStep({"models": names, "processors": []}) for names in steps)
        job = states.submit(Job("job_1", now(), steps=made))
        self.store.insert([NewJob(job, kind="download")])
        return self.again()

    def again(self) -> Attempt:
        row = self.store.change("job_1", lambda job: states.begin(job, "w"))
        return Attempt(self.store, self.events, row, time.monotonic() + 1000)

    def run(self, attempt: Attempt, **given: Any) -> None:
        settings = Settings(
            cache_dir=self.folder / "cache",
            hub_urls={"github": f"{self.hub.url}/one", "huggingface": f"{self.hub.url}/two"},
        )
        Downloads(ServiceSettings(**given), settings).run(attempt, self.folder)

    @property
    def row(self) -> JobRow:
        return self.store.row("job_1")

    @property
    def here(self) -> list[str]:
        return sorted(path.stem for path in (self.folder / "cache" / "models").glob("*.onnx"))

    def told(self, type: str) -> list[Any]:
        return [event.data for event in self.events.since("job_1") if event.type == type]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = Catalogue(tuple(model(name, crc32=crc32(BODY)) for name in MODELS))
    monkeypatch.setattr("mien.models.catalogue.load_catalogue", lambda: found)
    monkeypatch.setattr("mien.models.fetchers.https.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(attempts, "TOLD_EVERY", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    database = open_database(f"sqlite:///{tmp_path}/mien.db")
    with serving() as hub:
        yield Place(DatabaseStore(database), hub, tmp_path)
    database.close()


def test_models_are_brought_step_by_step_and_it_is_told(place: Place) -> None:
    place.run(place.begin(["one", "two", "one"], ["three"]))
    assert place.here == ["one", "three", "two"]
    assert [step.status for step in place.row.job.steps] == ["completed", "completed"]
    assert place.told("step") == [{"index": index, "status": "completed"} for index in (0, 1)]
    last = [data for data in place.told("progress") if data["step"] == 0][-1]
    assert (last["stage"], last["done"], last["total"]) == ("models", 2 * len(BODY), 2 * len(BODY))
    assert (last["steps"], last["message"] in ("one.onnx", "two.onnx")) == (2, True)


def test_what_is_here_is_not_brought_again(place: Place) -> None:
    place.run(place.begin(["one"]))
    asked = list(place.hub.paths())
    attempt = place.again()
    place.store.change("job_1", lambda job: states.interrupt_step(job, 0))
    attempt.row = place.row
    place.run(attempt)
    assert place.hub.paths() == asked
    assert [step.status for step in place.row.job.steps] == ["completed"]


def test_another_run_goes_on_at_the_first_unfinished_step(place: Place) -> None:
    del place.hub.pages[f"{GITHUB}two.onnx"]
    with pytest.raises(ModelMissing, match="two"):
        place.run(place.begin(["one"], ["two"]))
    assert place.here == ["one"]
    place.hub.add(f"{GITHUB}two.onnx", BODY)
    asked = len(place.hub.requests)
    place.run(place.again())
    assert not [path for path in place.hub.paths()[asked:] if "one.onnx" in path]
    assert [data["index"] for data in place.told("step")] == [0, 1]
    assert [step.status for step in place.row.job.steps] == ["completed", "completed"]


def test_where_downloads_are_not_allowed_any_more_none_is_begun(place: Place) -> None:
    """The job may be older than the rule."""
    with pytest.raises(Forbidden, match="the operator set MIEN_ALLOW_MODEL_DOWNLOADS"):
        place.run(place.begin(["one"]), allow_model_downloads=False)
    assert place.hub.requests == []
    assert place.row.job.steps[0].status == "queued"


def test_a_model_that_there_is_not_any_more(place: Place) -> None:
    with pytest.raises(ModelUnknown):
        place.run(place.begin(["one", "gone"]))
    assert place.hub.requests == []


def test_a_download_stops_when_it_is_canceled(place: Place) -> None:
    attempt = place.begin(["one"], ["two"])
    attempt.stop("canceled")
    with pytest.raises(Canceled):
        place.run(attempt)
    assert place.here == []
    assert place.row.job.steps[0].status == "started"


def test_a_run_that_was_overtaken_writes_nothing_more(place: Place) -> None:
    late = place.begin(["one"])
    place.again()
    with pytest.raises(JobBusy):
        place.run(late)
    assert place.here == []


def test_a_name_is_a_model_or_a_processor_that_stands_for_its_own() -> None:
    store = ModelStore(Settings(offline=True), load_catalogue())
    found = wanted(["face_swapper", "inswapper_128", "nothing", "face_swapper"], store)
    assert "nothing" in found  # which the store refuses by name
    assert "inswapper_128" in found
    assert "face_swapper" not in found
    assert len(found) == len(set(found)) > 2
    assert set(found) - {"nothing"} <= set(store.catalogue)
    assert wanted([], store) == []
    assert wanted(["face_debugger"], store) == []  # it needs none


def test_the_progress_of_files_side_by_side_never_goes_backwards(place: Place) -> None:
    for name in MODELS:
        place.hub.add(f"{GITHUB}{name}.onnx", BODY, piece=1 << 12)
    place.run(place.begin(list(MODELS)))
    done = [data["done"] for data in place.told("progress")]
    assert done == sorted(done)
    assert done[-1] == 3 * len(BODY)
