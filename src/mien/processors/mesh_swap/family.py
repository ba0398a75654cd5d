"""The mesh swap as a family of swappers: sources made ready once, state kept per track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien.errors import NoFace, OptionError
from mien.media.images import read_image
from mien.processors.base import FrameContext, RunContext
from mien.processors.face_swapper import FaceSwapperOptions
from mien.processors.mesh_swap.memory import Memory
from mien.processors.mesh_swap.source import SourceFace, prepare_source
from mien.processors.mesh_swap.swap import MeshSettings, swap_face
from mien.types import Face, Frame, Points

FORGET_AFTER = 250
"""Frames after which the memory of a track that was not seen again is dropped."""


@dataclass(slots=True)
class MeshState:
    """What one step of mesh swapping needs: the sources, the sliders, and a memory for each track."""

    sources: tuple[SourceFace, ...]
    settings: MeshSettings
    memories: dict[int, Memory] = field(default_factory=dict)
    last_seen: dict[int, int] = field(default_factory=dict)

    def memory_of(self, face: Face, index: int) -> Memory:
        """The memory of a face's track; a fresh one where nothing tracks it."""
        if face.track is None:
            return Memory()
        self.last_seen[face.track] = index
        return self.memories.setdefault(face.track, Memory())

    def forget(self, index: int, *, everything: bool) -> None:
        """Drop what is out of date at frame ``index``; at a cut, everything."""
        for track, seen in list(self.last_seen.items()):
            if everything or index - seen > FORGET_AFTER:
                del self.last_seen[track]
                self.memories.pop(track, None)


class MeshFamily:
    """Swaps faces by their 468-point mesh; needs nothing but the built-in face analyser."""

    def models(self, options: FaceSwapperOptions) -> Sequence[str]:
        """Names of the models that measure the mesh."""
        return ("face_mesh", "iris")

    def prepare(self, run: RunContext, options: FaceSwapperOptions, sources: Sequence[Path]) -> MeshState:
        """Read the source pictures and make their faces ready.

        Raises NoFace for a source without a usable face, OptionError where the chosen landmarker has no mesh.
        """
        prepared = [_prepare(run, path) for path in sources]
        settings = MeshSettings(options.mesh_identity, options.mesh_feather, options.mesh_forehead)
        return MeshState(tuple(source for pair in prepared for source in pair), settings)

    def process(self, frame: FrameContext, state: MeshState) -> None:
        """Swap every selected face of the frame."""
        state.forget(frame.index, everything=frame.cut)
        for face in frame.selected:
            mesh = face.landmarks.mesh
            if mesh is not None:
                memory = state.memory_of(face, frame.index)
                swap_face(frame.image, _on(frame, mesh), state.sources, state.settings, memory)


def _on(frame: FrameContext, mesh: Points) -> Points:
    """The mesh in pixels of ``frame.image``, which an earlier processor may have enlarged."""
    if frame.image.shape == frame.target.shape:
        return mesh
    (height, width), (old_height, old_width) = frame.image.shape[:2], frame.target.shape[:2]
    across, down = width / old_width, height / old_height
    return np.asarray(mesh * np.array([across, down, across], np.float32), np.float32)


def _prepare(run: RunContext, path: Path) -> tuple[SourceFace, SourceFace]:
    picture: Frame = read_image(path, max_pixels=run.models.settings.max_pixels).pixels
    faces = run.analyser.faces(picture)
    if not faces:
        raise NoFace(f"No face was found in the source {path}; give a picture that shows one clearly.")
    mesh = max(faces, key=lambda face: face.box.area).landmarks.mesh
    if mesh is None:
        raise OptionError(
            "face_swapper_model mesh needs the built-in face mesh; add face_landmarker_model mesh."
        )
    prepared = prepare_source(picture, mesh)
    if prepared is None:
        raise NoFace(f"The face in the source {path} is too small or too far outside the picture to be used.")
    return prepared
