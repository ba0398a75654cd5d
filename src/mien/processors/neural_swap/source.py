"""What a swap network is told about the source: an identity vector or a picture, made once per step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import align_matrix, warp
from mien.faces.neural.recogniser import Embedding
from mien.faces.neural.session import planes
from mien.types import Face, Frame

Kind: TypeAlias = Literal["blendswap", "ghost", "hififace", "hyperswap", "inswapper", "simswap", "uniface"]
Vector: TypeAlias = NDArray[np.float32]
Convert: TypeAlias = Callable[[Embedding], Vector]
"""An embedding into the space in which a network takes its identities: 1×512 float32."""

# Picture of the source: template and side of the crop that these networks take (FaceFusion 3.8.1's conventions).
PICTURES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"blendswap": ("arcface_112_v2", 112), "uniface": ("ffhq_512", 256)}
)
WEIGHT_SPAN = 0.35
"""Share of the target's identity at weight 0; as much is taken away at weight 1."""


@dataclass(frozen=True, slots=True)
class SourceFace:
    """The largest face of one source picture."""

    image: Frame
    face: Face


def source_picture(kind: Kind, sources: Sequence[SourceFace], first: Frame, *, compat: bool) -> Vector:
    """1×3×S×S float32, RGB, 0 to 1: the first source face, aligned.

    ``first`` is the first source picture; with ``compat`` its pixels are taken even if the first face is in
    another picture, as FaceFusion does.
    """
    template, side = PICTURES[kind]
    image = first if compat else sources[0].image
    matrix = align_matrix(sources[0].face.landmarks.five_of_68, template, (side, side), compat=compat)
    crop = warp(image, matrix, (side, side), compat=compat)
    return planes(crop, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), rgb=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """The source's identity in the network's space, and how a target's share is mixed in."""

    vector: Vector
    """1×512."""
    target_share: float
    """0.35 to −0.35; 0 at weight 0.5, where the target's embedding is not needed."""
    convert_target: Convert

    def against(self, target: Callable[[], Embedding]) -> Vector:
        """The vector for one target face; ``target`` is called only if its share is not 0."""
        if self.target_share == 0.0:
            return self.vector
        share = np.float32(self.target_share)
        mixed: Vector = self.vector * (1 - share) + self.convert_target(target()) * share
        return mixed.astype(np.float32)


def share_of_target(weight: float) -> float:
    """FaceFusion's scale: weight 0 mixes 35 % of the target in, 0.5 nothing, 1 goes as far the other way."""
    return round(WEIGHT_SPAN - 2 * WEIGHT_SPAN * weight, 6)


def identity_of(kind: Kind, source: Embedding, convert: Convert, weight: float, *, compat: bool) -> Identity:
    """Prepare the identity of a step.

    FaceFusion mixes the target's plain embedding into the converted source, two different spaces; so does
    ``compat``. Otherwise the target's embedding goes the same way as the source's.
    """
    return Identity(
        vector=convert(source),
        target_share=share_of_target(weight),
        convert_target=_plain(kind) if compat else convert,
    )


def _plain(kind: Kind) -> Convert:
    if kind == "ghost":
        return lambda embedding: embedding.raw.reshape(1, -1)
    return lambda embedding: embedding.unit.reshape(1, -1)


def by_unit(embedding: Embedding) -> Vector:
    """The unit embedding itself (hyperswap)."""
    return embedding.unit.reshape(1, -1)


def by_matrix(matrix: NDArray[np.float32]) -> Convert:
    """Projection by the 512×512 matrix of the network's own file, over the embedding's length (inswapper)."""

    def convert(embedding: Embedding) -> Vector:
        raw = embedding.raw.reshape(1, -1)
        return np.asarray(raw @ matrix / np.linalg.norm(raw), np.float32)

    return convert


def by_network(run: Callable[[Vector], Vector], *, unit: bool) -> Convert:
    """A converter network on the raw embedding; its output brought to length 1 or not."""

    def convert(embedding: Embedding) -> Vector:
        vector = np.asarray(run(embedding.raw.reshape(1, -1)), np.float32).reshape(1, -1)
        return vector / np.linalg.norm(vector) if unit else vector

    return convert
