"""A swap network on one aligned crop, at any pixel boost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.neural.session import Triple
from mien.inference.session import Session
from mien.processors.neural_swap.boost import join, split
from mien.processors.neural_swap.source import Kind, Vector
from mien.types import Frame

SIGNED_OUTPUT = frozenset({"ghost", "hififace", "hyperswap", "uniface"})
"""Kinds whose output is −1 to 1, undone by mean and std; the others give 0 to 1."""


@dataclass(frozen=True, slots=True)
class SwapNetwork:
    """A loaded swap network and how it is fed."""

    name: str
    kind: Kind
    session: Session
    size: int
    template: str
    mean: Triple
    std: Triple

    @classmethod
    def of(cls, name: str, params: Mapping[str, Any], session: Session) -> SwapNetwork:
        """From a catalogue entry. Raises ModelCorrupt if the file lacks the inputs ``source`` and ``target``."""
        names = {spec.name for spec in session.inputs}
        if not {"source", "target"} <= names:
            raise ModelCorrupt(
                f"The model file of {name} has the inputs {', '.join(sorted(names))} instead of source and target: "
                "it is not the model that it should be; fetch it again."
            )
        return cls(
            name=name,
            kind=params["kind"],
            session=session,
            size=params["size"],
            template=params["template"],
            mean=tuple(params["mean"]),
            std=tuple(params["std"]),
        )

    def working_size(self, boost: int) -> int:
        """The crop side that is really swapped for a boost: the next multiple of the network's own size."""
        return -(-boost // self.size) * self.size

    def swap(self, crop: Frame, source: Vector, *, exact: bool = False) -> NDArray[np.floating[Any]]:
        """Swap an S×S×3 BGR uint8 crop (S a multiple of the network's size); float32 BGR, 0 to 255.

        ``exact`` undoes mean and deviation in float64, as FaceFusion does: it shows where values are truncated.
        """
        output = self._run(self._prepare(split(crop, self.size)), source)
        wide = exact and self.kind in SIGNED_OUTPUT
        return join(self._decode(output.astype(np.float64) if wide else output))

    def _prepare(self, parts: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = parts[..., ::-1].astype(np.float32) / 255
        pixels = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)

    def _run(self, parts: NDArray[np.float32], source: Vector) -> NDArray[np.float32]:
        batch = all(spec.has_batch for spec in self.session.inputs)
        groups = [parts] if batch else [part[None] for part in parts]
        return np.concatenate([self._run_once(group, source) for group in groups])

    def _run_once(self, group: NDArray[np.float32], source: Vector) -> NDArray[np.float32]:
        feeds = {"source": np.repeat(source, len(group), axis=0), "target": group}
        result: NDArray[np.float32] = self.session.run(feeds)[0]
        if result.shape != group.shape:
            raise ModelCorrupt(
                f"The model {self.name} gives an array of shape {result.shape} where {group.shape} is needed: "
                "it is not the model that it should be; fetch it again."
            )
        return result

    def _decode(self, output: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        pixels = output.transpose(0, 2, 3, 1)
        if self.kind in SIGNED_OUTPUT:
            pixels = pixels * np.array(self.std, output.dtype) + np.array(self.mean, output.dtype)
        return np.asarray(pixels.clip(0, 1)[..., ::-1] * output.dtype.type(255))


def shrunk(crop: NDArray[np.floating[Any]], side: int) -> NDArray[np.floating[Any]]:
    """A crop at another side, by averaging; unchanged where it fits already."""
    if crop.shape[0] == side:
        return crop
    return np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), crop.dtype)
