"""Enlarge whole frames with a network that draws the missing detail."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext

if TYPE_CHECKING:
    from mien.processors.frame_enhance.upscaler import Upscaler

ModelName = Literal[
    "clear_reality_x4",
    "face_dat_x4",
    "nomos8k_sc_x4",
    "real_esrgan_x2",
    "real_esrgan_x2_fp16",
    "real_esrgan_x4",
    "real_esrgan_x4_fp16",
    "real_esrgan_x8",
    "real_esrgan_x8_fp16",
    "real_hatgan_x4",
    "real_web_photo_x4",
    "realistic_rescaler_x4",
    "remacri_x4",
    "siax_x4",
    "span_kendata_x4",
    "swin2_sr_x4",
    "tghq_face_x8",
    "ultra_sharp_x4",
    "ultra_sharp_2_x4",
]

LARGE_TILE = 512
"""Side of a tile, in pixels, from which on the network's memory is given back after every tile."""


class FrameEnhancerOptions(Options):
    """Options of the frame enhancer; names, choices and defaults are FaceFusion's."""

    group = "frame_enhancer"

    model: ModelName = option("span_kendata_x4", help="The network; x2, x4, x8 is how much it enlarges.")
    blend: int = option(
        80,
        ge=0,
        le=100,
        step=1,
        unit="%",
        help="Share of the network's picture; the rest is plain enlargement.",
    )


def scale_of(model: str) -> int:
    """How much a model enlarges: the number behind the x in its name."""
    found = re.search(r"_x(\d+)", model)
    assert found is not None, model
    return int(found[1])


class FrameEnhancer(Processor[FrameEnhancerOptions, "Upscaler"]):
    """Enlarge and sharpen whole frames. The frame leaves this processor 2, 4 or 8 times as large."""

    name = "frame_enhancer"
    Options: ClassVar[type[Options]] = FrameEnhancerOptions
    summary = "Enlarge pictures and video, drawing the missing detail."
    needs_faces = False
    synthetic = False

    def models(self, options: FrameEnhancerOptions) -> Sequence[str]:
        """Names of the catalogue entries that must be present."""
        return (options.model,)

    def prepare(self, run: RunContext, options: FrameEnhancerOptions) -> Upscaler:
        """Open the network. Raises ModelMissing or ModelCorrupt."""
        from mien.processors.frame_enhance.upscaler import Upscaler

        params = run.models.catalogue[options.model].params
        session = run.runtime.load(
            run.models.path(options.model),
            low_memory=params["tile"][0] >= LARGE_TILE,
            threads=_threads(run),
        )
        return Upscaler.of(options.model, params, session, options.blend / 100, run.compat)

    def process(self, frame: FrameContext, state: Upscaler) -> None:
        """Replace ``frame.image``, and the opacity, by larger ones."""
        frame.image = state.enlarged(frame.image)
        if frame.alpha is not None:
            import cv2
            import numpy as np

            height, width = frame.image.shape[:2]
            frame.alpha = np.asarray(cv2.resize(frame.alpha, (width, height)), np.uint8)

    def output_size(self, options: FrameEnhancerOptions, width: int, height: int) -> tuple[int, int]:
        """Size of the frame after this processor."""
        scale = scale_of(options.model)
        return width * scale, height * scale


def _threads(run: RunContext) -> int:
    """Threads inside the network: the frames of a video are enlarged at the same time, a picture is alone."""
    return (run.models.settings.threads or os.cpu_count() or 1) if run.target.kind == "image" else 1
