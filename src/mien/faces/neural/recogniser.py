"""The recogniser: who a face is, as 512 numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.faces.align import align_matrix, warp
from mien.faces.neural.session import Runs, Triple, check, planes
from mien.types import Frame

Vector: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """An identity: ``raw`` as the network gives it, and ``unit``, the same at length 1; 512 float32 each."""

    raw: Vector
    unit: Vector

    @classmethod
    def of(cls, raw: ArrayLike) -> Embedding:
        """The embedding of a raw vector."""
        vector = np.asarray(raw, np.float32).ravel()
        return cls(vector, vector / max(float(np.linalg.norm(vector)), 1e-12))

    def distance(self, other: Embedding) -> float:
        """Half of 1 − cosine, from 0 (the same) to 1: the measure of ``reference_face_distance``."""
        return float(np.interp(1 - float(self.unit @ other.unit), [0, 2], [0, 1]))


@dataclass(frozen=True, slots=True)
class Recogniser:
    """The network behind embeddings; by default fed as arcface is: RGB, −1 to 1, 112×112."""

    name: str
    session: Runs
    size: int = 112
    template: str = "arcface_112_v2"
    mean: Triple = (0.5, 0.5, 0.5)
    std: Triple = (0.5, 0.5, 0.5)
    length: int = 512

    def embed(self, frame: Frame, five: ArrayLike, *, compat: bool = False) -> Embedding:
        """The embedding of the face at five landmarks (frame pixels). Raises ModelCorrupt."""
        side = (self.size, self.size)
        crop = warp(frame, align_matrix(five, self.template, side, compat=compat), side, compat=compat)
        outputs = self.session.run([planes(crop, self.mean, self.std, rgb=True)])
        check(self.name, len(outputs) >= 1 and outputs[0].size == self.length, outputs)
        return Embedding.of(outputs[0])


def average(embeddings: Sequence[Embedding], *, compat: bool = False) -> Embedding:
    """One identity from several pictures of a person: the mean of the raw and of the unit vectors.

    The mean of unit vectors is brought back to length 1 (FaceFusion, and ``compat``, leave it shorter).
    Raises ValueError for no embedding.
    """
    if not embeddings:
        raise ValueError("there is no embedding to average")
    raw: Vector = np.stack([embedding.raw for embedding in embeddings]).mean(axis=0)
    unit: Vector = np.stack([embedding.unit for embedding in embeddings]).mean(axis=0)
    return Embedding(raw, unit if compat else Embedding.of(unit).unit)
