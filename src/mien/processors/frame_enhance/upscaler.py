"""An enlarging network over whole frames, tile by tile, and the blend with the plainly enlarged frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mien.errors import ModelCorrupt
from mien.faces.neural.session import only_output, planes
from mien.inference.session import Session
from mien.processors.tiling import TileSize, enlarge, enlarge_as_upstream
from mien.types import Frame

BATCH_PIXELS = 4 * 128 * 128
"""Pixels of all tiles that go through a network at once, where it takes several; one tile in any case."""


@dataclass(frozen=True, slots=True)
class Upscaler:
    """A loaded network and how it is fed: 1×3×T×T float32, RGB, 0 to 1, giving sT×sT of the same kind."""

    name: str
    session: Session
    tile: TileSize
    scale: int
    share: float
    """Share of the network's picture in the result, 0 to 1; the rest is the frame enlarged without it."""
    compat: bool

    @classmethod
    def of(
        cls, name: str, params: Mapping[str, Any], session: Session, share: float, compat: bool
    ) -> Upscaler:
        """From a catalogue entry. Raises ModelCorrupt for a file that does not take one picture."""
        side = params["tile"][0]
        if len(session.inputs) != 1 or not session.inputs[0].fits((None, 3, side, side)):
            raise ModelCorrupt(
                f"The model file of {name} does not take one picture of {side}x{side} pixels: "
                "it is not the model that it should be; fetch it again."
            )
        return cls(name, session, TileSize(*params["tile"]), params["scale"], share, compat)

    def enlarged(self, frame: Frame) -> Frame:
        """H×W×3 to sH×sW×3. Raises ModelCorrupt, OutOfMemory."""
        if not self.compat:
            return enlarge(frame, self.tile, self.scale, self._blended, batch=self._batch())
        drawn = enlarge_as_upstream(frame, self.tile, self.scale, self._drawn)
        plain = cv2.resize(frame, (drawn.shape[1], drawn.shape[0]))
        return np.asarray(cv2.addWeighted(plain, 1 - self.share, drawn, self.share, 0, dst=plain), np.uint8)

    def _batch(self) -> int:
        if not self.session.inputs[0].has_batch:
            return 1
        return max(BATCH_PIXELS // self.tile.side**2, 1)

    def _blended(self, tiles: Sequence[Frame]) -> Sequence[Frame]:
        side = self.tile.side * self.scale
        drawn = self._drawn(tiles)
        if self.share < 1:
            for tile, result in zip(tiles, drawn, strict=True):
                cv2.addWeighted(
                    cv2.resize(tile, (side, side)), 1 - self.share, result, self.share, 0, dst=result
                )
        return drawn

    def _drawn(self, tiles: Sequence[Frame]) -> Sequence[Frame]:
        """The tiles as the network enlarges them."""
        side = self.tile.side * self.scale
        pixels = np.concatenate([planes(tile, (0, 0, 0), (1, 1, 1), rgb=True) for tile in tiles])
        output = only_output(self.name, self.session.run([pixels]), (len(tiles), 3, side, side))
        return [_as_frame(item, 0.0 if self.compat else 0.5) for item in output]


def _as_frame(output: Any, rounding: float) -> Frame:
    """3×H×W RGB, 0 to 1, as H×W×3 BGR uint8."""
    frame = np.empty((*output.shape[1:], 3), np.uint8)
    for channel, plane in enumerate(output[::-1]):
        levels = plane.astype(np.float32) * np.float32(255)
        levels += np.float32(rounding)
        frame[..., channel] = levels.clip(0, 255)
    return frame
