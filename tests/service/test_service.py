from __future__ import annotations

import io
from pathlib import Path

from pydantic import SecretStr

from mien.service.service import Service, open_service
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import StorageSettings


def _service(folder: Path, **settings: object) -> Service:
    given = ServiceSettings.model_validate({"data_dir": folder, **settings})
    return open_service(
        given, Settings(cache_dir=folder / "cache", offline=True), StorageSettings(), io.StringIO()
    )


def test_two_services_of_one_process_share_nothing(tmp_path: Path) -> None:
    with (
        _service(tmp_path / "a", auth="on", max_queue=1) as one,
        _service(tmp_path / "b", max_pixels=1000) as two,
    ):
        one.start("all")
        two.start("api")
        one.keys.create("only there")
        assert two.keys.all() == []
        assert (one.access.required(), two.access.required()) == (True, False)
        assert (one.engine.settings.max_pixels, two.engine.settings.max_pixels) == (64_000_000, 1000)
        assert one.engine is not two.engine
        assert one.storage.place != two.storage.place
        assert [executor.role for executor in one.system.executors()] == ["all"]
        assert [executor.role for executor in two.system.executors()] == ["api"]
        assert one.stop()
        assert one.system.executors() == ()
        two.ping()


def test_what_was_counted_is_written_at_the_end(tmp_path: Path) -> None:
    with _service(tmp_path) as first:
        first.usage.note("a", requests=2)
        first.counters.add("policy_refusals")
    with _service(tmp_path) as second:
        assert second.usage.days("a")[0].amounts == {"requests": 2}
        assert [count.value for count in second.counters.all()] == [1]


def test_files_are_kept_below_the_data_folder_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with _service(folder) as service:
        assert service.storage.place == (folder / "storage").as_uri()
        assert (folder / "mien.db").is_file()
        assert folder.stat().st_mode & 0o077 == 0


def test_a_service_on_postgresql_needs_no_file(tmp_path: Path, database_url: str) -> None:
    with _service(tmp_path, database_url=SecretStr(database_url)) as service:
        service.start("api")
        assert service.health.look()[1]["database"]["status"] == "ok"
