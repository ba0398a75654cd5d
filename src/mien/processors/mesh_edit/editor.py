"""The built-in editor as the face editor sees it."""

from __future__ import annotations

from dataclasses import dataclass

from mien.processors.mesh_edit.sliders import Edit
from mien.processors.mesh_edit.warp import edit_face
from mien.types import Face, Frame


@dataclass(frozen=True, slots=True)
class MeshEditor:
    """Edits faces by their mesh."""

    change: Edit

    def edit(self, image: Frame, face: Face) -> None:
        """Move the pixels of a face with its mesh; a face without one is left as it is."""
        if face.landmarks.mesh is not None and self.change != Edit():
            edit_face(image, face.landmarks.mesh, self.change)
