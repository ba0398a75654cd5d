from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mien.errors import (
    Canceled,
    ModelCorrupt,
    ModelForbidden,
    ModelMissing,
    ModelUnknown,
    OptionError,
    OutputNotWritable,
)
from mien.models import ModelStore, digest
from mien.models import download as download_module
from mien.models.catalogue import Catalogue, HubSource, Model, ModelFile
from mien.models.fetchers import wheel as wheel_module
from mien.models.fetchers.base import Unreachable
from mien.models.request import Download
from mien.models.store import in_words
from mien.settings import Settings
from tests.models.hub_server import Hub, Page, crc32
from tests.models.tools import LICENCE, MEMBERS, Tool, catalogue_of, install_pip, make_wheel

BODY = bytes(range(256)) * 1000
GITHUB = "/one/facefusion/facefusion-assets/releases/download/models-1.0.0/"
FACE = "/two/facefusion/models-1.0.0/resolve/main/"


def model(id: str, *, content: bytes = BODY, commercial_use: bool = True, **known: Any) -> Model:
    file = ModelFile(f"{id}.onnx", (HubSource("models-1.0.0", f"{id}.onnx"),), size=len(content), **known)
    return Model(id, (file,), "f", "MIT" if commercial_use else "CC-BY-NC", "vendor", 2020, commercial_use)


MakeStore = Callable[..., ModelStore]


@pytest.fixture
def make(hub: Hub, tmp_path: Path) -> MakeStore:
    """A store over the test's hub: ``make(model, …, setting=value)``."""

    def build(*models: Model, progress: Any = None, **changes: Any) -> ModelStore:
        settings = Settings(
            cache_dir=tmp_path / "cache",
            hub_urls={"github": f"{hub.url}/one", "huggingface": f"{hub.url}/two"},
            **changes,
        )
        return ModelStore(settings, Catalogue(models), progress=progress)

    return build


def serve(hub: Hub, name: str, content: bytes = BODY, *, base: str = GITHUB, **changes: Any) -> Page:
    hub.add(f"{base}{name}.hash", crc32(content).encode())
    return hub.add(f"{base}{name}.onnx", content, **changes)


