from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.consumer.journal import Entry, Journal
from mien.consumer.outbox import Outbox
from mien.consumer.task import FetchedTask
from mien.storage import Storage
from mien.storage.local import LocalStorage


class Killed(BaseException):
    """The process ends."""


class Dying(LocalStorage):
    """Ends the process when the object is there and nobody knows yet."""

    def put_file(
        self, path: Path, filename: str | None = None, announce: Callable[[str], None] | None = None
    ) -> Any:
        super().put_file(path, filename, announce)
        raise Killed


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    journal = Journal(tmp_path / "work")
    journal.folder.mkdir()
    found = journal.begin(FetchedTask("t", "face_swap", "face_swap", {}, "token"))
    (found.folder / "out.png").write_bytes(b"result")
    found.write(result="out.png", name="a.png")
    return found


def outbox(storage: Storage) -> Outbox:
    return Outbox(None, storage)  # type: ignore[arg-type]


def test_a_result_is_put_once(entry: Entry, tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "storage", "", "https://files.example.org", "key")
    report = outbox(storage).put(entry)
    assert report["output_data"]["url"].startswith("https://files.example.org/")
    assert outbox(storage).put(Entry(entry.folder, entry.note)) == report
    assert len([path for path in (tmp_path / "storage").rglob("*") if path.is_file()]) == 1


def test_what_a_killed_process_left_is_removed(entry: Entry, tmp_path: Path) -> None:
    place = (tmp_path / "storage", "", "https://files.example.org", "key")
    with pytest.raises(Killed):
        outbox(Dying(*place)).put(entry)
    (again,) = Journal(entry.folder.parent).left()
    outbox(LocalStorage(*place)).put(again)
    assert len([path for path in (tmp_path / "storage").rglob("*") if path.is_file()]) == 1
