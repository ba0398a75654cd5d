from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from mien.db import open_database
from mien.errors import InputError
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.rows import JobRow
from mien.service.assets import Assets
from mien.service.attempt import Attempt
from mien.service.composing import open_jobs, option_keys
from mien.service.events import Events
from mien.service.parts import BODY
from mien.service.settings import ServiceSettings
from mien.service.tracing import Tracing, open_tracing
from mien.service.worker import Jobs
from mien.settings import Settings
from mien.storage import Chain, StorageSettings, open_storage
from tests.pipeline.fakes import fake_engine
from tests.server.served import face_png
from tests.service.test_tracing import NOWHERE, Kept
from tests.service.workplaces import TextSteps, new_job


class Parts:
    """Everything of a service that its jobs are put together of, without a face engine."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = ServiceSettings(data_dir=folder, **settings)
        self.engine_settings = Settings(cache_dir=folder / "cache", offline=True, threads=1)
        self.database = open_database(f"sqlite:///{folder}/mien.db")
        self.storage: Chain = open_storage(StorageSettings(local_path=folder / "storage"))
        self.assets = Assets(self.database, self.storage, self.settings)
        self.events = Events(self.database)
        self.store = DatabaseStore(self.database)

    def jobs(self, engine: Any = None, **more: Any) -> Jobs:
        return open_jobs(
            self.settings,
            self.engine_settings,
            self.database,
            self.storage,
            self.assets,
            self.events,
            engine or needless,
            **more,
        )

    def run(self, jobs: Jobs, kind: str, *steps: Mapping[str, Any]) -> JobRow:
        """Let the runner of a kind do a job, as a worker would."""
        self.store.insert([new_job("job_1", *steps, kind=kind)])
        row = self.store.change("job_1", lambda job: states.begin(job, "worker"))
        folder = self.settings.data_folder() / "run"
        folder.mkdir()
        jobs._kinds[kind].run(Attempt(self.store, self.events, row, time.monotonic() + 600), folder)
        return self.store.row("job_1")

    def picture(self) -> str:
        return f"asset:{self.assets.add_stream([face_png()], '', 'face.png').id}"


def needless() -> NoReturn:
    pytest.fail("the face engine was made")


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    found = Parts(tmp_path)
    yield found
    found.database.close()


def test_the_face_engine_is_made_by_the_first_step_that_needs_it(parts: Parts, tmp_path: Path) -> None:
    made: list[object] = []
    with fake_engine(tmp_path, threads=1) as engine:
        jobs = parts.jobs(lambda: made.append(engine) or engine)
        assert made == []
        step = {"target_path": parts.picture(), "output_path": "result:x.png", "processors": ["inverter"]}
        row = parts.run(jobs, "faces", step)
        assert made
    assert [(record["kind"], record["name"]) for record in row.results] == [("image", "x.png")]


def test_steps_of_further_environments_go_there(parts: Parts) -> None:
    steps, measured = TextSteps(), list[Any]()
    jobs = parts.jobs(
        environments={"far:*": steps},
        measure=lambda step, media, done: measured.append((media["kind"], done.faces)),
    )
    step = {"target_path": parts.picture(), "environment": "far:one", "label": "a"}
    row = parts.run(jobs, "workflow", step)
    assert (steps.done, row.job.steps[0].status) == (["a"], "completed")
    assert measured == [("image", 2)]


def test_an_environment_that_is_not_given_is_nobodys(parts: Parts) -> None:
    step = {"target_path": parts.picture(), "environment": "elsewhere"}
    with pytest.raises(InputError, match="no environment elsewhere"):
        parts.run(parts.jobs(), "faces", step)


def test_further_kinds_of_jobs_are_run_beside_the_own_ones(parts: Parts) -> None:
    class Own:
        def run(self, attempt: Attempt, folder: Path) -> None:
            attempt.tell("notice", {"text": "own"})

    jobs = parts.jobs(kinds={"own": Own()})
    assert set(jobs._kinds) == {"faces", "workflow", "download", "benchmark", "own"}
    parts.run(jobs, "own", {"target_path": "x.png"})
    assert [event.data for event in parts.events.since("job_1")] == [{"text": "own"}]
    assert set(jobs._bodies) == {BODY}


def test_runs_and_steps_are_spans_where_tracing_is_on(parts: Parts) -> None:
    kept = Kept()
    tracing: Tracing = open_tracing(NOWHERE, kept)
    jobs = parts.jobs(environments={"local": TextSteps()}, tracing=tracing)
    parts.run(jobs, "faces", {"target_path": parts.picture()})
    tracing.close()
    assert kept.named("job") is not None
    assert kept.named("step") is not None


@pytest.mark.parametrize(("marked", "ending"), [(True, "png"), (False, "bmp")])
def test_results_without_a_name_have_a_format_that_the_operator_allows(
    tmp_path: Path, marked: bool, ending: str
) -> None:
    parts = Parts(tmp_path, marking_required=marked)
    bmp = b"BM" + (58).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    bmp += (40).to_bytes(4, "little") + (1).to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24) + bytes(4)
    target = parts.assets.add_stream([bmp], "", "a.bmp")
    seen: list[str] = []
    jobs = parts.jobs(environments={"local": TextSteps(lambda task: seen.append(task.output.name))})
    parts.run(jobs, "faces", {"target_path": f"asset:{target.id}", "output_path": "result:out"})
    assert seen == [f"out.{ending}"]
    parts.database.close()


def test_a_worker_says_which_models_are_here_without_opening_any(parts: Parts) -> None:
    from mien.models import load_catalogue

    jobs = parts.jobs()
    assert (jobs._info()["devices"], jobs._info()["models"]) == (list(parts.engine_settings.providers), [])
    model = next(
        model for model in load_catalogue().values() if len(model.files) == 1 and model.files[0].exact_size
    )
    folder = parts.engine_settings.cache_folder() / "models"
    folder.mkdir(parents=True)
    with (folder / model.files[0].name).open("wb") as file:
        file.truncate(model.files[0].exact_size)
    assert jobs._info()["models"] == [model.id]
    assert parts.jobs(info=lambda: {"mine": 1})._info() == {"mine": 1}


def test_the_keys_of_all_options_are_known(tmp_path: Path) -> None:
    with fake_engine(tmp_path) as engine:
        keys = option_keys(engine)
        assert {"content_policy", "consent_ref", "inverter_strength", "output_image_scale"} <= keys
        none = SimpleNamespace(processors={})
        assert "inverter_strength" not in option_keys(none)  # type: ignore[arg-type]
        assert option_keys(none) < keys  # type: ignore[arg-type]
