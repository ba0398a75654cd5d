"""Sessions that answer by a function and remember what they were fed, and runs made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from mien.inference.session import TensorSpec
from mien.models.catalogue import load_catalogue
from mien.options import Options
from mien.processors.base import RunContext
from mien.types import Face, MediaInfo

Answer = Callable[..., np.ndarray]


@dataclass
class FakeSession:
    """``answer`` gets the feeds by name (by position: ``input``) and gives the one output."""

    answer: Answer
    names: tuple[str, ...] = ("source", "target")
    batch: bool = False
    fed: list[dict[str, np.ndarray]] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        first = None if self.batch else 1
        return tuple(TensorSpec(name, (first, None), np.dtype(np.float32)) for name in self.names)

    @property
    def runs(self) -> int:
        return len(self.fed)

    def run(self, feeds: Any) -> list[np.ndarray]:
        given = dict(feeds) if isinstance(feeds, Mapping) else {"input": feeds[0]}
        self.fed.append(given)
        return [np.asarray(self.answer(**given), np.float32)]


def make_run(
    sessions: Mapping[str, FakeSession],
    faces: Callable[[Any], tuple[Face, ...]],
    *groups: Options,
    sources: tuple[Path, ...] = (),
    compat: bool = False,
    paths: Mapping[str, Path] | None = None,
) -> RunContext:
    """A run whose models are sessions by id, and whose analyser is a function."""
    given = {type(group): group for group in groups}
    known = dict(paths or {})
    ids = {known.get(id, Path(id)): id for id in sessions}
    return RunContext(
        models=cast(
            Any,
            SimpleNamespace(path=lambda id: known.get(id, Path(id)), catalogue=load_catalogue()),
        ),
        runtime=cast(Any, SimpleNamespace(load=lambda path: sessions[ids[path]])),
        analyser=cast(Any, SimpleNamespace(faces=faces)),
        sources=sources,
        target=MediaInfo("image", "png", 200, 200, 0.0),
        settings_of=lambda kind: given.get(kind, kind()),
        notice=lambda line: None,
        compat=compat,
    )


def arcface() -> FakeSession:
    """A recogniser whose embedding depends on the brightness of the crop."""
    ramp = np.linspace(-1, 2, 512)
    return FakeSession(lambda input: (ramp + float(input.mean()))[None] * 10, ("input",))
