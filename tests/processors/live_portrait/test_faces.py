"""The editor and the restorer on whole frames, with stand-ins that lighten a face by how far its key-points move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mien.errors import ModelCorrupt
from mien.faces.options import MaskOptions
from mien.processors.expression_restorer import ExpressionRestorer, ExpressionRestorerOptions
from mien.processors.face_editor import FaceEditor, FaceEditorOptions
from mien.processors.live_portrait.motion import HIGHEST, LOWEST, limited
from mien.processors.live_portrait.networks import LivePortrait
from mien.processors.live_portrait.parts import EDITORS, EXTRACTORS
from mien.processors.live_portrait.restorer import ALWAYS_KEPT, LOWER, UPPER, kept_points, mixed
from mien.types import Frame
from tests.processors.faces_made import frame_of, made_face
from tests.processors.standin_run import StandIns

FACE = made_face(110, 100, 120)
MIDDLE = np.s_[95:110, 100:120]


def grey(value: int = 100) -> Frame:
    return np.full((220, 220, 3), value, np.uint8)


def edited(
    standins: StandIns, *, compat: bool = False, image: Frame | None = None, **sliders: float
) -> Frame:
    run = standins.run(compat=compat)
    options: Any = FaceEditorOptions(model="live_portrait", **sliders)
    frame = frame_of(grey() if image is None else image, FACE)
    FaceEditor().process(frame, FaceEditor().prepare(run, options))
    return frame.image


def test_a_slider_changes_the_face_and_nothing_else(standins: StandIns) -> None:
    small, other = made_face(60, 60, 40), made_face(170, 170, 40)
    frame = frame_of(grey(), small, other, selected=(small,))
    options = FaceEditorOptions(model="live_portrait", mouth_smile=1.0)
    FaceEditor().process(frame, FaceEditor().prepare(standins.run(), options))
    assert frame.image[55:65, 55:65].min() > 100
    assert (frame.image[130:] == 100).all()
    assert (frame.image[:, 130:] == 100).all()


def test_a_larger_slider_changes_more(standins: StandIns) -> None:
    some, more = (edited(standins, head_yaw=value)[MIDDLE].mean() for value in (0.3, 0.9))
    assert 100 < some < more


def test_without_sliders_a_face_is_left_alone(standins: StandIns) -> None:
    """FaceFusion redraws it all the same, which is not the same face any more."""
    image = np.random.default_rng(1).integers(0, 255, (220, 220, 3)).astype(np.uint8)
    before = standins.runs("live_portrait_generator")
    assert (edited(standins, image=image) == image).all()
    assert standins.runs("live_portrait_generator") == before
    assert (edited(standins, image=image, compat=True) != image).any()
    assert standins.runs("live_portrait_generator") == before + 1


def test_openings_run_only_where_they_are_asked_for(standins: StandIns) -> None:
    parts = ("live_portrait_eye_retargeter", "live_portrait_lip_retargeter")
    counts = [standins.runs(part) for part in parts]
    eyes = edited(standins, eye_open_ratio=1.0)
    assert [standins.runs(part) for part in parts] == [counts[0] + 1, counts[1]]
    assert eyes[MIDDLE].mean() > 105
    assert edited(standins, lip_open_ratio=1.0)[MIDDLE].mean() > eyes[MIDDLE].mean()
    # The stand-in moves by the goal, which is 0 for what is to be shut.
    assert abs(edited(standins, lip_open_ratio=-1.0)[MIDDLE].mean() - 100) < 4


def test_faces_of_an_enlarged_frame_are_edited_where_they_are(standins: StandIns) -> None:
    state = FaceEditor().prepare(standins.run(), FaceEditorOptions(model="live_portrait", mouth_smile=1.0))
    frame = frame_of(grey(), FACE)
    frame.image = np.full((440, 440, 3), 100, np.uint8)
    FaceEditor().process(frame, state)
    halved = frame.image.reshape(220, 2, 220, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - edited(standins, mouth_smile=1.0)).max() < 2


def test_what_only_the_mesh_can_do_is_said_once(standins: StandIns) -> None:
    standins.notices.clear()
    assert (edited(standins, eye_size=0.5) == 100).all()
    assert len(standins.notices) == 1
    assert "face_editor_eye_size" in standins.notices[0]


def restored(
    standins: StandIns, target: Frame, image: Frame, *, compat: bool = False, masks: MaskOptions | None = None,
    **options: Any,
) -> Frame:  # fmt: skip
    run = standins.run(*(() if masks is None else (masks,)), compat=compat)
    state = ExpressionRestorer().prepare(run, ExpressionRestorerOptions(**options))
    frame = frame_of(target, FACE)
    frame.image = image.copy()
    ExpressionRestorer().process(frame, state)
    return frame.image


def test_the_expression_of_the_target_comes_back(standins: StandIns) -> None:
    """The stand-in's expression is how light a face is: the swapped one is darker than the target."""
    image = restored(standins, grey(250), grey(50))
    assert image[MIDDLE].min() > 50
    assert (image[:3] == 50).all()


