"""What the age networks share: named inputs, pictures in RGB, and one picture as the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.neural.session import Triple, check, planes
from mien.inference.session import Session
from mien.types import Frame


@dataclass(frozen=True, slots=True)
class AgeNetwork:
    """A loaded network with the inputs ``target``, ``direction`` and for some ``target_with_background``."""

    name: str
    session: Session
    mean: Triple
    std: Triple

    @classmethod
    def of(cls, name: str, params: Mapping[str, Any], session: Session) -> AgeNetwork:
        """From a catalogue entry. Raises ModelCorrupt for a file that lacks the inputs."""
        names = {spec.name for spec in session.inputs}
        if not {"target", "direction"} <= names <= {"target", "target_with_background", "direction"}:
            raise ModelCorrupt(
                f"The model file of {name} has the inputs {', '.join(sorted(names))} where target and direction "
                "are needed: it is not the model that it should be; fetch it again."
            )
        return cls(name, session, tuple(params["mean"]), tuple(params["std"]))

    def aged(self, target: Frame, background: Frame, direction: NDArray[np.float32]) -> NDArray[np.float32]:
        """H×W×3 BGR float32, 0 to 255: what the network draws for two BGR crops. Raises ModelCorrupt."""
        crops = {"target": target, "target_with_background": background}
        feeds: dict[str, NDArray[Any]] = {
            spec.name: planes(crops[spec.name], self.mean, self.std, rgb=True)
            for spec in self.session.inputs
            if spec.name in crops
        }
        feeds["direction"] = direction
        outputs = self.session.run(feeds)
        fits = bool(outputs) and outputs[0].ndim == 4 and outputs[0].shape[:2] == (1, 3)
        check(self.name, fits and outputs[0].shape[2] == outputs[0].shape[3], outputs)
        pixels = outputs[0][0].transpose(1, 2, 0) * np.array(self.std, np.float32) + np.array(
            self.mean, np.float32
        )
        return np.asarray(pixels.clip(0, 1)[..., ::-1] * np.float32(255), np.float32)
