"""Colours for grey frames: a network guesses them at a small size, the light comes from the frame at full size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.neural.session import only_output
from mien.inference.session import Session
from mien.types import Frame

Kind: TypeAlias = Literal["ddcolor", "deoldify"]


@dataclass(frozen=True, slots=True)
class Colorizer:
    """A loaded network and how it is fed."""

    name: str
    kind: Kind
    session: Session
    size: tuple[int, int]
    """Width and height of the network's input, whatever the shape of the frame."""
    share: float
    """Share of the coloured frame in the result, 0 to 1."""
    compat: bool

    @classmethod
    def of(
        cls, name: str, kind: Kind, session: Session, size: tuple[int, int], share: float, compat: bool
    ) -> Colorizer:
        """Raises ModelCorrupt for a file that does not take one picture of that size."""
        width, height = size
        if len(session.inputs) != 1 or not session.inputs[0].fits((1, 3, height, width)):
            raise ModelCorrupt(
                f"The model file of {name} does not take one picture of {width}x{height} pixels: it is not the "
                "model that it should be, or needs another frame_colorizer_size."
            )
        return cls(name, kind, session, size, share, compat)

    def colored(self, frame: Frame) -> Frame:
        """H×W×3 BGR, coloured. Raises ModelCorrupt."""
        drawn = _WAYS[self.kind](self, frame)
        if self.share == 1:
            return drawn
        return np.asarray(cv2.addWeighted(frame, 1 - self.share, drawn, self.share, 0), np.uint8)

    def guess(self, pixels: NDArray[np.float32], planes: int, frame: Frame) -> NDArray[np.float32]:
        """What the network makes of three equal planes: H×W×planes, at the size of the frame."""
        width, height = self.size
        outputs = self.session.run([pixels[None]])
        output = only_output(self.name, outputs, (1, planes, height, width))[0]
        small = np.ascontiguousarray(output.transpose(1, 2, 0), np.float32)
        return np.asarray(cv2.resize(small, (frame.shape[1], frame.shape[0])), np.float32)


def _by_ddcolor(network: Colorizer, frame: Frame) -> Frame:
    """The network sees the grey frame, 0 to 1, and gives the a and b of Lab."""
    colours = network.guess(_lightness_as_rgb(network, frame), 2, frame)
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    lab[..., 1:] = colours
    drawn = cv2.cvtColor(lab, cv2.COLOR_Lab2BGR)
    drawn *= 255
    return drawn.round().clip(0, 255).astype(np.uint8)


def _lightness_as_rgb(network: Colorizer, frame: Frame) -> NDArray[np.float32]:
    """3×h×w: the grey frame by way of Lab, as the network was trained."""
    grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
    if not network.compat:
        grey = _shrunk(grey, network.size)
    lab = cv2.cvtColor(cv2.merge([grey] * 3).astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    lab[..., 1:] = 0
    rgb = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    if network.compat:
        rgb = cv2.resize(rgb, network.size)
    return np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32)


def _by_deoldify(network: Colorizer, frame: Frame) -> Frame:
    """The network sees the grey frame, 0 to 255, and gives a coloured one; its a and b of Lab are taken.

    FaceFusion takes the blue channel of the frame for its lightness, and lets colours beyond 255 begin again at 0;
    so does ``compat``.
    """
    grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
    small = cv2.resize(grey, network.size) if network.compat else _shrunk(grey, network.size)
    rgb = network.guess(np.stack([small] * 3).astype(np.float32), 3, frame)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    painted = (
        bgr.astype(np.int32).astype(np.uint8) if network.compat else (bgr + 0.5).clip(0, 255).astype(np.uint8)
    )
    lab = cv2.cvtColor(painted, cv2.COLOR_BGR2Lab)
    lab[..., 0] = frame[..., 0] if network.compat else cv2.cvtColor(frame, cv2.COLOR_BGR2Lab)[..., 0]
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2BGR), np.uint8)


def _shrunk(grey: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A plane at the network's size, averaged where it shrinks, so that fine patterns do not become false ones."""
    shrinks = grey.shape[1] > size[0] or grey.shape[0] > size[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, size, interpolation=way), np.uint8)


_WAYS: Mapping[Kind, Callable[[Colorizer, Frame], Frame]] = MappingProxyType(
    {"ddcolor": _by_ddcolor, "deoldify": _by_deoldify}
)
