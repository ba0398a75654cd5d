from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading

import pytest

from mien.inference import clib
from mien.inference.clib import quiet_creation, trim_memory

with_pointer = pytest.mark.skipif(clib._stderr_pointer() is None, reason="C's stderr is no variable here")

_SCRIPT = """
import ctypes, os, sys
from mien.inference.clib import quiet_creation, _stderr_pointer
library = ctypes.CDLL(None)
def say(text):
    library.fputs(text, _stderr_pointer())
say(b"before ")
with quiet_creation():
    say(b"SILENCED")
    os.write(2, b"descriptor ")
    print("python", end=" ", file=sys.stderr, flush=True)
say(b"after")
"""


@with_pointer
def test_only_the_c_stream_is_silenced_and_only_inside() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True)
    assert done.stderr == "before descriptor python after"


@with_pointer
def test_the_stream_comes_back_after_an_error() -> None:
    pointer = clib._stderr_pointer()
    assert pointer is not None
    before = pointer.value

    class Boom(Exception):
        pass

    def fail() -> None:
        with quiet_creation():
            inside.append(ctypes.c_void_p.from_buffer(pointer).value)
            raise Boom

    inside: list[int | None] = []
    with pytest.raises(Boom):
        fail()
    assert inside != [before]
    assert pointer.value == before


@with_pointer
def test_many_threads_leave_the_stream_as_it_was() -> None:
    pointer = clib._stderr_pointer()
    assert pointer is not None
    before = pointer.value

    def work() -> None:
        for _ in range(50):
            with quiet_creation():
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pointer.value == before


def test_no_descriptors_are_lost() -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("descriptors cannot be counted here")
    with quiet_creation():
        pass
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with quiet_creation():
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_the_variable_creation_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clib, "_stderr_pointer", lambda: None)
    with quiet_creation():
        assert clib.CREATION.locked()
    assert not clib.CREATION.locked()


def test_memory_can_be_handed_back_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trim_memory() is None
    monkeypatch.setattr(clib, "_has_glibc", lambda: False)
    monkeypatch.setattr(clib.ctypes, "CDLL", lambda name: pytest.fail("no such library here"))
    assert trim_memory() is None
