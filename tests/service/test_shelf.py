from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mien.comfyui import ComfySettings
from mien.errors import Forbidden, JobMissing, ModelForbidden, ModelUnknown, NotFound
from mien.models import ModelStore
from mien.models.catalogue import Catalogue
from mien.service.callers import Caller
from mien.service.service import Service
from mien.service.shelf import Shelf
from mien.settings import Settings
from tests.models.test_store import BODY, crc32, model
from tests.service.comfy_places import make_service

ANN = Caller("ann", "k1")
MODELS = (model("one", crc32=crc32(BODY)), model("two"), model("theirs", commercial_use=False))

MakeShelf = Callable[..., Shelf]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Takes jobs in, which nobody runs."""
    with make_service(tmp_path_factory.mktemp("service"), ComfySettings()) as found:
        yield found


@pytest.fixture
def make(service: Service, tmp_path: Path) -> MakeShelf:
    """A shelf over a catalogue of its own: ``make(model, …, setting=value)``."""

    def build(*models: Any, allow: bool = True, **changes: Any) -> Shelf:
        store = ModelStore(Settings(cache_dir=tmp_path / "cache", **changes), Catalogue(models or MODELS))
        settings = service.settings.model_copy(update={"allow_model_downloads": allow})
        return Shelf(store, {"swapper"}, replace(service.desk.submissions, settings=settings))

    return build


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(BODY)


def test_models_are_brought_by_a_job(make: MakeShelf, service: Service) -> None:
    row = make().download(["two", "swapper", "one", "two"], ANN, "a")
    assert (row.id, row.kind, row.owner, row.status) == ("job_a", "download", "ann", "queued")
    assert row.job.steps[0].args == {"models": ["two", "swapper", "one"], "processors": []}
    assert service.store.row("job_a", "ann").job == row.job


def test_the_same_request_twice_is_one_job(make: MakeShelf, service: Service) -> None:
    shelf = make()
    first, second = (shelf.download(["one"], ANN, "b") for _ in range(2))
    assert (first.seq, first.job) == (second.seq, second.job)
    with pytest.raises(JobMissing):  # a seed is the caller's own
        shelf.download(["one"], Caller("bob", "k2"), "b")


def test_all_names_that_mean_nothing_are_told(make: MakeShelf, service: Service) -> None:
    with pytest.raises(ModelUnknown) as caught:
        make().download(["one", "three", "swapper", "four"], ANN, "c")
    assert [field for field, _ in caught.value.details] == ["models.1", "models.3"]
    assert (caught.value.code, caught.value.http_status) == ("model_unknown", 422)
    with pytest.raises(JobMissing):
        service.store.row("job_c")


def test_a_model_whose_licence_is_not_allowed_is_not_brought(make: MakeShelf) -> None:
    assert make().download(["theirs"], ANN, "d").status == "queued"
    with pytest.raises(ModelForbidden, match="MIEN_ALLOW_NONCOMMERCIAL") as caught:
        make(allow_noncommercial=False).download(["theirs"], ANN, "e")
    assert [field for field, _ in caught.value.details] == ["models.0"]


def test_where_downloads_are_not_allowed_none_is_taken(make: MakeShelf) -> None:
    with pytest.raises(Forbidden, match="the operator set MIEN_ALLOW_MODEL_DOWNLOADS") as caught:
        make(allow=False).download(["no such model"], ANN, "f")
    assert caught.value.code == "forbidden"


def test_what_was_downloaded_is_removed_and_can_come_again(make: MakeShelf) -> None:
    shelf = make()
    put(shelf.models.folder, "one.onnx", "two.onnx", "other.bin")
    assert shelf.models.find("one") is not None
    shelf.delete("one")
    assert shelf.models.find("one") is None
    assert sorted(path.name for path in shelf.models.folder.iterdir()) == ["other.bin", "two.onnx"]
    with pytest.raises(NotFound, match="The model one is not here"):
        shelf.delete("one")


def test_a_damaged_file_is_removed_as_well(make: MakeShelf) -> None:
    shelf = make()
    put(shelf.models.folder, "one.onnx")
    (shelf.models.folder / "one.onnx").write_bytes(b"half")
    shelf.delete("one")
    assert not (shelf.models.folder / "one.onnx").exists()


def test_a_model_that_there_is_not_is_not_found(make: MakeShelf) -> None:
    for name in ("three", "../../one", ""):
        with pytest.raises(NotFound) as caught:
            make().delete(name)
        assert caught.value.code == "not_found"


def test_what_other_models_need_too_stays(make: MakeShelf) -> None:
    both = model("both")
    both = replace(both, files=(*both.files, model("one").files[0]))
    shelf = make(model("one"), both)
    put(shelf.models.folder, "one.onnx", "both.onnx")
    shelf.delete("both")
    assert [path.name for path in shelf.models.folder.iterdir()] == ["one.onnx"]
    assert shelf.models.find("one") is not None


def test_the_operators_own_files_are_never_removed(make: MakeShelf, tmp_path: Path) -> None:
    put(tmp_path / "own", "one.onnx")
    shelf = make(models_dir=tmp_path / "own")
    with pytest.raises(Forbidden, match="MIEN_MODELS_DIR"):
        shelf.delete("one")
    both = model("both")
    both = replace(both, files=(*both.files, model("one").files[0]))
    shelf = make(both, models_dir=tmp_path / "own")
    put(shelf.models.folder, "both.onnx", "one.onnx")
    shelf.delete("both")
    assert (tmp_path / "own" / "one.onnx").read_bytes() == BODY
    assert not (shelf.models.folder / "both.onnx").exists()
