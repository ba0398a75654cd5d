"""Workers are killed, the database crashes: nothing is lost, nothing is done twice that counts."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mien.db.tables import job_events, jobs
from mien.service.parts import BODY as PART
from tests import postgres
from tests.forked import Forked
from tests.pipeline.clips import make_clip
from tests.service.workplaces import MARKS, Workplace, new_job, worker_process, workers, workplace

JOBS = 200
SECONDS = 0.1
PATIENCE = 150


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[Workplace]:
    with workplace(database_url, tmp_path / "data", storage=tmp_path / "storage") as made:
        yield made


@pytest.fixture
def worker(database_url: str, tmp_path: Path) -> Callable[[int], Forked]:
    def make(number: int) -> Forked:
        storage = str(tmp_path / "storage")
        settings = {"workers": 4, "max_attempts": 20, "poll_seconds": 0.05}
        folder = tmp_path / f"worker-{number}"
        return worker_process(database_url, folder, storage=storage, seconds=SECONDS, **settings)

    return make


def statuses(place: Workplace) -> Counter[str]:
    with place.database.read() as connection:
        return Counter(connection.execute(sa.select(jobs.c.status)).scalars())


def completions(place: Workplace) -> Counter[str]:
    """How often each job was said to be completed."""
    query = sa.select(job_events.c.job, job_events.c.data).where(job_events.c.type == "status")
    with place.database.read() as connection:
        told = connection.execute(query).all()
    return Counter(job for job, data in told if data["status"] == "completed")


def test_jobs_survive_the_death_of_workers_and_a_crash_of_the_database(
    place: Workplace,
    worker: Callable[[int], Forked],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    target = place.picture()
    new = [
        new_job(f"job_{number:03}", {"target_path": target, "label": str(number)}) for number in range(JOBS)
    ]
    place.store.insert(new)
    dice = random.Random(1)
    with workers(3, worker) as running:
        for number in range(4):
            time.sleep(0.7)
            victim = dice.randrange(3)
            running[victim].kill()
            running[victim] = worker(3 + number)
            if number == 1 and not place.database.is_sqlite:
                running[victim].wait_until_ready()  # nobody can begin while there is no database
                server: postgres.Server = request.getfixturevalue("postgres_server")
                server.stop("immediate")
                time.sleep(1)
                server.start()
        deadline = time.monotonic() + PATIENCE
        while statuses(place) != {"completed": JOBS}:
            assert time.monotonic() < deadline, statuses(place)
            time.sleep(0.2)
        assert [process.end() for process in running] == [0, 0, 0]
    assert completions(place) == Counter({item.job.id: 1 for item in new})
    rows, _ = place.store.page(limit=JOBS)
    assert {row.id: place.text(row.results[0]) for row in rows} == {
        f"job_{number:03}": str(number) for number in range(JOBS)
    }
    bodies = Counter(path.name.split(".")[0] for path in (tmp_path / MARKS).iterdir())
    assert set(bodies) == {item.job.id for item in new}


def test_a_video_is_made_by_all_workers_and_one_of_them_may_die(database_url: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 150)
    step = {"output_path": "result:clip.mp4", "processors": ["inverter"], "inverter_delay": 0.02}

    def worker(number: int) -> Forked:
        folder = tmp_path / f"worker-{number}"
        return worker_process(database_url, folder, storage=str(tmp_path / "storage"), segment_seconds=1.0)

    storage = tmp_path / "storage"
    opened_place = workplace(database_url, tmp_path / "data", storage=storage, segment_seconds=1.0)
    with opened_place as place, workers(3, worker) as running:
        target = f"asset:{place.assets.store_file(clip, '', 'clip.mp4').id}"
        place.submit({**step, "target_path": target})
        row = place.wait("job_1", "running")
        while not (row.progress and row.progress["done"]):
            assert not row.has_ended
            time.sleep(0.05)
            row = place.store.row("job_1")
        owner = next(executor for executor in place.jobs.executors.live(10) if executor.id == row.worker)
        victim = next(process for process in running if process.pid != owner.info["pid"])
        victim.kill()
        row = place.wait(seconds=PATIENCE)
        assert (row.status, row.fence, row.results[0]["frames"]) == ("completed", 1, 150)
        with place.assets.open(row.results[0]["asset"], "") as opened:
            shared = b"".join(opened)
        parts = place.engine._client.list_workflows(name=PART, load_input=False, load_output=False)
    assert {status.status for status in parts} == {"SUCCESS"}
    assert len({status.executor_id for status in parts}) >= 2
    assert shared == made_alone(clip, step, tmp_path)


def made_alone(clip: Path, step: dict[str, object], folder: Path) -> bytes:
    """The result of one process, with nobody to help."""
    url = f"sqlite:///{folder}/alone.db"
    with workplace(url, folder / "alone", segment_seconds=1.0) as place:
        place.jobs.start("all")
        target = f"asset:{place.assets.store_file(clip, '', 'clip.mp4').id}"
        place.submit({**step, "target_path": target, "inverter_delay": 0.0})
        row = place.wait()
        assert row.status == "completed", row.job.failure
        with place.assets.open(row.results[0]["asset"], "") as opened:
            return b"".join(opened)
