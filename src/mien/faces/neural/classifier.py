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
# Half-open, as FaceFusion has them: 2, 9, 19, 29 … belong to no class.
_AGES: Mapping[int, range] = MappingProxyType(
    {
        0: range(0, 2),
        1: range(3, 9),
        2: range(10, 19),
        3: range(20, 29),
        4: range(30, 39),
        5: range(40, 49),
        6: range(50, 59),
        7: range(60, 69),
    }
)
_OLDEST = range(70, 100)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the classifier says of a face; ``age`` is a half-open range of years."""

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
        """The attributes of the face at five landmarks (frame pixels). Raises ModelCorrupt."""
        side = (self.size, self.size)
        crop = warp(frame, align_matrix(five, self.template, side, compat=compat), side, compat=compat)
        outputs = self.session.run([planes(crop, self.mean, self.std, rgb=True)])
        check(self.name, len(outputs) >= 3 and all(output.size >= 1 for output in outputs[:3]), outputs)
        race, gender, age = (int(np.ravel(output)[0]) for output in outputs[:3])
        return Attributes(_GENDERS.get(gender, "male"), _AGES.get(age, _OLDEST), _RACES.get(race, "white"))
