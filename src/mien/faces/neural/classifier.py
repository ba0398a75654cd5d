"""The classifier: gender, age and race of a face, as fairface puts them into classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from mien.faces.align import align_matrix, warp
from mien.faces.neural.session import IMAGENET_MEAN, IMAGENET_STD, Runs, Triple, check, planes
from mien.types import Frame

Gender: TypeAlias = Literal["female", "male"]
Race: TypeAlias = Literal["white", "black", "latino", "asian", "indian", "arabic"]

_GENDERS: Mapping[int, Gender] = MappingProxyType({1: "female"})
_RACES: Mapping[int, Race] = MappingProxyType(
    {1: "black", 2: "latino", 3: "asian", 4: "asian", 5: "indian", 6: "arabic"}
)
# FairFace's classes: first and last year.
_AGES: tuple[tuple[int, int], ...] = (
    (0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 100),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the classifier says of a face; ``age`` holds all years of its class."""

    gender: Gender
    age: range
    race: Race


@dataclass(frozen=True, slots=True)
class Classifier:
    """The fairface network: RGB, ImageNet statistics, 224×224."""

    name: str
    session: Runs
    size: int = 224
    template: str = "arcface_112_v2"
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD

    def classify(self, frame: Frame, five: ArrayLike, *, compat: bool = False) -> Attributes:
        """The attributes of the face at five landmarks (frame pixels). Raises ModelCorrupt.

        With ``compat`` an age class lacks its last year, as in FaceFusion: no class holds 2, 9, 19 …
        """
        side = (self.size, self.size)
        crop = warp(frame, align_matrix(five, self.template, side, compat=compat), side, compat=compat)
        outputs = self.session.run([planes(crop, self.mean, self.std, rgb=True)])
        check(self.name, len(outputs) >= 3 and all(output.size >= 1 for output in outputs[:3]), outputs)
        race, gender, age = (int(np.ravel(output)[0]) for output in outputs[:3])
        first, last = _AGES[age] if 0 <= age < len(_AGES) else _AGES[-1]
        years = range(first, last if compat else last + 1)
        return Attributes(_GENDERS.get(gender, "male"), years, _RACES.get(race, "white"))
