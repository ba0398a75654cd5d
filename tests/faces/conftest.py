"""Portraits, made clips and the analyser on real models; and stand-ins where a test needs none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.types import Box, Face, Frame, Landmarks

if TYPE_CHECKING:
    from mien.faces.builtin.analyser import BuiltinAnalyser
    from mien.inference.runtime import Runtime
    from mien.models.store import ModelStore
    from mien.settings import Settings


class StubSession:
    """Answers every call with the same outputs and keeps what it was fed."""

    def __init__(self, *outputs: NDArray[np.float32]) -> None:
        self.outputs = [np.asarray(output, np.float32) for output in outputs]
        self.fed: list[NDArray[np.float32]] = []

    def run(self, feeds: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        self.fed.append(feeds[0])
        return [output.copy() for output in self.outputs]


def make_face(
    box: tuple[float, float, float, float], *, score: float = 0.9, track: int | None = None
) -> Face:
    """A face of which only box, score and track matter."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    five = np.tile(np.asarray([x, y], np.float32), (5, 1))
    many = np.tile(np.asarray([x, y], np.float32), (68, 1))
    return Face(Box(*box), score, Landmarks(five, five, many, many), track=track)


@pytest.fixture(scope="package")
def runtime(builtin_settings: Settings) -> Iterator[Runtime]:
    from mien.inference.runtime import Runtime

    with Runtime(builtin_settings) as runtime:
        yield runtime


@pytest.fixture(scope="package")
def analyser(builtin_store: ModelStore, runtime: Runtime) -> BuiltinAnalyser:
    from mien.faces.builtin.analyser import BuiltinAnalyser

    return BuiltinAnalyser(builtin_store, runtime)


@pytest.fixture(scope="session")
def astronaut(builtin_store: ModelStore) -> Frame:
    return _picture(builtin_store, "sample_astronaut")


@pytest.fixture(scope="session")
def hopper(builtin_store: ModelStore) -> Frame:
    return _picture(builtin_store, "sample_hopper")


def _picture(store: ModelStore, name: str) -> Frame:
    picture = cv2.imread(str(store.path(name)), cv2.IMREAD_COLOR)
    assert picture is not None
    picture.setflags(write=False)
    return picture
