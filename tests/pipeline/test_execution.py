"""What the execution settings do to an engine: models that are let go of, providers that must open."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from mien.errors import Canceled, ProviderError
from mien.pipeline.engine import Engine
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Step
from mien.processors.face_swapper import FaceSwapper
from mien.settings import MemoryStrategy
from tests.pipeline.neural import LEFT, make_people_clip, neural_engine, people, runs, write_picture

pytest.importorskip("onnx")
from tests.pipeline.test_model_runs import write_swapper
from tests.standins.face_analysis import write_standins

ANALYSIS = {"yoloface_8n", "2dfan4"}
LEFT_LOADED = {
    "strict": set[str](),
    "moderate": ANALYSIS,
    "tolerant": {*ANALYSIS, "arcface_w600k_r50", "hyperswap_1a_256"},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_standins(folder)
    write_swapper(folder)
    return folder


@pytest.fixture
def step(tmp_path: Path) -> Step:
    source = write_picture(tmp_path / "source.png", people(LEFT))
    options = {"face_swapper_model": "hyperswap_1a_256", "face_selector_mode": "one"}
    return Step(source, tmp_path / "out.png", (source,), ("face_swapper",), options)


@pytest.fixture
def swapper() -> dict[str, FaceSwapper]:
    return {"face_swapper": FaceSwapper()}


def test_all_strategies_are_looked_at() -> None:
    assert set(LEFT_LOADED) == set(get_args(MemoryStrategy))


@pytest.mark.parametrize("strategy", LEFT_LOADED)
def test_a_step_lets_go_of_models(
    models: Path, tmp_path: Path, step: Step, swapper: dict[str, FaceSwapper], strategy: str
) -> None:
    with neural_engine(models, tmp_path / "cache", processors=swapper, memory_strategy=strategy) as engine:
        for _ in range(2):
            engine.run(step)
            assert set(runs(engine)) == LEFT_LOADED[strategy]


def test_a_step_that_was_stopped_lets_go_too(
    models: Path, tmp_path: Path, step: Step, swapper: dict[str, FaceSwapper]
) -> None:
    clip = make_people_clip(tmp_path / "clip.mp4", 6)
    stopped = Step(clip, tmp_path / "out.mp4", step.sources, step.processors, step.options)
    cancel = Cancel()
    with neural_engine(models, tmp_path / "cache", processors=swapper, memory_strategy="strict") as engine:
        with pytest.raises(Canceled):
            engine.run(
                stopped,
                on_progress=lambda progress: cancel.set() if progress.stage == "process" else None,
                cancel=cancel,
            )
        assert not engine.runtime.loaded


def test_a_provider_that_does_not_open_is_an_error_even_where_nothing_would_run_on_it(
    models: Path, tmp_path: Path, step: Step
) -> None:
    painted = Step(step.target, tmp_path / "out.png", (), ("marker",), {"face_selector_mode": "one"})
    engine: Engine
    with neural_engine(models, tmp_path / "cache", providers=("qnn", "cpu")) as engine:
        with pytest.raises(ProviderError, match="qnn"):
            engine.run(painted)
        with pytest.raises(ProviderError, match="qnn"):
            engine.detect(step.target)
    assert not (tmp_path / "out.png").exists()
