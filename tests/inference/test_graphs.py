from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ModelCorrupt
from mien.inference import graphs
from mien.inference.graphs import GraphCache
from mien.inference.onnx import OnnxSession, open_session
from mien.inference.options import LoadOptions
from tests.inference.nets import write_onnx

X = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)


@pytest.fixture(autouse=True)
def _small_models_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "SMALLEST", 1)


def load(path: Path, folder: Path, **changes: object) -> OnnxSession:
    return open_session(path, LoadOptions(**changes), GraphCache(folder))  # type: ignore[arg-type]


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.onnx"))


def test_a_kept_graph_gives_the_same_numbers(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    plain = load(path, tmp_path / "graphs", cache_graph=False).run([X])[0]
    assert not (tmp_path / "graphs").exists()
    first = load(path, tmp_path / "graphs").run([X])[0]
    second = load(path, tmp_path / "graphs").run([X])[0]
    np.testing.assert_array_equal(first, plain)
    np.testing.assert_array_equal(second, plain)
    assert len(kept(tmp_path / "graphs")) == 1


def test_the_kept_graph_is_what_is_opened(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", seed=1)
    load(path, tmp_path / "graphs")
    (graph,) = kept(tmp_path / "graphs")
    other = write_onnx(tmp_path / "other.onnx", seed=2)
    graph.write_bytes(other.read_bytes())
    np.testing.assert_allclose(
        load(path, tmp_path / "graphs").run([X])[0],
        load(other, tmp_path / "elsewhere", cache_graph=False).run([X])[0],
        atol=1e-6,
    )


def test_another_model_under_the_same_name_gets_another_graph(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", seed=1)
    first = load(path, tmp_path / "graphs").run([X])[0]
    stat = path.stat()
    write_onnx(path, seed=2)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    second = load(path, tmp_path / "graphs").run([X])[0]
    assert np.abs(first - second).max() > 0.01
    assert len(kept(tmp_path / "graphs")) == 2


def test_a_copy_of_a_model_shares_its_graph(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "m.onnx").write_bytes(path.read_bytes())
    load(path, tmp_path / "graphs")
    load(tmp_path / "copy" / "m.onnx", tmp_path / "graphs")
    assert len(kept(tmp_path / "graphs")) == 1


@pytest.mark.parametrize("key", ["ort", "ep", "precision", "threads"])
def test_the_name_depends_on_everything(tmp_path: Path, key: str) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    cache = GraphCache(tmp_path / "graphs")
    everything = {"ort": "1.31.1", "ep": "cpu", "precision": "exact", "threads": 1}
    assert cache.place(path, everything) == cache.place(path, dict(reversed(everything.items())))
    assert cache.place(path, everything) != cache.place(path, {**everything, key: "other"})


def test_the_name_depends_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    cache = GraphCache(tmp_path / "graphs")
    here = cache.place(path, {})
    monkeypatch.setattr(graphs, "cpu_flags", lambda: "another one")
    assert cache.place(path, {}) != here


def test_a_torn_graph_is_made_again(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    wanted = load(path, tmp_path / "graphs").run([X])[0]
    (graph,) = kept(tmp_path / "graphs")
    content = graph.read_bytes()
    graph.write_bytes(content[:100])
    np.testing.assert_array_equal(load(path, tmp_path / "graphs").run([X])[0], wanted)
    load(path, tmp_path / "graphs")
    assert graph.read_bytes() == content


def test_a_folder_that_cannot_be_made_costs_only_time(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    (tmp_path / "graphs").write_text("in the way")
    assert load(path, tmp_path / "graphs").run([X])[0].shape == (1, 4, 8, 8)


def test_a_damaged_model_leaves_no_graph(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelCorrupt, match=r"m\.onnx is damaged"):
        load(path, tmp_path / "graphs")
    assert not list((tmp_path / "graphs").glob("*onnx"))
    assert not list((tmp_path / "graphs").glob(".*"))


def test_small_and_huge_models_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    cache = GraphCache(tmp_path / "graphs")
    size = path.stat().st_size
    monkeypatch.setattr(graphs, "SMALLEST", size + 1)
    assert cache.place(path, {}) is None
    monkeypatch.setattr(graphs, "SMALLEST", 0)
    monkeypatch.setattr(graphs, "LARGEST", size - 1)
    assert cache.place(path, {}) is None


def test_a_model_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    place = GraphCache(tmp_path / "graphs").place(path, {})
    monkeypatch.setattr(graphs.hashlib, "file_digest", lambda *_: pytest.fail("hashed twice"))
    assert GraphCache(tmp_path / "graphs").place(path, {}) == place


def test_graphs_that_nobody_used_for_long_are_removed(tmp_path: Path) -> None:
    cache = GraphCache(tmp_path / "graphs")
    old = load(write_onnx(tmp_path / "old.onnx", seed=1), tmp_path / "graphs")
    new = load(write_onnx(tmp_path / "new.onnx", seed=2), tmp_path / "graphs")
    assert old.runs == new.runs == 0
    graph = next(path for path in kept(tmp_path / "graphs") if path.name.startswith("old-"))
    long_ago = time.time() - 100 * 86400
    os.utime(graph, (long_ago, long_ago))
    cache.prune(days=60)
    assert [path.name.split("-")[0] for path in kept(tmp_path / "graphs")] == ["new"]
