from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mien.errors import ModelCorrupt, ModelError, OutOfMemory
from mien.inference.litert import LiteRTSession
from tests.inference.nets import write_tflite

if TYPE_CHECKING:
    from mien.models.store import ModelStore

X = np.arange(4, dtype=np.float32).reshape(1, 4)


def test_the_session_describes_the_model(tmp_path: Path) -> None:
    session = LiteRTSession(write_tflite(tmp_path / "m.tflite"))
    (spec,) = session.inputs
    assert (spec.name, spec.shape, spec.dtype, spec.has_batch) == ("x", (1, 4), np.dtype(np.float32), False)
    assert [output.name for output in session.outputs] == ["y"]


def test_running(tmp_path: Path) -> None:
    session = LiteRTSession(write_tflite(tmp_path / "m.tflite"))
    (first,) = session.run([X])
    (second,) = session.run({"x": X * 10})
    np.testing.assert_array_equal(first, X * 2)
    np.testing.assert_array_equal(second, X * 20)
    assert session.runs == 2


def test_outputs_belong_to_the_caller(tmp_path: Path) -> None:
    session = LiteRTSession(write_tflite(tmp_path / "m.tflite"))
    (first,) = session.run([X])
    first[:] = 7
    (second,) = session.run([X])
    np.testing.assert_array_equal(second, X * 2)
    np.testing.assert_array_equal(first, np.full((1, 4), 7))


def test_feeds_that_do_not_fit(tmp_path: Path) -> None:
    session = LiteRTSession(write_tflite(tmp_path / "m.tflite"))
    with pytest.raises(ModelCorrupt, match="takes 1×4 as 'x', not 1×5"):
        session.run([np.zeros((1, 5), np.float32)])


def test_many_threads_get_their_own_results(tmp_path: Path) -> None:
    length = 40_000
    session = LiteRTSession(write_tflite(tmp_path / "m.tflite", length))
    wrong: list[int] = []

    def work(value: int) -> None:
        x = np.full((1, length), value, np.float32)
        for _ in range(30):
            if not np.all(session.run([x])[0] == 2 * value):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert session.runs == 180


def test_interpreters_are_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = LiteRTSession(write_tflite(tmp_path / "m.tflite"))
    monkeypatch.setattr(session, "_create", lambda: pytest.fail("made another interpreter"))
    for _ in range(3):
        thread = threading.Thread(target=session.run, args=([X],))
        thread.start()
        thread.join()
    assert session.runs == 3


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_truncated_file_is_refused_in_one_sentence(tmp_path: Path, share: float) -> None:
    path = write_tflite(tmp_path / "m.tflite")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelCorrupt, match=r"m\.tflite") as caught:
        LiteRTSession(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"x", b"<html>not found</html>", b"\0" * 100])
def test_another_file_is_no_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    with pytest.raises(ModelCorrupt, match="is not a LiteRT model"):
        LiteRTSession(tmp_path / "m.tflite")


class Failing:
    """An interpreter whose run fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def set_tensor(self, *_: Any) -> None:
        pass

    def invoke(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"), [(RuntimeError("node 3"), ModelError), (MemoryError(), OutOfMemory)]
)
def test_what_goes_wrong_during_a_run(tmp_path: Path, error: Exception, kind: type[Exception]) -> None:
    session = LiteRTSession(write_tflite(tmp_path / "m.tflite"))
    session.close()
    session._idle.append(Failing(error))  # type: ignore[arg-type]
    with pytest.raises(kind, match=r"m\.tflite"):
        session.run([X])
    assert session.runs == 0


_SCRIPT = """
import pathlib, sys, threading
sys.path.insert(0, {tests!r})
from mien.inference import Runtime
from mien.settings import Settings
from mien.errors import ModelCorrupt
import numpy as np
folder = pathlib.Path({folder!r})
session = Runtime(Settings(cache_dir=folder)).load(folder / "m.tflite")
threads = [threading.Thread(target=session.run, args=([np.zeros((1, 4), np.float32)],)) for _ in range(4)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
try:
    Runtime(Settings(cache_dir=folder)).load(folder / "bad.tflite")
except ModelCorrupt:
    print("mine", file=sys.stderr)
"""


def test_nothing_of_the_library_is_printed(tmp_path: Path) -> None:
    path = write_tflite(tmp_path / "m.tflite")
    (tmp_path / "bad.tflite").write_bytes(path.read_bytes()[:150])
    script = _SCRIPT.format(tests=str(Path(__file__).parents[2]), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    if sys.platform in ("linux", "darwin"):
        assert done.stderr == "mine\n"


def test_the_built_in_models_have_the_shapes_of_the_catalogue(builtin_store: ModelStore) -> None:
    for id in ("blazeface_short", "blazeface_full", "face_mesh", "iris", "selfie_segmentation"):
        session = LiteRTSession(builtin_store.path(id))
        params = builtin_store.catalogue[id].params
        assert list(session.inputs[0].shape) == params["input"]
        assert len(session.run([np.zeros(params["input"], np.float32)])) == params["outputs"]
