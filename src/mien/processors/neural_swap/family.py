"""The family of downloaded swap networks, as the face swapper drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import NoFace, OptionError
from mien.faces.align import align_matrix, invert, paste_back, scale_face, transform, warp
from mien.faces.masks import Masker, combine
from mien.faces.neural.networks import networks_of
from mien.faces.neural.recogniser import Embedding, Recogniser, average
from mien.media.images import read_image
from mien.processors.base import FrameContext, RunContext
from mien.processors.masking import make_masker
from mien.processors.neural_swap import CONVERTERS, models_for
from mien.processors.neural_swap.network import SwapNetwork, shrunk
from mien.processors.neural_swap.source import (
    PICTURES,
    Convert,
    Identity,
    Kind,
    SourceFace,
    Vector,
    by_matrix,
    by_network,
    by_unit,
    identity_of,
    source_picture,
)
from mien.types import Face

if TYPE_CHECKING:
    from mien.processors.face_swapper import FaceSwapperOptions


@dataclass(frozen=True, slots=True)
class SwapState:
    """What a step needs for every frame."""

    network: SwapNetwork
    source: Vector | Identity
    recogniser: Recogniser | None
    """Only where the target's identity is mixed in."""
    boost: int
    masker: Masker
    compat: bool


@dataclass(frozen=True, slots=True)
class NeuralFamily:
    """Swaps with one network of the catalogue."""

    model: str

    def models(self, options: FaceSwapperOptions) -> Sequence[str]:
        """The swap network, the recogniser where identities are vectors, and the converter where one is needed."""
        return models_for(self.model)

    def prepare(self, run: RunContext, options: FaceSwapperOptions, sources: Sequence[Path]) -> SwapState:
        """Find the source faces, make the identity or the picture that the network takes.

        Raises OptionError for a pixel boost that the model does not offer, NoFace if no source shows a face.
        """
        params = run.models.catalogue[self.model].params
        boost = _boost(options, params["boosts"])
        session = run.runtime.load(run.models.path(self.model))
        network = SwapNetwork.of(self.model, params, session)
        pictures = [read_image(path).pixels for path in sources]
        faces = _largest_faces(run, pictures, sources)
        masker = make_masker(run)
        if network.kind in PICTURES:
            source = source_picture(network.kind, faces, pictures[0], compat=run.compat)
            return SwapState(network, source, None, boost, masker, run.compat)
        recogniser = networks_of(run.models, run.runtime).recogniser()
        whole = average([_embed(recogniser, face, run.compat) for face in faces], compat=run.compat)
        convert = self._converter(run, network.kind)
        identity = identity_of(network.kind, whole, convert, options.weight, compat=run.compat)
        return SwapState(network, identity, recogniser, boost, masker, run.compat)

    def process(self, frame: FrameContext, state: SwapState) -> None:
        """Swap the selected faces in ``frame.image``, one after the other."""
        x = frame.image.shape[1] / frame.target.shape[1]
        y = frame.image.shape[0] / frame.target.shape[0]
        for face in frame.selected:
            _swap_face(frame, face, scale_face(face, x, y), state)

    def _converter(self, run: RunContext, kind: Kind) -> Convert:
        if kind == "inswapper":
            from mien.inference.initializers import last_initializer

            return by_matrix(last_initializer(run.models.path(self.model)))
        converter = CONVERTERS.get(self.model)
        if converter is None:
            return by_unit
        session = run.runtime.load(run.models.path(converter))
        unit = bool(run.models.catalogue[converter].params["unit"])
        return by_network(lambda vector: session.run([vector])[0], unit=unit)


def _boost(options: FaceSwapperOptions, offered: Sequence[int]) -> int:
    if options.pixel_boost is None:
        return offered[0]
    side = int(options.pixel_boost.split("x")[0])
    if side not in offered:
        sizes = ", ".join(f"{value}x{value}" for value in offered)
        raise OptionError(
            f"face_swapper_pixel_boost cannot be {options.pixel_boost} with {options.model}: choose from {sizes}."
        )
    return side


def _swap_face(frame: FrameContext, face: Face, placed: Face, state: SwapState) -> None:
    network, side = state.network, state.boost
    five = placed.landmarks.five_of_68
    matrix = align_matrix(five, network.template, (side, side), compat=state.compat)
    if not np.isfinite(invert(matrix)).all():
        return
    crop = warp(frame.image, matrix, (side, side), compat=state.compat)
    masks = state.masker.before(crop, lambda: transform(placed.landmarks.sixty_eight, matrix))
    work = network.working_size(side)
    if work == side:
        swapped = network.swap(crop, _source_for(frame, face, state), exact=state.compat)
    else:
        # The network's size does not divide this boost: swap a larger crop and average it down.
        larger = align_matrix(five, network.template, (work, work), compat=state.compat)
        large = warp(frame.image, larger, (work, work), compat=state.compat)
        swapped = shrunk(network.swap(large, _source_for(frame, face, state)), side)
    masks += state.masker.after(swapped)
    paste_back(frame.image, swapped, combine(masks), matrix, compat=state.compat)


def _source_for(frame: FrameContext, face: Face, state: SwapState) -> Vector:
    source, recogniser = state.source, state.recogniser
    if isinstance(source, np.ndarray) or recogniser is None:
        return np.asarray(source)

    def target() -> Embedding:
        if frame.analysis is not None:
            return frame.analysis.embedding(face)
        return recogniser.embed(frame.target, face.landmarks.five_of_68, compat=state.compat)

    return source.against(target)


def _largest_faces(run: RunContext, pictures: Sequence[Any], paths: Sequence[Path]) -> list[SourceFace]:
    found = [
        SourceFace(picture, max(faces, key=lambda face: face.box.area))
        for picture in pictures
        if (faces := run.analyser.faces(picture))
    ]
    if not found:
        names = ", ".join(path.name for path in paths)
        raise NoFace(f"No face was found in the source {names}; choose a picture that shows one clearly.")
    return found


def _embed(recogniser: Recogniser, source: SourceFace, compat: bool) -> Embedding:
    return recogniser.embed(source.image, source.face.landmarks.five_of_68, compat=compat)
