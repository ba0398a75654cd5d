"""The content policy looks at a live picture now and then, and nobody waits for it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from mien.errors import UnsafeInput
from mien.pipeline.policy import Policy
from mien.pipeline.watch import LOOKS, Watch
from mien.types import Frame


class Eye:
    """Flags bright frames; looks only while it is let."""

    def __init__(self) -> None:
        self.looked = 0
        self.may = threading.Event()
        self.may.set()

    def flags(self, image: Frame) -> bool:
        assert self.may.wait(60)
        self.looked += 1
        return bool(image.max() > 100)


DARK, BRIGHT = (np.full((4, 4, 3), value, np.uint8) for value in (0, 200))


def watch_of(eye: Any, *, refuses: bool = True) -> Watch:
    return Watch(Policy(eye, refuses=refuses))


def look(watch: Watch, image: Frame, at: float) -> None:
    """Look, and wait until the look is over."""
    watch.look(image, at)
    if watch._pending is not None:
        watch._pending.result(60)


def test_it_looks_once_a_second() -> None:
    eye = Eye()
    watch = watch_of(eye)
    for number in range(75):
        look(watch, DARK, number / 25)
    watch.close()
    assert eye.looked == 3
    assert watch.verdict == "passed"


def test_what_is_refused_ends_the_picture() -> None:
    watch = watch_of(Eye())
    look(watch, BRIGHT, 0.0)
    for at in (0.04, 0.08):
        with pytest.raises(UnsafeInput, match="The live picture shows"):
            watch.look(DARK, at)
    watch.close()


def test_a_single_flag_among_many_looks_is_let_pass() -> None:
    watch = watch_of(Eye())
    for number in range(LOOKS + 2):
        look(watch, BRIGHT if number == LOOKS else DARK, float(number))
    assert watch.verdict == "passed"
    look(watch, BRIGHT, LOOKS + 2.0)
    with pytest.raises(UnsafeInput):
        watch.look(DARK, LOOKS + 3.0)
    watch.close()


def test_where_nothing_is_refused_it_is_told() -> None:
    watch = watch_of(Eye(), refuses=False)
    look(watch, BRIGHT, 0.0)
    watch.look(DARK, 0.04)
    assert watch.verdict == "flagged"
    watch.close()


def test_nobody_waits_for_a_look() -> None:
    eye = Eye()
    eye.may.clear()
    watch = watch_of(eye)
    for number in range(100):
        watch.look(DARK, float(number))
    assert eye.looked == 0
    eye.may.set()
    watch.close()
    assert eye.looked <= 1


def test_without_anything_that_looks_nothing_is_said() -> None:
    watch = watch_of(None)
    watch.look(BRIGHT, 0.0)
    watch.close()
    assert watch.verdict == "unchecked"
