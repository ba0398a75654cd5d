"""Random sequences of commands, with the process killed between any two file operations, against a simple model."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mien.errors import JobError, MienError
from mien.jobs import editing, outputs, states
from mien.jobs.folder import FOLDERS, FolderStore
from mien.jobs.job import Job
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Step
from tests.jobs.fakes import Death, TextEngine, mortal, runner, text_step

NAMES = ("one", "two", "three")
IDS = st.tuples(st.sampled_from(NAMES), st.integers(0, 5))
"""A job, and a number that is 0 when the command may be refused: else a job is taken that allows it."""
LIFE = st.sampled_from([None, None, *range(13)])
"""File operations that a command lives for; None: to its end."""
RUN_LIFE = st.sampled_from([None, *range(5, 100)])

# What the commands allow, said once more and without any of the code under test.
SUBMIT, RETRY, RUN = {"drafted"}, {"failed", "canceled"}, {"queued"}


@pytest.fixture(scope="module", autouse=True)
def _no_power_is_lost() -> Iterator[None]:
    """Only the process dies here, so that the disk need not be waited for ten thousand times."""

    def at_once(file: int) -> None: ...

    with mock.patch.object(os, "fsync", at_once):
        yield


class Jobs(RuleBasedStateMachine):
    """``known`` is what the model says of each job: its state and the labels of its steps."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mien-jobs-"))
        (self.folder / "target.png").write_text("t")
        self.store = FolderStore(self.folder / "jobs")
        self.store.prepare()
        self.known: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.written: dict[str, set[str]] = {}
        self.labels = 0

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def pick(self, id: tuple[str, int], *wanted: str) -> str:
        name, number = id
        fitting = [known for known, (status, _) in sorted(self.known.items()) if status in wanted]
        return fitting[number % len(fitting)] if number and fitting else name

    def label(self) -> str:
        self.labels += 1
        return str(self.labels)

    def attempt(self, id: str, act: object, expected: object, life: int | None) -> bool:
        """Do something to a job; afterwards it is as before or as expected, and surely the latter if nothing
        happened to the process. Returns whether it lived.
        """
        before = self.known.get(id)
        lived = refused = False
        with mortal(life) as dead:
            try:
                act()  # type: ignore[operator]
                lived = True
            except Death:
                pass
            except MienError:
                refused = not dead()
        now = self.seen(id)
        if refused:
            assert expected is None, f"refused, but {expected} was expected"
            assert now == before
        elif lived:
            assert now == expected
        else:
            assert now in (before, expected), (before, now, expected)
        self.remember(id, now)
        return lived or refused

    def remember(self, id: str, now: tuple[str, tuple[str, ...]] | None) -> None:
        if now is None:
            self.known.pop(id, None)
        else:
            self.known[id] = now

    def seen(self, id: str) -> tuple[str, tuple[str, ...]] | None:
        try:
            job = self.store.get(id)
        except JobError:
            return None
        return job.status, labels_of(job)

    @rule(pair=IDS, life=LIFE)
    def create(self, pair: tuple[str, int], life: int | None) -> None:
        id = next((name for name in NAMES if name not in self.known), pair[0]) if pair[1] else pair[0]
        expected = None if id in self.known else ("drafted", ())
        self.attempt(id, lambda: self.store.create(id), expected, life)
        if expected:
            self.written[id] = set()

    @rule(pair=IDS, life=LIFE, place=st.sampled_from("abc"))
    def add(self, pair: tuple[str, int], life: int | None, place: str) -> None:
        id = self.pick(pair, "drafted", "queued", "failed", "canceled")
        label = self.label()
        step = text_step(self.folder, label, f"{id}-{place}.png")
        expected = self.with_labels(id, lambda labels: (*labels, label))
        self.attempt(
            id, lambda: self.store.update(id, lambda job: editing.add_step(job, step)), expected, life
        )

    @rule(pair=IDS, life=LIFE, index=st.integers(-2, 3), place=st.sampled_from("abc"))
    def remix(self, pair: tuple[str, int], life: int | None, index: int, place: str) -> None:
        id = self.pick(pair, "drafted", "queued", "failed")
        label = self.label()
        step = text_step(self.folder, label, f"{id}-{place}.png")
        expected = self.with_labels(
            id, lambda labels: (*labels, label) if index < len(labels) and labels else None
        )
        change = lambda job: editing.remix_step(job, index, step)  # noqa: E731
        self.attempt(id, lambda: self.store.update(id, change), expected, life)

    @rule(pair=IDS, life=LIFE, index=st.integers(-2, 3))
    def insert(self, pair: tuple[str, int], life: int | None, index: int) -> None:
        id = self.pick(pair, "drafted", "queued", "failed")
        label = self.label()
        step = text_step(self.folder, label, f"{id}-a.png")

        def inserted(labels: tuple[str, ...]) -> tuple[str, ...] | None:
            if not labels or index >= len(labels):
                return None
            at = len(labels) - 1 if index < 0 else index
            return (*labels[:at], label, *labels[at:])

        change = lambda job: editing.insert_step(job, index, step)  # noqa: E731
        self.attempt(id, lambda: self.store.update(id, change), self.with_labels(id, inserted), life)
        self.written[id] = set()

    @rule(pair=IDS, life=LIFE, index=st.integers(-2, 3))
    def remove(self, pair: tuple[str, int], life: int | None, index: int) -> None:
        id = self.pick(pair, "drafted", "failed")

        def removed(labels: tuple[str, ...]) -> tuple[str, ...] | None:
            if not labels or index >= len(labels):
                return None
            at = len(labels) - 1 if index < 0 else index
            return (*labels[:at], *labels[at + 1 :])

        change = lambda job: editing.remove_step(job, index)  # noqa: E731
        self.attempt(id, lambda: self.store.update(id, change), self.with_labels(id, removed), life)
        self.written[id] = set()

    @rule(pair=IDS, life=LIFE)
    def submit(self, pair: tuple[str, int], life: int | None) -> None:
        id = self.pick(pair, "drafted")
        status, labels = self.known.get(id, ("", ()))
        expected = ("queued", labels) if status in SUBMIT and labels else None
        self.attempt(id, lambda: self.store.update(id, states.submit), expected, life)

    @rule(pair=IDS, life=LIFE)
    def retry(self, pair: tuple[str, int], life: int | None) -> None:
        id = self.pick(pair, "failed", "canceled", "queued")
        status, labels = self.known.get(id, ("", ()))
        died = status in RUN and states.was_interrupted(self.store.get(id))
        expected = ("queued", labels) if status in RETRY or died else None
        self.attempt(id, lambda: self.store.update(id, states.retry), expected, life)

    @rule(pair=IDS, life=LIFE)
    def delete(self, pair: tuple[str, int], life: int | None) -> None:
        id = self.pick(pair, "completed", "failed")
        known = id in self.known
        lived = False
        with mortal(life):
            try:
                job = self.store.delete(id)
                outputs.discard(outputs.waiting(job) if job else ())
                lived = True
            except Death:
                pass
            except JobError:
                assert not known
        now = self.seen(id)
        assert now in (None, self.known.get(id))
        assert not (lived and now)
        self.remember(id, now)

    @rule(pair=IDS, places=st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
    def prepare(self, pair: tuple[str, int], places: list[str]) -> None:
        """A queued job of several steps, each of which but the first works on the result of the one before."""
        id = pair[0]
        if id in self.known:
            return
        self.store.create(id)
        labels = []
        for number, place in enumerate(places):
            labels.append(self.label())
            step = text_step(self.folder, labels[-1], f"{id}-{place}.png")
            if number == 0:
                self.store.update(id, lambda job, step=step: editing.add_step(job, step))
            else:
                self.store.update(id, lambda job, step=step: editing.remix_step(job, -1, step))
        self.store.update(id, states.submit)
        self.known[id] = ("queued", tuple(labels))
        self.written[id] = set()

    @rule(
        pair=IDS,
        life=RUN_LIFE,
        ill=st.integers(0, 6),
        end=st.sampled_from(["fail", "cancel"]),
        go_on=st.booleans(),
    )
    def run(self, pair: tuple[str, int], life: int | None, ill: int, end: str, go_on: bool) -> None:
        id = self.pick(pair, "queued")
        status, labels = self.known.get(id, ("", ()))
        ill_label = labels[ill] if ill < len(labels) else None
        cancel = Cancel()
        written = self.written.setdefault(id, set())

        def behave(step: Step) -> None:
            label = step.options["label"]
            if label in written:
                problems.append("a finished result was lost")
            if FolderStore(self.store.folder).get(id).status != "running":
                problems.append("nobody sees that the job is being run")
            if label == ill_label:
                if end == "cancel":
                    cancel.set()
                    cancel.raise_if_set()
                raise OSError("weather")

        problems: list[str] = []  # whatever an engine raises is a failure of the step
        engine = TextEngine(behave)
        died = False
        with mortal(life):
            try:
                runner(self.store, engine, keep_going=go_on).run(id, cancel)
            except Death:
                died = True
            except JobError:
                assert status not in RUN
        assert not problems
        written.update(engine.done)
        now = self.seen(id)
        if status not in RUN:
            assert now == self.known.get(id)
        elif died:
            assert now is not None
            assert now[0] in ("queued", "failed", "canceled", "completed")
        else:
            assert now is not None
            assert now[0] in ("completed", "failed" if end == "fail" else "canceled", "failed")
        if now is not None:
            assert now[1] == labels
            self.remember(id, now)
            if now[0] == "completed":
                self.check_outputs(self.store.get(id))

    def check_outputs(self, job: Job) -> None:
        """Everything is where it belongs, made of what it should be, and nothing else is left."""
        for step in job.steps:
            assert step.delivered
        last = {step.output_path: step for step in job.steps}
        for path, step in last.items():
            content = Path(path or "").read_text()
            assert content.endswith(f"+{step.args['label']}")

    def with_labels(self, id: str, change: object) -> tuple[str, tuple[str, ...]] | None:
        if id not in self.known:
            return None
        status, labels = self.known[id]
        changed = change(labels)  # type: ignore[operator]
        return None if changed is None else (status, changed)

    @invariant()
    def every_job_file_can_be_read_and_is_there_once(self) -> None:
        if not hasattr(self, "folder"):
            return
        found: list[str] = []
        for place in FOLDERS:
            for path in (self.store.folder / place).glob("*.json"):
                if path.name.startswith("."):
                    continue
                data = json.loads(path.read_text())
                assert {"version", "date_created", "date_updated", "steps"} <= data.keys()
                found.append(path.stem)
        assert sorted(found) == sorted(self.known)

    @invariant()
    def finished_results_are_kept(self) -> None:
        for id in getattr(self, "known", ()):
            for step in self.store.get(id).steps:
                if states.is_done(step) and not step.delivered and step.finished:
                    assert os.path.isfile(step.finished.path)


def labels_of(job: Job) -> tuple[str, ...]:
    return tuple(str(step.args["label"]) for step in job.steps)


Jobs.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestJobs = Jobs.TestCase
