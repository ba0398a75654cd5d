"""Change the expression of faces: brows, lids, gaze, lips, and a little of their shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from mien.errors import ModelMissing
from mien.options import Options, declared, option
from mien.processors.base import FrameContext, Processor, RunContext
from mien.processors.live_portrait.parts import EDITORS, model_ids

if TYPE_CHECKING:
    from mien.types import Face, Frame

Model = Literal["live_portrait", "mesh"]


def _slider(help: str) -> float:
    value: float = option(0.0, ge=-1.0, le=1.0, step=0.05, help=help)
    return value


class FaceEditorOptions(Options):
    """Options of the face editor."""

    group = "face_editor"

    model: Model = option("live_portrait", help="Model that edits faces; mesh is built in.")
    eyebrow_direction: float = _slider("Raise (above 0) or lower the eyebrows.")
    eye_gaze_horizontal: float = _slider("Look to the right (above 0) or left of the picture.")
    eye_gaze_vertical: float = _slider("Look up (above 0) or down.")
    eye_open_ratio: float = _slider("Open the eyes wider (above 0) or close them.")
    lip_open_ratio: float = _slider("Open (above 0) or close the lips.")
    mouth_grim: float = _slider("Make the mouth grim; not with the model mesh.")
    mouth_pout: float = _slider("Make the lips fuller (above 0) or thinner.")
    mouth_purse: float = _slider("Purse (above 0) or spread the lips.")
    mouth_smile: float = _slider("Raise (above 0) or lower the corners of the mouth.")
    mouth_position_horizontal: float = _slider("Move the mouth to the right (above 0) or the left.")
    mouth_position_vertical: float = _slider("Move the mouth up (above 0) or down.")
    head_pitch: float = _slider("Nod the head; not with the model mesh.")
    head_yaw: float = _slider("Turn the head; not with the model mesh.")
    head_roll: float = _slider("Tilt the head; not with the model mesh.")
    eye_size: float = _slider("Make the eyes larger (above 0) or smaller; only with the model mesh.")
    mouth_width: float = _slider("Make the mouth wider (above 0) or narrower; only with the model mesh.")
    nose_width: float = _slider("Make the nose wider (above 0) or narrower; only with the model mesh.")


class Editor(Protocol):
    """What a model family does with one face."""

    def edit(self, image: Frame, face: Face) -> None:
        """Edit a face in the image (H×W×3 BGR, writable) itself."""
        ...


MESH_SLIDERS: Mapping[str, str] = {
    "eyebrow_direction": "brows",
    "eye_gaze_horizontal": "gaze_x",
    "eye_gaze_vertical": "gaze_y",
    "eye_open_ratio": "eye_open",
    "lip_open_ratio": "lip_open",
    "mouth_pout": "pout",
    "mouth_purse": "purse",
    "mouth_smile": "smile",
    "mouth_position_horizontal": "mouth_x",
    "mouth_position_vertical": "mouth_y",
    "eye_size": "eye_size",
    "mouth_width": "mouth_width",
    "nose_width": "nose_width",
}
"""Option to field of ``Edit``; the other options need a model that can invent pixels."""


def _mesh(run: RunContext, options: FaceEditorOptions) -> Editor:
    ignored = [
        item.key
        for item in declared(FaceEditorOptions)
        if item.name not in MESH_SLIDERS and item.kind == "float" and getattr(options, item.name)
    ]
    if ignored:
        run.notice(
            f"The built-in model mesh cannot do {', '.join(ignored)}, which would need parts of the face that "
            "the picture does not show; the rest is done."
        )
    from mien.processors.mesh_edit.editor import MeshEditor
    from mien.processors.mesh_edit.sliders import Edit

    return MeshEditor(Edit(**{field: getattr(options, name) for name, field in MESH_SLIDERS.items()}))


MESH_ONLY = frozenset({"eye_size", "mouth_width", "nose_width"})
"""Options that change the shape of a face, which LivePortrait cannot."""


def _live_portrait(run: RunContext, options: FaceEditorOptions) -> Editor:
    sliders = [
        item for item in declared(FaceEditorOptions) if item.kind == "float" and getattr(options, item.name)
    ]
    ignored = [item.key for item in sliders if item.name in MESH_ONLY]
    if ignored:
        run.notice(
            f"The model live_portrait cannot do {', '.join(ignored)}; the model mesh can. The rest is done."
        )
    from mien.processors.live_portrait.editor import LivePortraitEditor
    from mien.processors.live_portrait.networks import LivePortrait
    from mien.processors.masking import make_masker

    return LivePortraitEditor(
        portrait=LivePortrait.load(run, EDITORS),
        masker=make_masker(run),
        options=options,
        is_still=len(sliders) == len(ignored),
        compat=run.compat,
    )


FAMILIES: Mapping[str, Callable[[RunContext, FaceEditorOptions], Editor]] = {
    "live_portrait": _live_portrait,
    "mesh": _mesh,
}
"""How to make the editor of each model that can be used."""


class FaceEditor(Processor[FaceEditorOptions, Editor]):
    """Edits the selected faces one after the other."""

    name: ClassVar[str] = "face_editor"
    Options: ClassVar[type[Options]] = FaceEditorOptions
    summary: ClassVar[str] = "Change expression, gaze and a few proportions of faces."
    builtin_model: ClassVar[str] = "mesh"

    def models(self, options: FaceEditorOptions) -> Sequence[str]:
        """The mesh model needs no file but those that find faces."""
        return () if options.model == self.builtin_model else model_ids(EDITORS)

    def prepare(self, run: RunContext, options: FaceEditorOptions) -> Editor:
        """Make the editor of the chosen model; raises ModelMissing where this version has none."""
        make = FAMILIES.get(options.model)
        if make is None:
            raise ModelMissing(f"This version has no code for the model {options.model}; choose mesh.")
        return make(run, options)

    def process(self, frame: FrameContext, state: Editor) -> None:
        """Edit each selected face."""
        from mien.faces.align import scale_face

        x = frame.image.shape[1] / frame.target.shape[1]
        y = frame.image.shape[0] / frame.target.shape[0]
        for face in frame.selected:
            state.edit(frame.image, scale_face(face, x, y))