def test_a_missing_model_is_downloaded_once(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m")
    store = make(model("m"))
    assert store.find("m") is None
    path = store.path("m")
    assert path.read_bytes() == BODY
    assert path.with_suffix(".hash").read_text() == crc32(BODY)
    assert store.path("m") == store.find("m") == path
    assert hub.paths() == [f"{GITHUB}m.hash", f"{GITHUB}m.onnx"]
    assert "vendor" in (path.parent / "licences" / "m.txt").read_text()
    assert not list(path.parent.glob("*.part"))


def test_a_known_hash_needs_no_hash_file(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m")
    make(model("m", crc32=crc32(BODY))).path("m")
    assert hub.paths() == [f"{GITHUB}m.onnx"]


def test_the_next_mirror_is_tried_after_404(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m", base=FACE)
    assert make(model("m")).path("m").read_bytes() == BODY
    assert hub.paths() == [f"{GITHUB}m.hash", f"{FACE}m.hash", f"{GITHUB}m.onnx", f"{FACE}m.onnx"]


def test_a_wrong_file_is_refused_and_the_next_mirror_tried(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m", BODY[::-1])
    serve(hub, "m", base=FACE)
    assert make(model("m", crc32=crc32(BODY))).path("m").read_bytes() == BODY


def test_a_wrong_hash_everywhere_leaves_nothing(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m", BODY[::-1])
    serve(hub, "m", BODY[::-1], base=FACE)
    store = make(model("m", crc32=crc32(BODY)))
    with pytest.raises(ModelMissing, match="wrong hash") as caught:
        store.path("m")
    assert "needs the file m.onnx (256 kB)" in str(caught.value)
    assert str(store.folder / "m.onnx") in str(caught.value)
    assert not list(store.folder.glob("m*"))


def test_no_hash_no_model(hub: Hub, make: MakeStore) -> None:
    hub.add(f"{GITHUB}m.onnx", BODY)
    hub.add(f"{GITHUB}m.hash", b"<html>")
    with pytest.raises(ModelMissing, match="holds no CRC-32"):
        make(model("m")).path("m")
    assert f"{GITHUB}m.onnx" not in hub.paths()


def test_a_newer_file_on_the_hub_is_taken_by_its_own_hash(hub: Hub, make: MakeStore) -> None:
    newer = BODY + b"more"
    serve(hub, "m", newer)
    store = make(model("m"))
    assert store.path("m").read_bytes() == newer
    assert store.find("m") is not None


def test_a_file_of_another_size_is_refused_where_the_hash_is_known(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m", BODY + b"more")
    with pytest.raises(ModelMissing, match="a file of 256,004 bytes instead of 256,000"):
        make(model("m", crc32=crc32(BODY))).path("m")


def test_a_file_of_unknown_hash_is_compared_by_its_size(make: MakeStore, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(BODY)
    store = make(model("m"), models_dir=tmp_path)
    assert store.path("m") == tmp_path / "m.onnx"
    (tmp_path / "m.onnx").write_bytes(BODY[:-1])
    with pytest.raises(ModelCorrupt, match="wrong size or hash"):
        store.path("m")


def test_a_cut_download_is_taken_up_by_the_next_run(hub: Hub, make: MakeStore) -> None:
    page = serve(hub, "m", cut_after=[5000, 0, 0, 0, 0, 0, 0, 0])
    store = make(model("m"), download_providers=("github",))
    with pytest.raises(ModelMissing, match="cut off"):
        store.path("m")
    page.cut_after.clear()
    hub.requests.clear()
    assert store.path("m").read_bytes() == BODY
    assert (f"{GITHUB}m.onnx", "bytes=5000-") in hub.requests


def test_a_part_of_another_file_is_thrown_away(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m")
    store = make(model("m"))
    store.folder.mkdir(parents=True)
    (store.folder / "m.onnx.part").write_bytes(b"x" * 5000)
    assert store.path("m").read_bytes() == BODY


def test_several_models_come_at_the_same_time(hub: Hub, make: MakeStore) -> None:
    gate = threading.Event()
    names = ["a", "b", "c"]
    for name in names:
        serve(hub, name, gate=gate)
    store = make(*[model(name, crc32=crc32(BODY)) for name in names])

    def open_when_all_are_there() -> None:
        for _ in range(1000):
            if hub.together == 3 or gate.wait(0.005):
                break
        gate.set()

    watcher = threading.Thread(target=open_when_all_are_there)
    watcher.start()
    store.fetch(names)
    watcher.join()
    assert hub.most_together == 3
    assert all(store.find(name) for name in names)


def test_two_stores_download_once(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m")
    stores = [make(model("m", crc32=crc32(BODY))) for _ in range(4)]
    threads = [threading.Thread(target=store.path, args=("m",)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hub.paths() == [f"{GITHUB}m.onnx"]


def test_one_failure_does_not_keep_the_others_back(hub: Hub, make: MakeStore) -> None:
    serve(hub, "b")
    store = make(model("a", crc32=crc32(BODY)), model("b", crc32=crc32(BODY)))
    with pytest.raises(ModelMissing, match="model a needs"):
        store.fetch(["a", "b"])
    assert store.find("b") is not None


def test_a_silent_host_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def silent(url: str, part: Path, **_: Any) -> None:
        asked.append(url)
        raise Unreachable("Connection refused")

    monkeypatch.setattr(download_module, "download", silent)
    monkeypatch.setattr(download_module, "PARALLEL", 1)
    settings = Settings(cache_dir=tmp_path, download_providers=("github",))
    store = ModelStore(settings, Catalogue([model(id, crc32="0" * 8) for id in ("a", "b", "c")]))
    with pytest.raises(ModelMissing, match="refused"):
        store.fetch(["a", "b", "c"])
    assert len(asked) == 1


def test_progress_ends_at_the_size(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m")
    told: list[Download] = []
    make(model("m"), progress=told.append).path("m")
    assert told[0] == Download("m.onnx", 0, len(BODY))
    assert told[-1] == Download("m.onnx", len(BODY), len(BODY))


def test_progress_that_raises_stops_everything(hub: Hub, make: MakeStore) -> None:
    for name in ("a", "b"):
        serve(hub, name)

    def stop(download: Download) -> None:
        raise Canceled("stop")

    store = make(*[model(name, crc32=crc32(BODY)) for name in ("a", "b")], progress=stop)
    with pytest.raises(Canceled):
        store.fetch(["a", "b"])
    assert store.find("a") is None


def test_the_users_folder_comes_first(hub: Hub, make: MakeStore, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "m.onnx").write_bytes(BODY)
    store = make(model("m", crc32=crc32(BODY)), models_dir=own)
    assert store.path("m") == own / "m.onnx"
    assert hub.requests == []


def test_a_wrong_file_in_the_users_folder_is_refused(make: MakeStore, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(BODY[::-1])
    store = make(model("m", crc32=crc32(BODY)), models_dir=tmp_path)
    for ask in (store.path, store.find):
        with pytest.raises(ModelCorrupt, match="MIEN_MODELS_VERIFY=off"):
            ask("m")
    assert store.status("m").state == "damaged"


def test_the_hash_file_in_the_users_folder_counts(make: MakeStore, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(BODY)
    (tmp_path / "m.hash").write_text(crc32(BODY))
    store = make(model("m"), models_dir=tmp_path)
    assert store.path("m") == tmp_path / "m.onnx"
    (tmp_path / "m.hash").write_text("00000000")
    with pytest.raises(ModelCorrupt):
        store.path("m")


def test_a_file_that_is_not_in_the_users_folder_is_downloaded(
    hub: Hub, make: MakeStore, tmp_path: Path
) -> None:
    serve(hub, "m")
    (tmp_path / "own").mkdir()
    store = make(model("m"), models_dir=tmp_path / "own")
    assert store.path("m") == store.folder / "m.onnx"


def test_without_verification_files_are_taken_as_they_are(
    hub: Hub, make: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "digest_of", lambda *_: pytest.fail("hashed"))
    (tmp_path / "m.onnx").write_bytes(b"anything")
    store = make(model("m", crc32=crc32(BODY)), model("other"), models_dir=tmp_path, models_verify=False)
    assert store.path("m") == tmp_path / "m.onnx"
    assert store.status("m").state == "present"
    with pytest.raises(ModelMissing, match="MIEN_MODELS_VERIFY is off") as caught:
        store.path("other")
    assert str(tmp_path / "other.onnx") in str(caught.value)
    assert hub.requests == []


def test_sub_folders_are_optional_in_the_users_folder(make: MakeStore, tmp_path: Path) -> None:
    file = ModelFile("vendor/m.dfm", (HubSource("f", "m.dfm"),))
    entry = Model("v", (file,), "f", "MIT", "v", 2020, True)
    (tmp_path / "m.dfm").write_bytes(b"flat")
    store = make(entry, models_dir=tmp_path)
    assert store.path("v") == tmp_path / "m.dfm"
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "m.dfm").write_bytes(b"deep")
    assert store.path("v") == tmp_path / "vendor" / "m.dfm"


def test_models_in_sub_folders_are_downloaded_there(hub: Hub, make: MakeStore) -> None:
    hub.add(f"{GITHUB}m.onnx", BODY)
    file = ModelFile("vendor/m.onnx", (HubSource("models-1.0.0", "m.onnx"),), crc32=crc32(BODY))
    store = make(Model("v", (file,), "f", "MIT", "v", 2020, True))
    assert store.path("v") == store.folder / "vendor" / "m.onnx"


def test_a_models_folder_that_is_none(make: MakeStore, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is not a folder"):
        make(models_dir=tmp_path / "none")


def test_offline(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m")
    with pytest.raises(ModelMissing, match="MIEN_OFFLINE forbids"):
        make(model("m"), offline=True).path("m")
    assert hub.requests == []


def test_a_damaged_copy_is_replaced(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m")
    store = make(model("m", crc32=crc32(BODY)))
    store.path("m").write_bytes(BODY[::-1])
    assert store.status("m").state == "damaged"
    assert store.find("m") is None
    assert store.path("m").read_bytes() == BODY


def test_a_damaged_copy_without_network_is_told_as_such(make: MakeStore) -> None:
    store = make(model("m", crc32=crc32(BODY)), offline=True)
    store.folder.mkdir(parents=True)
    (store.folder / "m.onnx").write_bytes(b"short")
    with pytest.raises(ModelCorrupt, match="is damaged, and a new copy"):
        store.path("m")


def test_a_file_is_hashed_once(hub: Hub, make: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(hub, "m")
    make(model("m", crc32=crc32(BODY))).path("m")
    monkeypatch.setattr(digest, "digest_of", lambda *_: pytest.fail("hashed again"))
    assert make(model("m", crc32=crc32(BODY))).path("m").is_file()


def test_verify_hashes_again(hub: Hub, make: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(hub, "m")
    store = make(model("m", crc32=crc32(BODY)), model("absent"))
    store.path("m")
    hashed: list[Path] = []
    genuine = digest.digest_of
    monkeypatch.setattr(digest, "digest_of", lambda path, kind: hashed.append(path) or genuine(path, kind))
    assert [status.state for status in store.verify(["m", "absent"])] == ["present", "absent"]
    assert hashed == [store.folder / "m.onnx"]


def test_licences_that_forbid_commercial_use(hub: Hub, make: MakeStore) -> None:
    serve(hub, "m")
    store = make(model("m", commercial_use=False), allow_noncommercial=False)
    for ask in (store.path, lambda id: store.fetch([id])):
        with pytest.raises(ModelForbidden, match="CC-BY-NC"):
            ask("m")
    assert store.find("m") is None
    assert store.status("m").state == "forbidden"
    assert make(model("m", commercial_use=False)).path("m").is_file()


def test_unknown_models(make: MakeStore) -> None:
    store = make(model("m"))
    for ask in (store.path, store.find, store.status, lambda id: store.fetch([id])):
        with pytest.raises(ModelUnknown, match="no model mm"):
            ask("mm")


def test_missing_names_what_a_run_would_download(hub: Hub, make: MakeStore) -> None:
    serve(hub, "a")
    store = make(model("a"), model("b"))
    store.path("a")
    assert [entry.id for entry in store.missing(["a", "b", "b"])] == ["b"]


def test_a_cache_that_cannot_be_written(hub: Hub, make: MakeStore, tmp_path: Path) -> None:
    serve(hub, "m")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").write_text("in the way")
    with pytest.raises(OutputNotWritable, match="MIEN_CACHE_DIR"):
        make(model("m")).path("m")


def test_fingerprints_change_with_the_file(make: MakeStore, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"one")
    store = make(model("m"), models_dir=tmp_path, models_verify=False)
    first = store.fingerprint("m")
    assert first == "sha256:" + hashlib.sha256(b"one").hexdigest()
    (tmp_path / "m.onnx").write_bytes(b"other")
    assert store.fingerprint("m") != first


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.setattr(wheel_module.shutil, "which", lambda name: None)
    return install_pip(tmp_path, monkeypatch)


def wheel_store(tmp_path: Path, urls: dict[str, str] | None = None, progress: Any = None) -> ModelStore:
    wheel = make_wheel(tmp_path, MEMBERS)
    settings = Settings(cache_dir=tmp_path / "cache")
    return ModelStore(settings, catalogue_of(wheel, MEMBERS, urls), progress=progress)


def test_one_wheel_is_fetched_once_for_all_its_models(pip: Tool, tmp_path: Path) -> None:
    told: list[Download] = []
    store = wheel_store(tmp_path, progress=told.append)
    assert store.path("a").read_bytes() == MEMBERS["thing/a.tflite"]
    assert store.path("b").read_bytes() == MEMBERS["thing/b.tflite"]
    assert len(pip.calls) == 1
    assert (store.folder / "licences" / "thing-1.txt").read_bytes() == LICENCE
    assert told[0].name == "thing-1"
    assert told[-1].done == told[-1].total
    assert {path.name for path in store.folder.iterdir()} == {"a.tflite", "b.tflite", "licences", ".locks"}


def test_a_wrong_member_is_refused(pip: Tool, tmp_path: Path) -> None:
    store = wheel_store(tmp_path)
    make_wheel(tmp_path, dict.fromkeys(MEMBERS, b"other"))
    with pytest.raises(ModelMissing, match="pip: 5 bytes came instead of 700; uv: "):
        store.path("a")
    assert store.find("a") is None


def test_the_publisher_is_asked_when_the_index_fails(pip: Tool, hub: Hub, tmp_path: Path) -> None:
    pip.answer(code=1, stderr="ERROR: No matching distribution found for thing==1")
    hub.add("/a.tflite", MEMBERS["thing/a.tflite"])
    store = wheel_store(tmp_path, {"a.tflite": f"{hub.url}/a.tflite"})
    assert store.path("a").read_bytes() == MEMBERS["thing/a.tflite"]
    with pytest.raises(ModelMissing, match=r"pip: No matching distribution .*; uv: uv is not installed here"):
        store.path("b")


@pytest.mark.parametrize(
    ("size", "words"), [(12, "12 bytes"), (229_714, "230 kB"), (1_242_398, "1.2 MB"), (5 * 10**9, "5.0 GB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words


def test_the_rest_of_a_killed_download_is_removed(pip: Tool, tmp_path: Path) -> None:
    store = wheel_store(tmp_path)
    for name in (".fetch-thing-x", ".fetch-another-x"):
        (store.folder / name).mkdir(parents=True)
        (store.folder / name / "wheel").touch()
    store.path("a")
    assert [path.name for path in store.folder.glob(".fetch-*")] == [".fetch-another-x"]


def test_waiting_for_another_process_can_be_stopped(tmp_path: Path, pip: Tool) -> None:
    store = wheel_store(tmp_path)
    (store.folder / ".locks").mkdir(parents=True)
    downloader = download_module.Downloader(store.settings, store.folder, digest.Verified(tmp_path / "v"))
    with FileLock(store.folder / ".locks" / "thing.whl.lock"):
        downloader._stop.set()
        with pytest.raises(Canceled), downloader._locked("thing.whl"):
            pytest.fail("held a lock that another one holds")


def test_whether_a_model_is_here_is_known_without_reading_it(
    hub: Hub, make: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"sha256": hashlib.sha256(BODY).hexdigest()}
    store = make(model("m", **known), model("n", **known, commercial_use=False), models_dir=tmp_path)
    monkeypatch.setattr(digest, "digest_of", lambda *_: pytest.fail("a file was read"))
    assert not store.is_here("m")
    (tmp_path / "m.onnx").write_bytes(BODY[:-1])
    assert not store.is_here("m")
    for id in ("m", "n"):
        (tmp_path / f"{id}.onnx").write_bytes(BODY)
    assert store.is_here("m")
    assert not make(
        model("n", **known, commercial_use=False), models_dir=tmp_path, allow_noncommercial=False
    ).is_here("n")
    assert make(model("m", **known, content=b""), models_dir=tmp_path, models_verify=False).is_here("m")
