"""One video on several workers: each makes parts of it, and the one whose job it is joins them.

Parts and inputs travel through the storage. What others make is brought into this machine's work folder, where the
engine finds it as if it had made it itself; so whatever goes wrong here, the run that follows makes what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mien.errors import Canceled, InputError, MienError, StorageError
from mien.jobs.database import DatabaseStore
from mien.jobs.engine import JobEngine, Outcome, Task
from mien.jobs.executors import Executors
from mien.jobs.rows import JobRow
from mien.pipeline.progress import Progress
from mien.safety.audit import file_hash
from mien.service.attempt import Stoppable, patiently
from mien.service.blobs import note_garbage
from mien.service.faces import FaceSteps
from mien.service.lanes import PARTS
from mien.service.scratch import Inputs, Keeps, run_folder
from mien.service.settings import ServiceSettings
from mien.service.steps import StepTask
from mien.service.watch import Watch

if TYPE_CHECKING:
    from mien.pipeline.engine import Engine
    from mien.pipeline.parts import GivenPlace
    from mien.pipeline.parts import Parts as Division
    from mien.pipeline.step import Step
    from mien.storage import Storage

BODY: Final = "mien.part"
ROUNDS: Final = 3
"""How often a part is given to other workers before it is made here."""
LOOK_EVERY: Final = 0.3
KEPT_SECONDS: Final = 24 * 3600.0
"""Time after which a part is removed from the storage that nobody fetched."""


@dataclass(frozen=True)
class Sharing:
    """Gives the parts of a video to all workers and brings them here."""

    engine: Callable[[], Engine]
    tasks: JobEngine
    executors: Executors
    storage: Storage
    settings: ServiceSettings

    @contextmanager
    def __call__(self, task: StepTask, step: Step) -> Iterator[None]:
        """Bring all parts that others make; those that were needed are removed from the storage after the block."""
        urls: list[str] = []
        if self._others():
            division = self.engine().parts(step, cancel=task.cancel)
            if division.divisible:
                urls = _Gathering(self, task, step, division).gather()
        yield
        for url in urls:
            with suppress(StorageError):
                self.storage.delete(url)

    def _others(self) -> bool:
        """Whether another worker than this one would help."""
        live = patiently(lambda: self.executors.live(self.settings.dead_after_seconds))
        return sum(executor.serves(PARTS) for executor in live) > 1


class _Gathering:
    """The parts of one step."""

    def __init__(self, sharing: Sharing, task: StepTask, step: Step, division: Division) -> None:
        self._with = sharing
        self._task = task
        self._step = step
        self._division = division
        self._rounds = dict.fromkeys(range(len(division.frames)), 0)
        self._open = set(self._rounds)
        self._urls: list[str] = []
        self._places: Sequence[GivenPlace] = [None] * len(division.frames)

    def gather(self) -> list[str]:
        """Wait for all parts; returns what of them is in the storage. Raises Canceled."""
        if not self._division.parallel:
            self._places = self._with.engine().scout(
                self._step, on_progress=self._task.report, cancel=self._task.cancel
            )
        try:
            self._put(sorted(self._open))
            while self._open:
                self._task.cancel.wait(LOOK_EVERY)
                self._look()
        except Canceled:
            waiting = [self._id(index) for index in self._open]
            with suppress(MienError):
                self._with.tasks.cancel(waiting)
            raise
        return self._urls

    def _id(self, index: int) -> str:
        """The same for whoever takes up this job, so that finished parts are found again."""
        identity = self._division.identity[:16]
        return f"{self._task.row.id}-{self._task.index}-{identity}-{index}-{self._rounds[index]}"

    def _put(self, indices: Sequence[int]) -> None:
        row = self._task.row
        tasks = [
            Task(
                self._id(index),
                BODY,
                PARTS,
                (row.id, self._task.index, index, self._places[index], self._division.identity),
                row.priority,
            )
            for index in indices
        ]
        patiently(lambda: self._with.tasks.put(tasks))

    def _look(self) -> None:
        ids = {self._id(index): index for index in self._open}
        found = patiently(lambda: self._with.tasks.outcomes(ids))
        for id, outcome in found.items():
            if outcome.state == "done" and self._adopted(ids[id], outcome):
                self._open.discard(ids[id])
                self._report()
            elif outcome.state not in ("waiting", "running"):
                self._again(ids[id])

    def _again(self, index: int) -> None:
        self._rounds[index] += 1
        if self._rounds[index] < ROUNDS:
            self._put([index])
        else:
            self._open.discard(index)  # it is made here, and what is wrong with it is found out here

    def _adopted(self, index: int, outcome: Outcome) -> bool:
        """Bring a finished part here; False where it is not what was asked for, or gone."""
        made: Mapping[str, Any] = outcome.value
        place = self._task.folder / f"part-{index}"
        try:
            with self._with.storage.open(made["url"]) as opened, place.open("wb") as file:
                for chunk in opened:
                    file.write(chunk)
            if file_hash(place) != made["sha256"]:
                return False
            self._with.engine().adopt_part(self._step, index, place, made["note"])
        except (StorageError, InputError):
            return False
        finally:
            place.unlink(missing_ok=True)
        self._urls.append(made["url"])
        return True

    def _report(self) -> None:
        frames = self._division.frames
        done = sum(count for index, count in enumerate(frames) if index not in self._open)
        self._task.report(Progress("process", done, sum(frames), message="on several workers"))


@dataclass(frozen=True)
class PartMaker:
    """The body of the engine's tasks for single parts."""

    engine: Callable[[], Engine]
    faces: FaceSteps
    store: DatabaseStore
    assets: Keeps
    storage: Storage
    settings: ServiceSettings
    watch: Watch
    folder: Path

    def make(self, job: str, step: int, part: int, place: GivenPlace, identity: str) -> dict[str, Any]:
        """Make a part and put it into the storage; returns where it is. Raises what is wrong with it, Canceled."""
        row = patiently(lambda: self.store.row(job))
        allowed = row.request.get("run_within") or self.settings.run_within
        work = Stoppable(job, None, time.monotonic() + float(allowed))
        with (
            self.watch.over(work),
            run_folder(self.folder, job) as folder,
            Inputs(self.assets, row.owner) as inputs,
        ):
            work.cancel.raise_if_set()
            task = self._task(row, step, folder, inputs, work)
            made = self.engine().make_part(self.faces.step_of(task), part, place=place, cancel=work.cancel)
            if made.note["identity"] != identity:
                raise InputError(
                    "The parts of this video would not fit together: the workers have different versions or models."
                )
            work.cancel.raise_if_set()
            return self._put(made.path, made.note)

    def _task(self, row: JobRow, index: int, folder: Path, inputs: Inputs, work: Stoppable) -> StepTask:
        from dataclasses import replace

        step = row.job.steps[index]
        target = inputs.media_of(step.target_path, row.job)
        return StepTask(
            row=row,
            index=index,
            step=replace(step, args=inputs.local(step.args, row.job)),
            folder=folder,
            output=folder / Path((step.output_path or "").removeprefix("result:")).name,
            target_media={} if target is None else target.media.as_record(),
            cancel=work.cancel,
        )

    def _put(self, path: Path, note: Mapping[str, Any]) -> dict[str, Any]:
        stored = self.storage.put_file(path)
        with self.store.database.begin() as connection:
            note_garbage(connection, stored.url, time.time() + KEPT_SECONDS)
        return {"url": stored.url, "sha256": file_hash(path), "note": dict(note)}
