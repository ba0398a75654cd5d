"""Restore faces: a network redraws each face from its blurred or compressed crop, and is blended in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from mien.options import Options, option
from mien.processors.base import FrameContext, Processor, RunContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.faces.masks import Masker
    from mien.inference.session import Session
    from mien.types import Face, Frame

ModelName = Literal[
    "codeformer",
    "gfpgan_1.2",
    "gfpgan_1.3",
    "gfpgan_1.4",
    "gpen_bfr_256",
    "gpen_bfr_512",
    "gpen_bfr_1024",
    "gpen_bfr_2048",
    "restoreformer_plus_plus",
]


class FaceEnhancerOptions(Options):
    """Options of the face enhancer; names, choices and defaults are FaceFusion's."""

    group = "face_enhancer"

    model: ModelName = option("gfpgan_1.4", help="The network that restores faces.")
    blend: int = option(80, ge=0, le=100, step=1, unit="%", help="Share of the restored face in the result.")
    weight: float = option(
        0.5,
        ge=0.0,
        le=1.0,
        step=0.05,
        help="codeformer: 0 gives the most beautiful face, 1 the one nearest to the picture.",
    )


@dataclass(frozen=True, slots=True)
class EnhancerState:
    """What a step needs for every frame."""

    name: str
    session: Session
    template: str
    size: int
    share: float
    """0 to 1."""
    weight: float | None
    """None where the network takes no weight."""
    masker: Masker
    compat: bool


class FaceEnhancer(Processor[FaceEnhancerOptions, EnhancerState]):
    """Restore the selected faces."""

    name = "face_enhancer"
    Options: ClassVar[type[Options]] = FaceEnhancerOptions
    summary = "Restore blurred, small or compressed faces."
    synthetic = False

    def models(self, options: FaceEnhancerOptions) -> Sequence[str]:
        """Names of the catalogue entries that must be present."""
        return (options.model,)

    def prepare(self, run: RunContext, options: FaceEnhancerOptions) -> EnhancerState:
        """Open the network. Raises ModelMissing or ModelCorrupt."""
        from mien.processors.masking import make_masker

        params = run.models.catalogue[options.model].params
        session = run.runtime.load(run.models.path(options.model))
        weighted = any(spec.name == "weight" for spec in session.inputs)
        return EnhancerState(
            name=options.model,
            session=session,
            template=params["template"],
            size=params["size"],
            share=options.blend / 100,
            weight=options.weight if weighted else None,
            masker=make_masker(run),
            compat=run.compat,
        )

    def process(self, frame: FrameContext, state: EnhancerState) -> None:
        """Restore the selected faces in ``frame.image``, one after the other."""
        from mien.faces.align import scale_face

        x = frame.image.shape[1] / frame.target.shape[1]
        y = frame.image.shape[0] / frame.target.shape[0]
        for face in frame.selected:
            _enhance(frame.image, scale_face(face, x, y), state)


def _enhance(image: Frame, face: Face, state: EnhancerState) -> None:
    from mien.faces.align import align_matrix, paste_back, warp
    from mien.faces.masks import combine, occlusion_mask

    side = (state.size, state.size)
    matrix = align_matrix(face.landmarks.five_of_68, state.template, side, compat=state.compat)
    crop = warp(image, matrix, side, compat=state.compat)
    masks = [state.masker.box(crop, padded=False)]
    if "occlusion" in state.masker.types:
        masks.append(occlusion_mask(crop, state.masker.occluders(), compat=state.compat))
    restored = _restore(crop, state)
    mask = combine(masks)
    if not state.compat:
        paste_back(image, restored, mask * state.share, matrix)
        return
    _paste_in_two_steps(image, restored, mask, matrix, state.share)


def _paste_in_two_steps(
    image: Frame, restored: Frame, mask: NDArray[np.float32], matrix: NDArray[np.float64], share: float
) -> None:
    """FaceFusion's way: paste the whole face, then blend the two frames, each step with its own rounding."""
    import cv2

    from mien.faces.align import paste_back

    before = image.copy()
    x1, y1, x2, y2 = paste_back(image, restored, mask, matrix, compat=True)
    if x1 < x2 and y1 < y2:
        region = image[y1:y2, x1:x2]
        region[:] = cv2.addWeighted(before[y1:y2, x1:x2], 1 - share, region, share, 0)


def _restore(crop: Frame, state: EnhancerState) -> Frame:
    """The crop redrawn by the network: S×S×3 BGR uint8. Raises ModelCorrupt."""
    import numpy as np

    from mien.faces.neural.session import only_output, planes

    half = (0.5, 0.5, 0.5)
    feeds: dict[str, NDArray[np.generic]] = {"input": planes(crop, half, half, rgb=True)}
    if state.weight is not None:
        feeds["weight"] = np.array([state.weight])  # float64, as the file declares
    output = only_output(state.name, state.session.run(feeds), (1, 3, state.size, state.size))
    pixels = (output[0].clip(-1, 1) + 1) / 2
    return np.ascontiguousarray((pixels.transpose(1, 2, 0)[..., ::-1] * 255).round().astype(np.uint8))
