from __future__ import annotations

from pathlib import Path

import pytest

from mien.consumer.journal import NOTE, Journal
from mien.consumer.task import FetchedTask
from mien.errors import JobBusy

TASK = FetchedTask("job/../1", "face_swap", "face_swap", {"a": 1}, "token")


def test_what_was_noted_is_found_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with journal.opened():
        entry = journal.begin(TASK)
        assert entry.folder.parent == tmp_path
        (entry.folder / "out.png").write_bytes(b"x")
        entry.write(result="out.png", name="a.png")
    with journal.opened():
        (found,) = journal.left()
        assert (found.task, found.result, found.note) == (TASK, entry.folder / "out.png", entry.note)
        found.forget()
        assert journal.left() == []


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"task": {}}', '{"task": 1, "more": 2}'])
def test_a_note_that_cannot_be_read_was_never_begun(tmp_path: Path, torn: str) -> None:
    journal = Journal(tmp_path)
    entry = journal.begin(TASK)
    (entry.folder / NOTE).write_text(torn)
    assert journal.left() == []
    assert not entry.folder.exists()


def test_another_lease_of_the_same_task_has_another_folder(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    other = FetchedTask(TASK.id, TASK.workflow, TASK.environment, TASK.data, "other")
    assert journal.begin(TASK).folder != journal.begin(other).folder


def test_one_consumer_for_each_folder(tmp_path: Path) -> None:
    with Journal(tmp_path).opened(), pytest.raises(JobBusy, match="work-dir"), Journal(tmp_path).opened():
        pass
    with Journal(tmp_path).opened():
        pass
