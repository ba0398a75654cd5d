from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from mien.models.catalogue import Catalogue, Model, ModelFile, Wheel, WheelSource
from mien.models.store import ModelStore
from mien.options import Options, option
from mien.pipeline.choice import with_models
from mien.processors.base import Processor
from mien.settings import Settings


class PainterOptions(Options):
    group: ClassVar[str] = "painter"

    model: Literal["best", "good", "small", "unheard_of"] = option("best", help="Which.")


class Painter(Processor[PainterOptions, None]):
    name = "painter"
    Options = PainterOptions

    def models(self, options: PainterOptions) -> tuple[str, ...]:
        return (options.model,)


class Plain(Processor[Options, None]):
    name = "plain"
    Options = Options


WHEEL = Wheel("w", "p", "1", "w.whl", 1, "0" * 64, "3.12", "none", "any", "any")


def model(id: str, *, wheel: bool = False) -> Model:
    sources = (WheelSource(WHEEL, "member"),) if wheel else ()
    return Model(id, (ModelFile(f"{id}.onnx", sources),), "painters", "MIT", "us", 2026, True)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    (tmp_path / "models").mkdir()
    catalogue = Catalogue([model("best"), model("good"), model("small", wheel=True)])
    settings = Settings(models_dir=tmp_path / "models", cache_dir=tmp_path / "cache", offline=True)
    return ModelStore(settings, catalogue)


def put(store: ModelStore, *ids: str) -> None:
    for id in ids:
        assert store.settings.models_dir is not None
        (store.settings.models_dir / f"{id}.onnx").write_bytes(b"weights")


def choose(store: ModelStore, **values: Any) -> tuple[Any, list[str]]:
    notices: list[str] = []
    chosen = with_models(values, {"plain": Plain(), "painter": Painter()}, store, notices.append)
    return chosen.get("painter_model"), notices


def test_the_default_is_used_silently_where_it_is_present(store: ModelStore) -> None:
    put(store, "best", "good", "small")
    assert choose(store) == ("best", [])


def test_the_next_best_that_is_present_is_used_and_said(store: ModelStore) -> None:
    put(store, "good", "small")
    name, notices = choose(store)
    assert name == "good"
    assert notices == [
        "No model was named for painter: using good, the best that is here (painter_model names another one)."
    ]


def test_without_any_the_one_that_the_package_index_carries_is_used(store: ModelStore) -> None:
    name, notices = choose(store)
    assert name == "small"
    assert len(notices) == 1


def test_a_named_model_is_not_replaced(store: ModelStore) -> None:
    assert choose(store, painter_model="best") == ("best", [])