def test_a_factor_of_0_keeps_the_new_expression(standins: StandIns) -> None:
    values = [
        restored(standins, grey(250), grey(50), factor=factor)[MIDDLE].mean() for factor in (0, 50, 100)
    ]
    assert values[0] <= values[1] <= values[2]
    assert values[0] < values[2]


def test_sources_of_other_sizes_are_looked_at_in_their_own_place(standins: StandIns) -> None:
    """FaceFusion looks for the face of the target at the place that it has in the enlarged frame."""
    light = grey(50)
    light[60:150, 70:150] = 250  # only round the face
    large = np.full((660, 660, 3), 50, np.uint8)
    right = restored(standins, light, large)
    wrong = restored(standins, light, large, compat=True)
    middle = np.s_[285:330, 300:360]
    assert right[middle].mean() > wrong[middle].mean() + 0.5


def test_areas_choose_key_points() -> None:
    assert set(kept_points(("upper-face", "lower-face"))) == set(ALWAYS_KEPT)
    assert set(kept_points(("upper-face",))) == {*ALWAYS_KEPT, *LOWER}
    assert set(kept_points(("lower-face",))) == {*ALWAYS_KEPT, *UPPER}
    assert sorted(kept_points(())) == list(range(21))


def test_expressions_are_mixed_but_for_the_kept_points() -> None:
    middle, reach = (LOWEST + HIGHEST) / 2, (HIGHEST - LOWEST) / 4
    original, own = middle + reach, middle - reach
    half = mixed(original, own, 0.5, (0, 7))
    others = [point for point in range(21) if point not in (0, 7)]
    assert half[others] == pytest.approx(middle[others], abs=1e-6)
    assert half[[0, 7]] == pytest.approx(own[[0, 7]], abs=1e-6)
    far = mixed(original, own, 5.0, ())
    assert (far == limited(far)).all()


@pytest.mark.parametrize("compat", [False, True])
def test_what_covers_the_face_is_left_out(standins: StandIns, compat: bool) -> None:
    from tests.standins.face_analysis import write_standins

    write_standins(standins.store.path("ormbg").parent)
    target, image = grey(250), grey(50)
    image[100:160, 105:115] = (255, 0, 0)  # blue hides the face
    bare = restored(standins, target, image, compat=compat)
    covered = restored(standins, target, image, compat=compat, masks=MaskOptions(types=("box", "occlusion")))
    assert (bare[125:135, 109:111] != image[125:135, 109:111]).any()
    assert (covered[125:135, 109:111] == image[125:135, 109:111]).all()


def test_editor_and_restorer_share_their_networks(standins: StandIns) -> None:
    run = standins.run()
    one, other = LivePortrait.load(run, EDITORS), LivePortrait.load(run, EXTRACTORS)
    assert all(one.sessions[part] is other.sessions[part] for part in EXTRACTORS)
    wanted = FaceEditor().models(FaceEditorOptions(model="live_portrait"))
    assert set(ExpressionRestorer().models(ExpressionRestorerOptions())) < set(wanted)
    assert len(wanted) == 6
    assert all(name in standins.store.catalogue for name in wanted)


def test_foreign_model_files_are_refused(standins: StandIns) -> None:
    crop = np.zeros((512, 512, 3), np.uint8)
    swapped = LivePortrait(
        {
            "motion_extractor": standins.session("live_portrait_feature_extractor"),
            "generator": standins.session("live_portrait_stitcher"),
        }
    )
    with pytest.raises(ModelCorrupt, match="live_portrait_motion_extractor"):
        swapped.motion(crop)
    points = np.zeros((21, 3), np.float32)
    with pytest.raises(ModelCorrupt):
        swapped.draw(np.zeros((1, 32, 16, 64, 64), np.float32), points, points)
