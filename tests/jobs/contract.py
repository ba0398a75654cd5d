"""What every store of jobs must do; each store runs these tests with a fixture ``store`` of its own."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from mien.errors import JobBusy, JobError, JobExists, JobMissing
from mien.jobs import editing, states
from mien.jobs.failures import failure_of
from mien.jobs.job import Finished, Job, JobStep
from mien.jobs.store import JobStore, create_named

STEP = JobStep({"source_paths": None, "target_path": "t.png", "output_path": "o/a.png", "processors": ["p"]})
DONE = Finished("o/a-x-0.png", "inputs", 1, 2, 0.5, ("said",))


def queued(store: JobStore, id: str = "x") -> Job:
    store.create(id)
    store.update(id, lambda job: editing.add_step(job, STEP))
    return store.update(id, states.submit)


class StoreContract:
    def test_a_new_job_is_drafted_and_empty(self, store: JobStore) -> None:
        job = store.create("demo")
        assert (job.id, job.status, job.steps, job.updated) == ("demo", "drafted", (), None)
        assert store.get("demo") == job

    def test_ids_are_unique_in_all_states(self, store: JobStore) -> None:
        queued(store)
        with pytest.raises(JobExists):
            store.create("x")

    def test_automatic_ids_never_collide(self, store: JobStore) -> None:
        ids = {create_named(store, "headless").id for _ in range(4)}
        assert len(ids) == 4
        assert all(id.startswith("headless-") for id in ids)

    def test_what_is_missing_is_said(self, store: JobStore) -> None:
        for act in (store.get, store.delete, lambda id: store.update(id, states.submit)):
            with pytest.raises(JobMissing):
                act("none")
        with pytest.raises(JobMissing), store.claim("none", "w"):
            pass

    def test_a_change_is_kept_with_all_its_fields(self, store: JobStore) -> None:
        store.create("x")
        step = replace(STEP, open=("p_model",), inputs="i", finished=DONE, status="completed", extra={"n": 1})
        failed = replace(STEP, status="failed", failure=failure_of(MemoryError(), 1), delivered=True)
        job = store.update("x", lambda job: replace(job, steps=(step, failed), extra={"other": [1]}))
        assert store.get("x") == job
        assert job.updated is not None

    def test_a_refused_change_changes_nothing(self, store: JobStore) -> None:
        job = store.create("x")
        with pytest.raises(JobError, match="no step"):
            store.update("x", states.submit)
        assert store.get("x") == job

    def test_jobs_are_listed_by_state_longest_unchanged_first(self, store: JobStore) -> None:
        for id in ("b", "a", "c"):
            store.create(id)
        store.update("b", lambda job: editing.add_step(job, STEP))
        store.update("c", lambda job: editing.add_step(job, STEP))
        store.update("c", states.submit)
        assert [job.id for job in store.jobs("drafted")] == ["a", "b"]
        assert [job.id for job in store.jobs()] == ["a", "b", "c"]
        assert [job.id for job in store.jobs("queued", "failed")] == ["c"]

    def test_deleting_works_in_every_state_but_running(self, store: JobStore) -> None:
        queued(store)
        with store.claim("x", "w"), pytest.raises(JobBusy):
            store.delete("x")
        assert store.delete("x") is not None
        assert store.jobs() == ()
        assert queued(store).status == "queued"

    def test_a_job_is_claimed_once(self, store: JobStore) -> None:
        queued(store)
        with store.claim("x", "one") as claim:
            assert store.get("x").status == "running"
            assert [job.id for job in store.jobs("running")] == ["x"]
            assert claim.job.attempts[-1].worker == "one"
            with pytest.raises(JobBusy), store.claim("x", "two"):
                pass

    def test_only_queued_jobs_are_claimed(self, store: JobStore) -> None:
        store.create("x")
        with pytest.raises(JobError, match="drafted"), store.claim("x", "w"):
            pass

    def test_a_run_ends_completed(self, store: JobStore) -> None:
        queued(store)
        with store.claim("x", "w") as claim:
            claim.update(lambda job: states.start_step(job, 0, "inputs"))
            claim.update(lambda job: states.finish_step(job, 0, DONE))
            claim.update(states.complete)
        job = store.get("x")
        assert (job.status, job.steps[0].finished, job.attempts[0].outcome) == (
            "completed",
            DONE,
            "completed",
        )
        with pytest.raises(JobError, match="completed"):
            store.update("x", states.retry)

    @pytest.mark.parametrize("end", ["failed", "canceled"])
    def test_a_run_that_does_not_complete_can_be_retried(self, store: JobStore, end: str) -> None:
        queued(store)
        failure = failure_of(ValueError("bad"), 0)
        stopped = replace(failure, kind="canceled")
        with store.claim("x", "w") as claim:
            change = {
                "failed": lambda job: states.fail(job, failure),
                "canceled": lambda job: states.cancel(job, stopped),
            }[end]
            claim.update(change)
        assert store.get("x").status == end
        assert [job.id for job in store.jobs(end)] == ["x"]  # type: ignore[arg-type]
        assert store.update("x", states.retry).status == "queued"
        with store.claim("x", "w") as claim:
            assert [attempt.number for attempt in claim.job.attempts] == [1, 2]

    def test_a_run_that_died_is_begun_again(self, store: JobStore) -> None:
        queued(store)
        with store.claim("x", "dead") as claim:
            claim.update(lambda job: states.start_step(job, 0, "inputs"))
        assert store.get("x").status == "queued"
        assert store.update("x", states.retry).steps[0].status == "started"
        with store.claim("x", "next") as claim:
            assert claim.job.steps[0].inputs == "inputs"
            assert [attempt.worker for attempt in claim.job.attempts] == ["dead", "next"]
            assert claim.job.attempts[0].outcome == "lost"

    def test_a_late_worker_changes_nothing(self, store: JobStore) -> None:
        queued(store)
        with store.claim("x", "late") as late:
            pass
        with store.claim("x", "next"):
            before = store.get("x")
            with pytest.raises(JobBusy):
                late.update(lambda job: states.finish_step(job, 0, DONE))
            assert store.get("x") == before

    def test_changes_from_many_threads_all_count(self, store: JobStore) -> None:
        store.create("x")

        def add() -> None:
            for _ in range(5):
                store.update("x", lambda job: editing.add_step(job, STEP))

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.get("x").steps) == 20
