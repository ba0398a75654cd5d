from __future__ import annotations

import json
from pathlib import Path

import pytest

from mien.errors import JobExists, JobMissing, JobUnreadable, OutputNotWritable
from mien.jobs import editing, states
from mien.jobs.folder import FolderStore
from mien.jobs.job import JobStep
from tests.jobs.contract import STEP, StoreContract, queued

FOREIGN = """{
    "version": "1",
    "date_created": "2026-08-01T10:15:30.123456+02:00",
    "date_updated": null,
    "steps": [
        {
            "args": {
                "source_paths": [
                    "M\\u00fcller \\udcff.jpg"
                ],
                "target_path": "in/clip.mp4",
                "output_path": "out/clip.mp4",
                "face_detector_score": 0.5,
                "trim_frame_start": null,
                "unheard_of": {
                    "a": 1
                }
            },
            "status": "queued",
            "note": "theirs"
        }
    ],
    "label": "theirs"
}"""


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "jobs [1]*")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    found = FolderStore(tmp_path / "jobs")
    found.prepare()
    return found


def test_the_folder_is_the_state(store: FolderStore) -> None:
    queued(store)
    assert _files(store) == ["queued/x.json"]
    with store.claim("x", "w") as claim:
        assert _files(store) == ["queued/x.json"]
        claim.update(lambda job: states.fail(job, states.Failure("internal", "no")))
    assert _files(store) == ["failed/x.json"]
    store.delete("x")
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def test_a_foreign_file_comes_back_byte_by_byte(store: FolderStore) -> None:
    path = store.folder / "queued" / "theirs.json"
    path.write_text(FOREIGN)
    job = store.get("theirs")
    assert job.steps[0].source_paths == ("Müller \udcff.jpg",)
    assert store.update("theirs", lambda job: job) == job
    assert path.read_text() == FOREIGN
    store.update("theirs", lambda job: editing.add_step(job, STEP))
    store.update("theirs", lambda job: editing.remove_step(job, -1))
    changed = json.loads(path.read_text())
    assert changed.pop("date_updated") is not None
    assert changed == {key: value for key, value in json.loads(FOREIGN).items() if key != "date_updated"}


def test_a_job_that_was_never_run_has_only_what_the_field_knows(store: FolderStore) -> None:
    queued(store)
    data = json.loads((store.folder / "queued" / "x.json").read_text())
    assert list(data) == ["version", "date_created", "date_updated", "steps"]
    assert [list(step) for step in data["steps"]] == [["args", "status"]]
    assert data["version"] == "1"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", '{"version": "1"}', '{"version": "1", "date_created": "", "date_updated": null}'],
)
def test_a_damaged_file_is_left_out_and_can_be_deleted(store: FolderStore, content: str) -> None:
    (store.folder / "queued" / "bad.json").write_text(content)
    assert store.jobs() == ()
    for act in (store.get, lambda id: store.update(id, states.submit)):
        with pytest.raises(JobUnreadable):
            act("bad")
    with pytest.raises(JobUnreadable), store.claim("bad", "w"):
        pass
    with pytest.raises(JobExists):
        store.create("bad")
    assert store.delete("bad") is None
    with pytest.raises(JobMissing):
        store.get("bad")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable):
        FolderStore(tmp_path / "file").create("x")


def test_a_job_that_the_other_program_left_half_done_goes_on(store: FolderStore) -> None:
    queued(store)
    path = store.folder / "queued" / "x.json"
    path.write_text(path.read_text().replace('"status": "queued"', '"status": "started"'))
    assert store.get("x").status == "queued"
    assert store.update("x", states.retry).steps[0].status == "started"
    with store.claim("x", "w") as claim:
        assert claim.job.status == "running"


def _files(store: FolderStore) -> list[str]:
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.glob("*/*.json"))


def test_editing_moves_the_targets_of_remixed_steps(store: FolderStore) -> None:
    store.create("x")
    store.update("x", lambda job: editing.add_step(job, STEP))
    store.update("x", lambda job: editing.remix_step(job, 0, JobStep({"output_path": "o/b.PNG"})))
    assert store.get("x").steps[1].target_path == "o/a-x-0.png"
    job = store.update("x", lambda job: editing.insert_step(job, 0, STEP))
    assert [step.target_path for step in job.steps] == ["t.png", "t.png", "o/a-x-1.png"]
    job = store.update("x", lambda job: editing.remove_step(job, 0))
    assert [step.target_path for step in job.steps] == ["t.png", "o/a-x-0.png"]
