from __future__ import annotations

import subprocess
import sys

import pytest

from mien.errors import OptionError
from mien.faces.options import (
    GROUPS,
    DetectorOptions,
    MaskOptions,
    SelectorOptions,
    TrackerOptions,
    four_sides,
)
from mien.options import build, check_keys, declared

FACEFUSION = {
    "face_detector_model": "yolo_face",
    "face_detector_size": "640x640",
    "face_detector_margin": (0, 0, 0, 0),
    "face_detector_angles": (0,),
    "face_detector_score": 0.5,
    "face_landmarker_model": "2dfan4",
    "face_landmarker_score": 0.5,
    "face_selector_mode": "reference",
    "face_selector_order": "large-small",
    "face_selector_age_start": None,
    "face_selector_age_end": None,
    "face_selector_gender": None,
    "face_selector_race": None,
    "reference_face_position": 0,
    "reference_face_distance": 0.3,
    "reference_frame_number": 0,
    "face_tracker_score": 0.0,
    "target_frame_amount": 2,
    "face_occluder_model": "xseg_1",
    "face_parser_model": "bisenet_resnet_34",
    "face_mask_types": ("box",),
    "face_mask_areas": ("upper-face", "lower-face", "mouth"),
    "face_mask_blur": 0.3,
    "face_mask_padding": (0, 0, 0, 0),
}
OURS = {"face_tracker_interval", "face_tracker_smoothing", "face_tracker_small_faces"}


def test_keys_and_defaults_are_facefusions() -> None:
    items = {item.key: item for group in GROUPS for item in declared(group)}
    assert set(items) - OURS == {*FACEFUSION, "face_mask_regions"}
    assert {key: items[key].default for key in FACEFUSION} == FACEFUSION
    assert len(items["face_mask_regions"].default) == 10
    assert all(item.help.endswith(".") for item in items.values())


def test_sections_of_the_ini_file() -> None:
    sections = {item.key: item.section for group in GROUPS for item in declared(group)}
    assert sections["reference_face_position"] == "face_selector"
    assert sections["face_mask_types"] == "face_masker"
    assert sections["target_frame_amount"] == "frame_distribution"


def test_defaults_are_among_the_choices() -> None:
    for group in GROUPS:
        group()
        for item in declared(group):
            values = item.default if item.many else (item.default,)
            assert not item.choices or item.default is None or set(values) <= set(item.choices)


@pytest.mark.parametrize(
    ("group", "values"),
    [
        (DetectorOptions, {"face_detector_model": "mtcnn"}),
        (DetectorOptions, {"face_detector_angles": (45,)}),
        (DetectorOptions, {"face_detector_score": 1.5}),
        (SelectorOptions, {"face_selector_order": "random"}),
        (SelectorOptions, {"face_selector_age_end": 101}),
        (TrackerOptions, {"face_tracker_score": 0.6}),
        (MaskOptions, {"face_mask_types": ("circle",)}),
    ],
)
def test_wrong_values_are_refused(group: type, values: dict[str, object]) -> None:
    check_keys(values, GROUPS)
    with pytest.raises(OptionError, match=next(iter(values))):
        build(group, values)


@pytest.mark.parametrize(
    ("given", "sides"),
    [
        ((), (0, 0, 0, 0)),
        ((5,), (5, 5, 5, 5)),
        ((5, 10), (5, 10, 5, 10)),
        ((5, 10, 15), (5, 10, 15, 10)),
        ((5, 10, 15, 20), (5, 10, 15, 20)),
        ((5, -1, 101, 20, 99), (5, 0, 0, 20)),
    ],
)
def test_four_sides(given: tuple[int, ...], sides: tuple[int, ...]) -> None:
    assert four_sides(given) == sides


def test_options_are_light_to_import() -> None:
    code = "import sys, mien.faces.options; print(sorted({'numpy', 'cv2', 'av'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
