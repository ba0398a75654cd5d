"""The reference cases, with the stand-ins that they were made with, where they lie beside the checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.inference.runtime import Runtime
from mien.models.catalogue import load_catalogue
from mien.models.store import ModelStore
from mien.settings import Settings
from tests.processors.goldens import Goldens
from tests.processors.standin_run import StandIns


@pytest.fixture(scope="session")
def goldens(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Goldens]:
    """The cases, and a store of all stand-ins."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("reference-models")
    words = [str(shared / "standins" / "make_standins.py"), str(folder)]
    words += ["--yunet", str(shared / "weights" / "yunet_n_dynamic.onnx")]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    settings = Settings(
        models_dir=folder, models_verify=False, cache_dir=tmp_path_factory.mktemp("reference-cache")
    )
    with Runtime(settings) as runtime:
        yield Goldens(shared / "goldens", ModelStore(settings, load_catalogue()), runtime)


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIns]:
    """Our own stand-ins for the networks that edit faces, hear voices and find foregrounds."""
    pytest.importorskip("onnx")
    from tests.standins.talking import write_talking

    folder = tmp_path_factory.mktemp("talking-models")
    write_talking(folder)
    settings = Settings(
        models_dir=folder, models_verify=False, cache_dir=tmp_path_factory.mktemp("talking-cache")
    )
    with Runtime(settings) as runtime:
        yield StandIns(ModelStore(settings, load_catalogue()), runtime)
