"""Sizes of a video's frames on their way: as they are looked at, worked on, and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import cv2
import numpy as np

from mien.media import color, passes
from mien.pipeline.plan import Plan
from mien.pipeline.resize import resized
from mien.types import ColorTags, Frame, MediaInfo

Size: TypeAlias = tuple[int, int]
"""(width, height)"""
Resize: TypeAlias = Callable[[Frame, int, int], Frame]

WRITTEN: Final = ColorTags(color.BT709, color.BT709, color.BT709, False)
"""Colours of every video that FaceFusion writes."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How frames change their size; what is not scaled is passed on as it is."""

    work: Size
    """Size of the frames that are worked on."""
    final: Size
    """Size of the frames that are written."""
    looked_at: Size | None
    """Size of the frames in which faces are searched; None: that of the video."""
    to_work: Resize
    to_final: Resize

    def analysed(self, image: Frame) -> Frame:
        """The frame in which faces are searched."""
        return image if self.looked_at is None else _scaled(self.to_work, image, self.looked_at)

    def worked_on(self, image: Frame) -> Frame:
        """A frame for the processors to change; a copy."""
        return image.copy() if _size(image) == self.work else self.to_work(image, *self.work)

    def written(self, image: Frame) -> Frame:
        """A finished frame in the size of the output."""
        return _scaled(self.to_final, image, self.final)


def scaling_of(plan: Plan, work: Size, final: Size) -> Scaling:
    """The scaling of a step.

    A smaller output is made before the search for faces, a larger one after the work. FaceFusion searches in full size,
    makes the working frame by bilinear interpolation (through files: by FFmpeg), and lets FFmpeg make the output.
    """
    if not plan.compat:
        return Scaling(work, final, work, resized, resized)
    to_work = passes.scaled if plan.workflow.strategy == "disk" else _bilinear
    return Scaling(work, final, None, to_work, passes.scaled)


def as_facefusion_reads(info: MediaInfo) -> MediaInfo:
    """What a target holds, where a video without a colour matrix is BT.601 whatever its size."""
    video = info.video
    if video is None or color.resolved(video.color, 0).matrix == color.resolved(video.color, 1080).matrix:
        return info
    tags = replace(video.color, matrix=color.SMPTE170M)
    return replace(info, video=replace(video, color=tags))


def _bilinear(image: Frame, width: int, height: int) -> Frame:
    return np.asarray(cv2.resize(image, (width, height)), np.uint8)


def _scaled(resize: Resize, image: Frame, size: Size) -> Frame:
    return image if _size(image) == size else resize(image, *size)


def _size(image: Frame) -> Size:
    return image.shape[1], image.shape[0]
