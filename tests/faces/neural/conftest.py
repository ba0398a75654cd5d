"""Networks for the tests: our own stand-ins on every machine, the reference's where they lie beside the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mien.faces.neural.networks import Networks
from mien.inference.runtime import Runtime
from mien.inference.session import Session
from mien.models.catalogue import load_catalogue
from mien.settings import Settings
from tests.standins.face_analysis import write_standins

OpenIn = Callable[[Path], Networks]


@pytest.fixture(scope="package")
def open_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIn]:
    """Makes networks of the model files in a folder."""
    catalogue = load_catalogue()
    with Runtime(Settings(cache_dir=tmp_path_factory.mktemp("cache"))) as runtime:

        def networks(folder: Path) -> Networks:
            def open_model(id: str) -> Session:
                name = catalogue[id].files[0].name if id in catalogue else f"{id}.onnx"
                return runtime.load(folder / name)

            return Networks(catalogue, open_model)

        yield networks


@pytest.fixture(scope="package")
def standins(tmp_path_factory: pytest.TempPathFactory, open_in: OpenIn) -> Networks:
    """Networks that find faces drawn by ``tests.standins.face_analysis.draw_face``."""
    folder = tmp_path_factory.mktemp("standins")
    write_standins(folder)
    return open_in(folder)


@pytest.fixture(scope="package")
def reference_networks(shared: Path, tmp_path_factory: pytest.TempPathFactory, open_in: OpenIn) -> Networks:
    """The stand-ins with which the reference results were made, and the real weights that go with them."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("reference")
    weights = shared / "weights"
    names = (
        "yoloface_8n*",
        "retinaface*",
        "2dfan4*",
        "peppa*",
        "fan_68*",
        "arcface_w*",
        "fairface*",
        "xseg*",
    )
    words = [str(shared / "standins" / "make_standins.py"), str(folder)]
    words += ["--yunet", str(weights / "yunet_n_dynamic.onnx")]
    words += ["--only", *names, "bisenet*", "hyperswap_1a*"]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    shutil.copy(weights / "scrfd_2.5g.onnx", folder / "scrfd_2.5g.onnx")
    shutil.copy(weights / "yunet_n_640_640.onnx", folder / "yunet_2023_mar.onnx")
    return open_in(folder)
