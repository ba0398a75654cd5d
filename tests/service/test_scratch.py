from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mien.errors import AssetMissing, InputError, NoFace
from mien.jobs.job import Finished, Job, JobStep, now
from mien.service.scratch import Inputs, asset_id, clear_abandoned, lost_results, run_folder

JOB = Job("job_1", now(), steps=(JobStep({}, finished=Finished("asset:made", "")), JobStep({})))


class Shelf:
    """Assets ``a`` and ``made``, as files called by their hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open = 0

    def get(self, id: str, owner: str | None) -> Any:
        if id not in ("a", "made"):
            raise AssetMissing(f"There is no asset {id}.")
        return SimpleNamespace(id=id, name=f"holiday {id}.jpg")

    def add_url(self, url: str, owner: str) -> Any:
        return SimpleNamespace(id="a")

    @contextmanager
    def local_copy(self, id: str, owner: str | None) -> Iterator[Path]:
        self.open += 1
        yield self.folder / f"sha256-of-{id}.jpg"
        self.open -= 1


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_references_become_files_as_long_as_the_block_lasts(shelf: Shelf, tmp_path: Path) -> None:
    args = {
        "source_paths": ["asset:a"],
        "target_path": "step:0",
        "face_map": [{"face": {}, "sources": ["asset:a"]}],
        "background_remover_picture": "asset:a",
        "note": "step:0",
    }
    with Inputs(shelf, "me") as inputs:
        found = inputs.local(inputs.fetched(args), JOB)
        assert shelf.open == 4
    path = str(tmp_path / "sha256-of-a.jpg")
    assert found == {
        "source_paths": [path],
        "target_path": str(tmp_path / "sha256-of-made.jpg"),
        "face_map": [{"face": {}, "sources": [path]}],
        "background_remover_picture": path,
        "note": "step:0",
    }
    assert shelf.open == 0


def test_addresses_become_assets(shelf: Shelf) -> None:
    with Inputs(shelf, "me") as inputs:
        assert inputs.fetched({"target_path": "https://x.org/a.jpg"}) == {"target_path": "asset:a"}


def test_errors_and_notices_speak_of_files_by_the_names_of_their_owner(shelf: Shelf, tmp_path: Path) -> None:
    def work() -> None:
        with Inputs(shelf, "me") as inputs:
            path = inputs.local({"target_path": "asset:a"}, JOB)["target_path"]
            assert inputs.said(f"{path} is small.") == "holiday a.jpg is small."
            raise NoFace(f"{path} shows no face.")

    with pytest.raises(NoFace) as caught:
        work()
    assert str(caught.value) == "holiday a.jpg shows no face."
    assert shelf.open == 0


def test_what_has_no_result_is_no_target() -> None:
    assert asset_id("asset:x", JOB) == "x"
    assert asset_id("step:0", JOB) == "made"
    assert asset_id("plain", JOB) is None
    for wrong in ("step:1", "step:9", "step:x"):
        with pytest.raises(InputError, match="which has none"):
            asset_id(wrong, JOB)


def test_results_that_are_gone_are_found(shelf: Shelf) -> None:
    gone = JobStep({}, finished=Finished("asset:gone", ""))
    assert lost_results(Job("j", now(), steps=(*JOB.steps, gone)), shelf, "me") == [2]


def test_the_folder_of_a_run_is_its_own_and_gone_afterwards(tmp_path: Path) -> None:
    with run_folder(tmp_path / "runs", "job") as one, run_folder(tmp_path / "runs", "job") as two:
        assert one != two
        (one / "part").write_text("x")
    assert list((tmp_path / "runs").iterdir()) == []


def test_folders_that_nobody_ended_are_cleared_away(tmp_path: Path) -> None:
    clear_abandoned(tmp_path / "none")
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    past = time.time() - 100
    os.utime(old, (past, past))
    clear_abandoned(tmp_path, older_than=50)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
