"""What every model family of the background remover gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.types import Frame

Alpha: TypeAlias = NDArray[np.uint8]
"""H×W, 255 = foreground."""


@dataclass(frozen=True, slots=True, eq=False)
class Matted:
    """A picture taken apart."""

    foreground: Frame
    """H×W×3 BGR: the foreground's colours, without those of the old background where the family can tell."""
    alpha: Alpha


class Matter(Protocol):
    """A loaded model that finds the foreground; may be called from many threads at once."""

    def matte(self, image: Frame) -> Matted:
        """Take a picture (H×W×3 BGR, at least one pixel) apart."""
        ...
