"""Model files that are missing, damaged or something else: one sentence, an exit code, and nothing left behind."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.cli.main import run
from mien.cli.program import Program
from mien.errors import ModelCorrupt, ModelMissing
from tests.pipeline.neural import LEFT, make_people_clip, people, write_picture

pytest.importorskip("onnx")
from tests.pipeline.test_model_runs import write_swapper
from tests.standins.face_analysis import Graph, write_standins
from tests.standins.redrawing import save

Mien = Callable[..., int]
Capture = pytest.CaptureFixture[str]
Damage = Callable[[Path], object]

ROLES = ("yoloface_8n", "2dfan4", "arcface_w600k_r50", "hyperswap_1a_256")
"""Detector, landmarker, recogniser, swapper."""


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_onnx(path: Path) -> None:
    path.write_text("<html><body>404 Not Found</body></html>")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


def foreign(path: Path) -> None:
    shutil.copy(path.with_name("fairface.onnx"), path)


def wrong_shape(path: Path) -> None:
    """The right names and the right input, but an answer of another shape."""
    inputs = {
        "yoloface_8n": {"input": [1, 3, 640, 640]},
        "2dfan4": {"input": [1, 3, 256, 256]},
        "arcface_w600k_r50": {"input": [1, 3, 112, 112]},
        "hyperswap_1a_256": {"source": [1, 512], "target": [1, 3, 256, 256]},
    }[path.stem]
    graph = Graph()
    means = [graph("ReduceMean", name, keepdims=0) for name in inputs]
    save(graph, path, inputs, graph("Sum", *means))


def smaller_input(path: Path) -> None:
    graph = Graph()
    inputs = {"input": [1, 3, 32, 32]}
    if path.stem.startswith("hyper"):
        inputs = {"source": [1, 512], "target": [1, 3, 128, 128]}
    save(graph, path, inputs, *inputs)


DAMAGES: tuple[Damage, ...] = (cut_off, empty, no_onnx, noise, foreign, wrong_shape, smaller_input)


@pytest.fixture(scope="module")
def whole_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_standins(folder)
    write_swapper(folder)
    return folder


@pytest.fixture
def models(whole_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not Program().processors():
        pytest.skip("the package is not installed, so that its processors are not known")
    folder = tmp_path / "models"
    shutil.copytree(whole_models, folder)
    monkeypatch.setenv("MIEN_MODELS_DIR", str(folder))
    monkeypatch.setenv("MIEN_MODELS_VERIFY", "off")
    monkeypatch.setenv("MIEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MIEN_WORK_DIR", str(tmp_path / "unfinished"))
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    return folder


@pytest.fixture
def swap(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mien:
    """Swaps into a picture, or into what is named."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    source = write_picture(tmp_path / "source.png", people(LEFT))
    picture = write_picture(tmp_path / "target.png", people(LEFT, tints=(40,)))
    named = ("--face-detector-model", "yolo_face", "--face-landmarker-model", "2dfan4")

    def swap(*words: str, target: Path = picture) -> int:
        files = (str(source), str(target), "-o", f"out{target.suffix}")
        model = ("--face-swapper-model", "hyperswap_1a_256")
        return run(["swap", *files, *model, *named, *words], Program())

    return swap


def refused(capsys: Capture, tmp_path: Path, stem: str) -> str:
    """The one sentence that was said; nothing may have been left behind."""
    *_, sentence = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"mien: [A-Z].*\.", sentence)
    assert "Traceback" not in sentence
    assert "internal error" not in sentence
    assert stem.split("_")[0] in sentence
    assert list((tmp_path / "work").iterdir()) == []
    unfinished = tmp_path / "unfinished"
    assert not unfinished.exists() or [p for p in unfinished.iterdir() if p.suffix != ".lock"] == []
    assert not list((tmp_path / "cache").glob("graphs/.*"))
    return sentence


def test_whole_models_swap(swap: Mien) -> None:
    assert swap() == 0
    assert Path("out.png").stat().st_size > 0


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("stem", ROLES)
def test_damaged_files(
    swap: Mien, models: Path, tmp_path: Path, capsys: Capture, stem: str, damage: Damage
) -> None:
    damage(models / f"{stem}.onnx")
    assert swap() == ModelCorrupt.exit_code
    refused(capsys, tmp_path, stem.replace("yoloface", "yolo").replace("_r50", ""))


@pytest.mark.parametrize("stem", ROLES)
def test_missing_files(swap: Mien, models: Path, tmp_path: Path, capsys: Capture, stem: str) -> None:
    (models / f"{stem}.onnx").unlink()
    assert swap() == ModelMissing.exit_code
    sentence = refused(capsys, tmp_path, stem)
    assert str(models / f"{stem}.onnx") in sentence


@pytest.mark.parametrize("stem", ROLES)
def test_files_of_another_hash(
    swap: Mien,
    models: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    stem: str,
) -> None:
    for other in models.iterdir():
        if other.stem != stem:
            other.unlink()
    monkeypatch.setenv("MIEN_MODELS_VERIFY", "on")
    assert swap() in (ModelCorrupt.exit_code, ModelMissing.exit_code)
    refused(capsys, tmp_path, "")


@pytest.mark.parametrize("stem", ["2dfan4", "hyperswap_1a_256"])
def test_a_video_leaves_nothing_behind_either(
    swap: Mien, models: Path, tmp_path: Path, capsys: Capture, stem: str
) -> None:
    wrong_shape(models / f"{stem}.onnx")
    clip = make_people_clip(tmp_path / "clip.mp4", 8)
    assert swap(target=clip) == ModelCorrupt.exit_code
    refused(capsys, tmp_path, stem)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "openvino"])
def test_a_provider_that_does_not_open_is_never_replaced_by_the_cpu(
    swap: Mien, tmp_path: Path, capsys: Capture, provider: str
) -> None:
    from mien.errors import ProviderError
    from mien.inference.probe import probe

    if probe(provider) is None:
        pytest.skip(f"{provider} opens here")
    assert swap("--execution-providers", provider, "cpu") == ProviderError.exit_code
    refused(capsys, tmp_path, provider)
