from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien.db import Database
from mien.service.assets import Assets
from mien.service.settings import ServiceSettings
from mien.storage import Chain, StorageSettings, open_storage
from tests.databases import emptied
from tests.media.clips import make_clip
from tests.media.pictures import png

if TYPE_CHECKING:
    from mien.service.service import Service


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    (tmp_path / "data").mkdir()  # a disk that cannot be looked at would count as full
    return ServiceSettings(data_dir=tmp_path / "data")


@pytest.fixture
def storage(tmp_path: Path) -> Chain:
    return open_storage(StorageSettings(local_path=tmp_path / "storage"))


@pytest.fixture
def assets(database: Database, storage: Chain, settings: ServiceSettings) -> Assets:
    return Assets(database, storage, settings)


@pytest.fixture
def objects(tmp_path: Path) -> Callable[[], list[Path]]:
    """All files of the storage."""
    return lambda: [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def idle_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    from mien.comfyui import ComfySettings
    from tests.service.comfy_places import make_service

    with make_service(tmp_path_factory.mktemp("idle"), ComfySettings()) as service:
        yield service


@pytest.fixture
def idle(idle_service: Service) -> Service:
    """A whole service on SQLite with stand-ins for the face engine, whose jobs nobody runs; nothing is stored yet."""
    emptied(idle_service.database)
    return idle_service


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=12)


def picture(shade: int = 0) -> bytes:
    """A small PNG; another one for every shade."""
    return png(8, 6, 2, 8, (b"\0" + bytes([shade]) * 24) * 6)
