"""What a loaded model looks like to the rest of mien, whichever runtime it runs on."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt

Array: TypeAlias = NDArray[Any]
Feeds: TypeAlias = Sequence[Array] | Mapping[str, Array]
Shape: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model. A dimension of None takes any length."""

    name: str
    shape: Shape
    dtype: np.dtype[Any]

    @property
    def has_batch(self) -> bool:
        """True if several items can go through in one call: the first dimension is free."""
        return bool(self.shape) and self.shape[0] is None

    def fits(self, shape: Sequence[int | None]) -> bool:
        """True if an array of this shape can be fed; None on either side stands for any length."""
        return len(shape) == len(self.shape) and all(
            None in (own, other) or own == other for own, other in zip(self.shape, shape, strict=True)
        )


class Session(Protocol):
    """A loaded model. ``run`` may be called from many threads at once."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs, in the order of the file."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs, in the order of the file."""
        ...

    @property
    def runs(self) -> int:
        """How often the model has run."""
        ...

    def run(self, feeds: Feeds) -> list[Array]:
        """Run the model once; feeds by position or by name. The outputs belong to the caller.

        Arrays are cast to the type of the tensor. Raises ModelCorrupt if a shape does not fit the model,
        OutOfMemory, or ModelError.
        """
        ...


class Counter:
    """A number that many threads may raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = 0

    @property
    def value(self) -> int:
        """The number so far."""
        return self._value

    def add(self) -> None:
        """Raise by one."""
        with self._lock:
            self._value += 1


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller knows about a model: shapes of its first inputs, and the least number of outputs."""

    inputs: tuple[Shape, ...] = ()
    outputs: int = 0

    def check(self, session: Session, path: Path) -> None:
        """Refuse a model of another shape; raises ModelCorrupt that says what it has instead."""
        specs = session.inputs
        if len(specs) < len(self.inputs) or len(session.outputs) < self.outputs:
            raise ModelCorrupt(
                f"The model file {path} has {len(specs)} inputs and {len(session.outputs)} outputs where "
                f"{len(self.inputs)} and {self.outputs} are needed: it is not the model that it should be."
            )
        for spec, shape in zip(specs, self.inputs, strict=False):
            if not spec.fits(shape):
                raise ModelCorrupt(
                    f"The model file {path} takes {in_words(spec.shape)} as {spec.name!r} where "
                    f"{in_words(shape)} is needed: it is not the model that it should be."
                )


def arrange(feeds: Feeds, specs: Sequence[TensorSpec], path: Path) -> list[Array]:
    """Bring feeds into the order and the types of the inputs; raises ModelCorrupt if they do not fit."""
    given = [feeds.get(spec.name) for spec in specs] if isinstance(feeds, Mapping) else list(feeds)
    if len(given) != len(specs) or len(feeds) != len(specs) or any(array is None for array in given):
        names = ", ".join(spec.name for spec in specs)
        raise ModelCorrupt(
            f"The model file {path} takes {len(specs)} inputs ({names}), not {len(feeds)}: "
            "it is not the model that it should be."
        )
    arrays = []
    for spec, array in zip(specs, given, strict=True):
        cast = np.asarray(array, dtype=spec.dtype, order="C")
        if not spec.fits(cast.shape):
            raise ModelCorrupt(
                f"The model file {path} takes {in_words(spec.shape)} as {spec.name!r}, not "
                f"{in_words(cast.shape)}: it is not the model that it should be."
            )
        arrays.append(cast)
    return arrays


def in_words(shape: Sequence[int | None]) -> str:
    """A shape as people write it: 1×3×?×?."""
    return "×".join("?" if length is None else str(length) for length in shape) or "a single number"
