"""The content policy: is a picture sexual content, and is a video, by its sampled frames.

An analyser answers for one picture. ``Vote`` is the one that ships: three networks, two of which must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

from mien.options import Options, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.inference.session import Session
    from mien.models.catalogue import Model
    from mien.types import Frame

VOTERS = ("nsfw_1", "nsfw_2", "nsfw_3")
"""Ids of the networks; the two small ones first, so that the large one runs only when they disagree."""

_NEEDED = 2
VIDEO_SHARE = 0.1
"""Share of a video's samples above which the video is refused (FaceFusion 3.8.1)."""

Measure: TypeAlias = Literal["detections", "first-over-second", "last-two-over-first-two"]


class ContentOptions(Options):
    """What happens to pictures and videos that are found to be sexual content."""

    group: ClassVar[str] = "content"
    section: ClassVar[str] = "safety"
    title: ClassVar[str] = "Content policy"

    policy: Literal["refuse", "flag", "off"] = option(
        "refuse",
        help="Refuse sexual content, only say so in the result, or do not look; needs the content models.",
    )


class ContentAnalyser(Protocol):
    """Answers whether one picture is sexual content."""

    @property
    def name(self) -> str:
        """What answers, in words."""
        ...

    def flags(self, image: Frame) -> bool:
        """True if the picture (H×W×3 BGR uint8) is sexual content."""
        ...


@dataclass(frozen=True, slots=True)
class Voter:
    """One network: how it is fed, what it measures, and above which value it votes yes."""

    open: Callable[[], Session]
    """Gives the session; called for each picture, so it should keep what it opened."""
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    measure: Measure
    threshold: float

    def flags(self, image: Frame) -> bool:
        """Whether the network votes yes."""
        import numpy as np

        small = contained(image, self.size)
        pixels = small[..., ::-1].astype(np.float32) / 255
        pixels = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        output = self.open().run([pixels.transpose(2, 0, 1)[None]])[0][0]
        return _MEASURES[self.measure](output) > self.threshold


@dataclass(frozen=True, slots=True)
class Vote:
    """Flags a picture when two of three networks do; the third is asked only when the first two disagree."""

    voters: Sequence[Voter]
    name: str = "vote of three networks"

    def flags(self, image: Frame) -> bool:
        """True if the picture is sexual content."""
        yes = 0
        for index, voter in enumerate(self.voters):
            yes += voter.flags(image)
            left = len(self.voters) - index - 1
            if yes >= _NEEDED or yes + left < _NEEDED:
                break
        return yes >= _NEEDED


def make_vote(catalogue: Mapping[str, Model], load: Callable[[str], Session]) -> Vote:
    """The vote over the networks of the catalogue; ``load`` gives the session of a model id when it is first asked."""
    return Vote([_voter(partial(load, id), catalogue[id].params) for id in VOTERS])


def _voter(open: Callable[[], Session], params: Mapping[str, Any]) -> Voter:
    return Voter(
        open=open,
        size=params["size"],
        mean=tuple(params["mean"]),
        std=tuple(params["std"]),
        measure=params["measure"],
        threshold=params["threshold"],
    )


def contained(image: Frame, size: int) -> Frame:
    """The whole picture inside a black square of that side, centred."""
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    scale = min(size / height, size / width)
    inner = (max(int(width * scale), 1), max(int(height * scale), 1))
    canvas = np.zeros((size, size, 3), np.uint8)
    left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner)
    return canvas


def sample_numbers(start: int, end: int, rate: float) -> range:
    """Numbers of the frames of [start, end) that are looked at: one a second, counted from frame 0."""
    every = max(int(rate), 1)
    return range(-(-start // every) * every, end, every)


def too_many(flagged: int, sampled: int) -> bool:
    """Whether a video is refused for so many flagged frames among those sampled."""
    return sampled > 0 and flagged / sampled > VIDEO_SHARE


def _detections(output: NDArray[np.float32]) -> float:
    """Best class score of any box: rows 0 to 3 are the box, the others classes."""
    return float(output[4:].max())


def _first_over_second(output: NDArray[np.float32]) -> float:
    return float(output[0] - output[1])


def _last_two_over_first_two(output: NDArray[np.float32]) -> float:
    return float(output[2] + output[3] - output[0] - output[1])


_MEASURES: Mapping[Measure, Callable[[NDArray[np.float32]], float]] = MappingProxyType(
    {
        "detections": _detections,
        "first-over-second": _first_over_second,
        "last-two-over-first-two": _last_two_over_first_two,
    }
)
