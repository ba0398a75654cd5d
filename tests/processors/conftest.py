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
def reference_models(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-ins that the reference results were made with."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("reference-models")
    words = [str(shared / "standins" / "make_standins.py"), str(folder)]
    words += ["--yunet", str(shared / "weights" / "yunet_n_dynamic.onnx")]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def goldens(
    shared: Path, reference_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Goldens]:
    """The cases, and a store of all stand-ins; loaded, they take 500 MB for the cases of one file."""
    settings = Settings(
        models_dir=reference_models,
        models_verify=False,
        cache_dir=tmp_path_factory.mktemp("reference-cache"),
    )
    with Runtime(settings) as runtime:
        yield Goldens(shared / "goldens", ModelStore(settings, load_catalogue()), runtime)


@pytest.fixture(scope="package")
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
