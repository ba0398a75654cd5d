"""What mien asks of the C library: silence while a session is made, and memory handed back afterwards.

LiteRT writes "Created TensorFlow Lite XNNPACK delegate for CPU" to C's ``stderr`` once per process, and the
reasons why it refuses a file. It offers neither a function nor an environment variable against that. File
descriptor 2 is not touched, since other threads and their child processes write to it: only the C library's
variable ``stderr`` points to the null device meanwhile, which Python's ``sys.stderr`` does not use.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import sys
import threading
from collections.abc import Iterator

CREATION = threading.Lock()
"""Held while any session of the process is made: no runtime promises that this can be done concurrently."""


@contextlib.contextmanager
def quiet_creation() -> Iterator[None]:
    """Hold the creation lock, with C's ``stderr`` silenced where the platform lets us."""
    with CREATION:
        pointer = _stderr_pointer()
        sink = None if pointer is None else _open_null()
        if pointer is None or sink is None:
            yield
            return
        kept = pointer.value
        pointer.value = sink
        try:
            yield
        finally:
            pointer.value = kept


@functools.cache
def _has_glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def _stderr_pointer() -> ctypes.c_void_p | None:
    """The variable ``stderr`` of the C library; None where it is not a variable (Windows, musl)."""
    if sys.platform == "darwin":
        name = "__stderrp"
    elif _has_glibc():
        name = "stderr"
    else:
        return None
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), name)
    except ValueError:
        return None


@functools.cache
def _open_null() -> int | None:
    """A C stream to the null device; opened once and never closed, since any thread may still hold it."""
    fopen = ctypes.CDLL(None).fopen
    fopen.restype = ctypes.c_void_p
    fopen.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    stream = fopen(os.devnull.encode(), b"w")
    return None if stream is None else int(stream)


def trim_memory() -> None:
    """Give memory that the C library keeps for later back to the system (glibc; elsewhere it does so itself)."""
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)
