"""How often each network runs on a clip: nothing is computed that nobody reads, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.media.reader import Decoded, VideoReader
from mien.pipeline.engine import Engine
from mien.pipeline.step import Result, Step
from mien.processors.face_swapper import FaceSwapper
from tests.pipeline.clips import decoded
from tests.pipeline.neural import LEFT, make_people_clip, neural_engine, people, runs, write_picture

pytest.importorskip("onnx")
from tests.standins.face_analysis import Graph, write_standins
from tests.standins.redrawing import save

FRAMES = 26
EMPTY = (7, 8)
"""Frames without a face."""
SHOWN = FRAMES - len(EMPTY)
EXTRA = 1
"""The source is looked at as well."""


def write_swapper(folder: Path) -> None:
    """A network that darkens a face, by a trace of who the source is."""
    graph = Graph()
    trace = graph("ReduceMean", graph("Mul", "source", 0.0), keepdims=1)
    trace = graph("Reshape", trace, [1, 1, 1, 1])
    drawn = graph("Add", graph("Sub", graph("Mul", "target", 0.5), 0.5), trace)
    save(graph, folder / "hyperswap_1a_256.onnx", {"source": [1, 512], "target": [1, 3, 256, 256]}, drawn)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_standins(folder)
    write_swapper(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", FRAMES, empty=EMPTY, freckles=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "source.png", people(LEFT))


@pytest.fixture
def engine(models: Path, tmp_path: Path) -> Iterator[Engine]:
    processors = {"face_swapper": FaceSwapper()}
    with neural_engine(models, tmp_path / "cache", processors=processors) as engine:
        yield engine


def swap(engine: Engine, source: Path, clip: Path, **options: Any) -> Result:
    values = {"face_swapper_model": "hyperswap_1a_256", "face_selector_mode": "one", **options}
    return engine.run(Step(clip, source.with_name("out.mp4"), (source,), ("face_swapper",), values))


def test_one_face_a_frame_costs_one_run_of_each_network(engine: Engine, source: Path, clip: Path) -> None:
    result = swap(engine, source, clip)
    assert (result.frames, result.faces) == (FRAMES, SHOWN)
    assert runs(engine) == {
        "yoloface_8n": FRAMES + EXTRA,
        "2dfan4": SHOWN + EXTRA,
        "arcface_w600k_r50": EXTRA,
        "hyperswap_1a_256": SHOWN,
    }


def test_the_weight_asks_who_the_target_is(engine: Engine, source: Path, clip: Path) -> None:
    swap(engine, source, clip, face_swapper_weight=0.8)
    assert runs(engine)["arcface_w600k_r50"] == SHOWN + EXTRA
    assert "fairface" not in runs(engine)


def test_the_reference_asks_who_the_target_is_once_for_selector_and_weight(
    engine: Engine, source: Path, clip: Path
) -> None:
    swap(engine, source, clip, face_selector_mode="reference", face_swapper_weight=0.8)
    found = runs(engine)
    assert found["yoloface_8n"] == FRAMES + EXTRA
    assert found["arcface_w600k_r50"] == SHOWN + EXTRA


def test_a_filter_asks_the_classifier(engine: Engine, source: Path, clip: Path) -> None:
    swap(engine, source, clip, face_selector_age_start=0, face_selector_age_end=100)
    assert runs(engine)["fairface"] == SHOWN


def test_the_clip_is_decoded_once(
    engine: Engine, source: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0
    plain = VideoReader.__iter__

    def counting(self: VideoReader) -> Iterator[Decoded]:
        nonlocal count
        for frame in plain(self):
            count += 1
            yield frame

    monkeypatch.setattr(VideoReader, "__iter__", counting)
    swap(engine, source, clip)
    assert count == FRAMES


def test_fast_analysis_looks_at_some_frames_and_asks_once_who_somebody_is(
    engine: Engine, source: Path, clip: Path
) -> None:
    swap(engine, source, clip, analysis="fast", face_selector_mode="reference")
    found = runs(engine)
    assert found["hyperswap_1a_256"] >= SHOWN
    assert found["yoloface_8n"] < 0.6 * FRAMES
    assert found["2dfan4"] < 0.5 * FRAMES
    assert found["arcface_w600k_r50"] <= 2 + 2 * EXTRA  # two tracks: before and after the gap
    assert "fairface" not in found


def test_fast_analysis_gives_nearly_the_exact_picture(engine: Engine, source: Path, clip: Path) -> None:
    swap(engine, source, clip)
    exact = decoded(source.with_name("out.mp4"))
    swap(engine, source, clip, analysis="fast")
    fast = decoded(source.with_name("out.mp4"))
    plain = decoded(clip)
    away = [
        float(np.abs(a.astype(int) - b).mean())
        for number, (a, b) in enumerate(zip(exact, fast, strict=True))
        if not set(range(number - 6, number + 7)) & set(EMPTY)
    ]
    changed = np.abs(exact[0].astype(int) - plain[0]).mean()
    assert changed > 5
    assert max(away) < 0.1 * changed


def test_segments_of_fast_analysis_do_not_depend_on_an_interruption(
    models: Path, source: Path, clip: Path, tmp_path: Path
) -> None:
    from mien.errors import Canceled
    from mien.pipeline.progress import Cancel, Progress

    def run(name: str, stop_at: int | None) -> bytes:
        settings = {"processors": {"face_swapper": FaceSwapper()}, "segment_seconds": 0.4}
        values = {
            "face_swapper_model": "hyperswap_1a_256",
            "face_selector_mode": "one",
            "analysis": "fast",
        }
        output = tmp_path / f"{name}.mp4"
        step = Step(clip, output, (source,), ("face_swapper",), values)
        with neural_engine(models, tmp_path / name, **settings) as engine:
            if stop_at is not None:
                cancel = Cancel()

                def stop(progress: Progress) -> None:
                    if progress.stage == "process" and progress.done >= stop_at:
                        cancel.set()

                with pytest.raises(Canceled):
                    engine.run(step, on_progress=stop, cancel=cancel)
            engine.run(step)
        return b"".join(image.tobytes() for image in decoded(output))

    assert run("undisturbed", None) == run("resumed", 15)
