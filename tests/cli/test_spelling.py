from __future__ import annotations

import pytest

from mien.cli.program import Program
from mien.cli.spelling import speller


class NoProgram(Program):
    def processors(self) -> None:  # type: ignore[override]
        pytest.fail("asked for the processors")


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("face_swapper_weight cannot be 2.", "--face-swapper-weight cannot be 2."),
        ("Using mesh (face_swapper_model names another one).", "Using mesh (--face-swapper-model names another one)."),
        ("Give consent_ref.", "Give --consent-ref."),
        (
            "Leave out face_tracker_score and the option analysis.",
            "Leave out --face-tracker-score and --analysis.",
        ),
        ("Allowed unless the option compat is facefusion.", "Allowed unless --compat is facefusion."),
        ("It cannot do face_editor_eye_gaze_vertical, face_editor_head_yaw; the rest is done.",
         "It cannot do --face-editor-eye-gaze-vertical, --face-editor-head-yaw; the rest is done."),
    ],
)  # fmt: skip
def test_keys_are_said_as_flags(said: str, typed: str) -> None:
    assert speller(Program())(said) == typed


@pytest.mark.parametrize(
    "sentence",
    [
        "face_swapper_weight in mien.ini cannot be 'x': give a number.",
        "The file out/face_swapper_model is no picture.",
        "face_swapper_model.onnx is no model.",
        "my_face_swapper_model and face_swapper_models are none of ours.",
        "The option nothing is none of ours, and compat is a word.",
        "The processor face_swapper is no option.",
    ],
)
def test_other_words_stay_as_they_are(sentence: str) -> None:
    assert speller(Program())(sentence) == sentence


def test_a_sentence_without_keys_costs_nothing() -> None:
    sentence = "The target /tmp/my_file.png does not exist."
    assert speller(NoProgram())(sentence) == sentence
