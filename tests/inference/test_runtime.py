from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ModelCorrupt, ModelMissing, ProviderError
from mien.inference import Runtime
from mien.settings import Settings
from tests.inference.nets import write_onnx, write_tflite


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(Settings(cache_dir=tmp_path / "cache"))


def test_the_ending_of_the_file_chooses_what_it_runs_on(runtime: Runtime, tmp_path: Path) -> None:
    litert = runtime.load(write_tflite(tmp_path / "a.tflite"))
    onnx = runtime.load(write_onnx(tmp_path / "b.ONNX"))
    dfm = runtime.load(write_onnx(tmp_path / "d.dfm"))
    names = [type(session).__name__ for session in (litert, onnx, dfm)]
    assert names == ["LiteRTSession", "OnnxSession", "OnnxSession"]
    (tmp_path / "c.txt").write_text("x")
    with pytest.raises(ModelCorrupt, match=r"is not an \.onnx, \.dfm or \.tflite file"):
        runtime.load(tmp_path / "c.txt")


def test_a_model_is_loaded_once(runtime: Runtime, tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    assert runtime.load(path) is runtime.load(path)


def test_threads_share_the_one_session(runtime: Runtime, tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    start, sessions = threading.Barrier(6), []

    def work() -> None:
        start.wait()
        sessions.append(runtime.load(path))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 6
    assert len({id(session) for session in sessions}) == 1


def test_a_changed_file_is_loaded_again(runtime: Runtime, tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    first = runtime.load(path)
    os.utime(path, ns=(1, 1))
    assert runtime.load(path) is not first


def test_other_options_are_another_session(runtime: Runtime, tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    plain = runtime.load(path)
    assert runtime.load(path, threads=2) is not plain
    assert runtime.load(path, extra={"cuda": {"use_tf32": "1"}}) is not plain
    assert runtime.load(path, extra={"cuda": {"use_tf32": "1"}}) is runtime.load(
        path, extra={"cuda": {"use_tf32": "1"}}
    )


def test_low_memory_and_latency_give_the_same_numbers(runtime: Runtime, tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    wanted = runtime.load(path).run([x])[0]
    for changes in ({"low_memory": True}, {"threads": 2}, {"precision": "fast"}):
        np.testing.assert_allclose(runtime.load(path, **changes).run([x])[0], wanted, atol=1e-6)


def test_a_model_of_another_shape_is_refused_even_when_loaded(runtime: Runtime, tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    runtime.load(path, inputs=[(1, 3, 8, 8)], outputs=1)
    with pytest.raises(ModelCorrupt, match="1×3×9×9 is needed"):
        runtime.load(path, inputs=[(1, 3, 9, 9)])
    with pytest.raises(ModelCorrupt, match="1 outputs where 0 and 2 are needed"):
        runtime.load(path, outputs=2)


def test_missing_and_empty_files(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="does not exist"):
        runtime.load(tmp_path / "none.onnx")
    for name in ("empty.onnx", "empty.tflite"):
        (tmp_path / name).touch()
        with pytest.raises(ModelCorrupt, match="is empty"):
            runtime.load(tmp_path / name)


def test_a_failed_load_can_be_tried_again(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_text("nothing")
    with pytest.raises(ModelCorrupt):
        runtime.load(path)
    write_onnx(path)
    assert runtime.load(path).inputs[0].name == "x"


def test_settings_choose_the_provider(tmp_path: Path) -> None:
    runtime = Runtime(Settings(cache_dir=tmp_path, providers=("warp",)))
    with pytest.raises(ProviderError, match="no execution provider warp"):
        runtime.load(write_onnx(tmp_path / "m.onnx"))
    assert runtime.load(tmp_path / "m.onnx", providers=("cpu",)).inputs
    assert runtime.load(write_tflite(tmp_path / "m.tflite")).inputs


def test_releasing_some_and_all(tmp_path: Path) -> None:
    a, b = write_onnx(tmp_path / "a.onnx"), write_tflite(tmp_path / "b.tflite")
    with Runtime(Settings(cache_dir=tmp_path / "cache")) as runtime:
        first, other = runtime.load(a), runtime.load(b)
        first.run([np.zeros((1, 3, 8, 8), np.float32)])
        assert runtime.loaded == {str(a): 1, str(b): 0}
        runtime.release([a])
        assert runtime.loaded == {str(b): 0}
        assert runtime.load(a) is not first
        assert runtime.load(b) is other
    assert runtime.loaded == {}


def test_two_runtimes_share_nothing(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx")
    runtimes = [Runtime(Settings(cache_dir=tmp_path / name)) for name in ("one", "two")]
    assert runtimes[0].load(path) is not runtimes[1].load(path)


def test_the_runtimes_are_imported_only_when_needed(tmp_path: Path) -> None:
    write_tflite(tmp_path / "m.tflite")
    script = f"""
import pathlib, sys
import mien.models
from mien.inference import Runtime
from mien.settings import Settings
heavy = ["numpy", "onnxruntime", "ai_edge_litert", "cv2", "av"]
assert not [name for name in heavy if name in sys.modules]
folder = pathlib.Path({str(tmp_path)!r})
Runtime(Settings(cache_dir=folder)).load(folder / "m.tflite")
assert "onnxruntime" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
