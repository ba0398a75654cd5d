"""A picture on FaceFusion's way: FFmpeg makes the copy that is worked on, and the output from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.media import passes
from mien.media.headers import parse_header, read_bytes
from mien.media.images import Picture
from mien.pipeline.plan import Plan
from mien.pipeline.resize import even_sizes
from mien.types import Frame


def is_repeated(plan: Plan, picture: Picture) -> bool:
    """Whether a picture goes FaceFusion's way; pictures of more than 8 bits and formats unknown to it do not."""
    known = picture.format in passes.FORMATS and plan.output_format in passes.FORMATS
    return plan.compat and known and picture.depth == 8


def working_copy(plan: Plan, picture: Picture) -> tuple[Frame, NDArray[np.uint8] | None]:
    """The copy (H×W×3 BGR and its opacity) that is worked on; even sizes, none larger than the output."""
    work, _ = _sizes(plan, picture)
    if picture.format != "jpeg" and picture.format != "webp" and work == _size(picture):
        return picture.pixels.copy(), picture.alpha
    path = plan.step.target
    data = read_bytes(path)
    orientation = parse_header(data, picture.format, path).orientation
    copy = passes.passed(data, picture.format, work, 100, orientation=orientation)
    return passes.load(copy)


def finished(plan: Plan, picture: Picture, image: Frame, alpha: NDArray[np.uint8] | None) -> bytes:
    """The output file: FFmpeg's picture of the result in the size and quality that were asked for."""
    _, final = _sizes(plan, picture)
    result = passes.store(image, alpha, picture.format)
    quality = plan.output.image_quality
    return passes.passed(result, picture.format, final, quality, output=plan.output_format)


def _size(picture: Picture) -> tuple[int, int]:
    return picture.pixels.shape[1], picture.pixels.shape[0]


def _sizes(plan: Plan, picture: Picture) -> tuple[tuple[int, int], tuple[int, int]]:
    return even_sizes(*_size(picture), plan.output.image_scale)
