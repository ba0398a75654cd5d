from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from mien.errors import Canceled
from mien.models import ModelStore, load_catalogue
from mien.pipeline.progress import Cancel
from mien.service.service import Service, open_service
from mien.service.settings import ServiceSettings
from mien.service.warming import Warming, warm
from mien.settings import Settings
from mien.storage import StorageSettings

PATIENCE = 120.0


def _service(folder: Path, engine: Settings, **settings: object) -> Service:
    given = ServiceSettings.model_validate({"data_dir": folder, **settings})
    return open_service(given, engine, StorageSettings(), io.StringIO())


def _opened(service: Service) -> int:
    return sum(service.engine.runtime.opened.values())


def test_the_models_of_a_first_preview_are_loaded(builtin_store: ModelStore, tmp_path: Path) -> None:
    with _service(tmp_path, builtin_store.settings.model_copy(update={"offline": True})) as service:
        service.start("api")
        assert service.warming.wait(PATIENCE)
        before = _opened(service)
        assert before >= 3
        assert warm(service.models, lambda: service.desk.looking, Cancel())
        assert _opened(service) == before


@pytest.mark.parametrize(
    ("role", "given"), [("api", {"studio": False}), ("worker", {}), ("api", {"role": "api"})]
)
def test_who_need_not_show_previews_warms_nothing(
    builtin_store: ModelStore, tmp_path: Path, role: str, given: dict[str, Any]
) -> None:
    settings = builtin_store.settings.model_copy(update={"offline": True})
    with _service(tmp_path, settings, **given) as service:
        service.start(role)  # type: ignore[arg-type]
        assert service.warming.wait(0)
        assert _opened(service) == 0


def test_without_the_models_nothing_is_brought_or_made(tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path / "cache")
    with _service(tmp_path / "data", settings) as service:
        assert not warm(service.models, lambda: pytest.fail("an engine was made"), Cancel())
        assert not (tmp_path / "cache" / "models").exists()


def test_one_that_fails_is_told_only_to_those_who_look_for_faults(tmp_path: Path) -> None:
    from mien.service.logs import open_log

    def broken() -> ModelStore:
        raise OSError("the disk is gone")

    for level, lines in (("info", 0), ("debug", 1)):
        told = io.StringIO()
        log = open_log(ServiceSettings.model_validate({"data_dir": tmp_path, "log_level": level}), told)
        warming = Warming(broken, lambda: pytest.fail("never asked for"), log)
        warming.start()
        assert warming.wait(PATIENCE)
        assert told.getvalue().count("the disk is gone") == lines


def test_one_that_was_stopped_begins_nothing(builtin_store: ModelStore) -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Canceled):
        warm(builtin_store, lambda: pytest.fail("an engine was made"), cancel)
    log = None
    warming = Warming(lambda: ModelStore(Settings(), load_catalogue()), lambda: pytest.fail("asked"), log)  # type: ignore[arg-type]
    warming.stop()
    warming.start()
    assert warming.wait(0)
