from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.consumer.gateway import Away
from mien.consumer.journal import NOTE, Entry, Journal
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


def several(entry: Entry) -> None:
    (entry.folder / "b.mp4").write_bytes(b"more")
    (entry.folder / "c.wav").write_bytes(b"most")
    entry.write(others=[["b.mp4", "b.mp4"], ["c.wav", "c.wav"]], notices=["seen"])


class Uploads:
    """In the place of the gateway; away when the third file comes, once."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def upload(self, path: Path, name: str) -> str:
        if len(self.names) == 2 and "c.wav" not in self.names:
            self.names.append("away")
            raise Away("The gateway is away.")
        self.names.append(name)
        return path.read_text()


def test_all_files_are_put_each_once_whatever_happens(entry: Entry) -> None:
    several(entry)
    gateway = Uploads()
    with pytest.raises(Away):
        Outbox(gateway).put(entry)  # type: ignore[arg-type]
    (again,) = Journal(entry.folder.parent).left()
    report = Outbox(gateway).put(again)  # type: ignore[arg-type]
    assert report == {"assets": ["result", "more", "most"], "notices": ["seen"]}
    assert gateway.names == ["a.png", "b.mp4", "away", "c.wav"]


def test_several_files_in_a_storage_of_its_own(entry: Entry, tmp_path: Path) -> None:
    several(entry)
    storage = LocalStorage(tmp_path / "storage", "", "https://files.example.org", "key")
    data = outbox(storage).put(entry)["output_data"]
    assert (data["url"], len(data["urls"])) == (data["urls"][0], 3)
    assert len([path for path in (tmp_path / "storage").rglob("*") if path.is_file()]) == 3


def test_a_note_of_an_earlier_version_is_read(entry: Entry) -> None:
    note = {"task": dict(entry.note.task), "result": "out.png", "name": "a.png", "announced": None}
    (entry.folder / NOTE).write_text(json.dumps(note))
    (found,) = Journal(entry.folder.parent).left()
    assert found.files() == [(entry.folder / "out.png", "a.png")]
