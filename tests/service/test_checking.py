from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import ConsentMissing, Forbidden, InputError, ModelForbidden, OptionError
from mien.models import ModelStore, load_catalogue
from mien.options import declared
from mien.pipeline.registry import Registry
from mien.service.checking import FILE_OPTIONS, Checker
from mien.service.outputs import Known
from mien.service.requests import JobRequest
from mien.service.settings import ServiceSettings
from mien.settings import Settings

ASSET = "a" * 64
FREE_TEXT = {"output_watermark_id", "output_badge_text", "consent_ref", "deep_swapper_model"}
"""Options of any text that name no file of this machine."""


def checker(folder: Path, engine: dict[str, object] | None = None, **settings: object) -> Checker:
    found = Settings(cache_dir=folder, offline=True, **(engine or {}))  # type: ignore[arg-type]
    models = ModelStore(found, load_catalogue())
    return Checker(ServiceSettings.model_validate(settings), found, Registry(), models)


def look(id: str) -> Known:
    return Known("holiday.jpg", "image", "jpg")


def test_references_and_options_are_written_down_as_steps_keep_them(tmp_path: Path) -> None:
    request = JobRequest.model_validate(
        {
            "sources": [ASSET, "https://example.org/b.png"],
            "target": ASSET,
            "options": {"face_swapper_weight": 1, "face_mask_types": ["box"], "face_swapper_model": None},
            "face_map": [{"face": "f0-1-2-30-40", "sources": [ASSET]}],
            "resolution": "512x512",
            "consent_ref": "signed",
        }
    )
    (step,) = checker(tmp_path).job(request, look)
    assert step.args == {
        "source_paths": [f"asset:{ASSET}", "https://example.org/b.png"],
        "target_path": f"asset:{ASSET}",
        "output_path": "result:holiday.jpg",
        "processors": ["face_swapper"],
        "face_swapper_weight": 1.0,
        "face_mask_types": ["box"],
        "content_policy": "refuse",
        "consent_ref": "signed",
        "face_map": [{"face": {"frame": 0, "box": [1.0, 2.0, 30.0, 40.0]}, "sources": [f"asset:{ASSET}"]}],
        "resolution": "512x512",
    }


def test_no_option_takes_a_path_of_this_machine(tmp_path: Path) -> None:
    texts = {
        item.key
        for group in checker(tmp_path).groups
        for item in declared(group)
        if item.kind == "str" and not item.choices
    }
    assert texts == FILE_OPTIONS | FREE_TEXT
    request = {"processors": ["background_remover"], "target": ASSET}
    for key in FILE_OPTIONS:
        with pytest.raises(OptionError, match="never a path"):
            checker(tmp_path).job(
                JobRequest.model_validate({**request, "options": {key: "/etc/passwd"}}), look
            )
        taken = JobRequest.model_validate({**request, "options": {key: ASSET}})
        assert checker(tmp_path).job(taken, look)[0].args[key] == f"asset:{ASSET}"


@pytest.mark.parametrize(
    ("settings", "options", "error"),
    [
        ({}, {"output_marking": False}, Forbidden),
        ({"marking_required": False}, {"output_marking": False}, None),
        ({}, {"content_policy": "flag"}, Forbidden),
        ({"content_policy": "flag"}, {"content_policy": "off"}, Forbidden),
        ({"content_policy": "flag"}, {"content_policy": "refuse"}, None),
        ({"require_consent": True}, {}, ConsentMissing),
        ({"require_consent": True}, {"consent_ref": "signed"}, None),
    ],
)
def test_the_rules_of_the_operator_hold(
    tmp_path: Path, settings: dict[str, object], options: dict[str, object], error: type[Exception] | None
) -> None:
    request = JobRequest.model_validate(
        {"processors": ["face_anonymizer"], "target": ASSET, "options": options}
    )
    if error is None:
        assert checker(tmp_path, **settings).job(request, look)
    else:
        with pytest.raises(error):
            checker(tmp_path, **settings).job(request, look)


def test_models_without_commercial_use_are_refused_where_they_are_forbidden(tmp_path: Path) -> None:
    request = JobRequest.model_validate(
        {"sources": [ASSET], "target": ASSET, "options": {"face_swapper_model": "inswapper_128"}}
    )
    assert checker(tmp_path).job(request, look)
    with pytest.raises(ModelForbidden):
        checker(tmp_path, {"allow_noncommercial": False}).job(request, look)
    own = {"sources": [ASSET], "target": ASSET, "options": {"face_swapper_model": "mesh"}}
    assert checker(tmp_path, {"allow_noncommercial": False}).job(JobRequest.model_validate(own), look)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"target": None}, "needs a target"),
        ({"target": {"step": 0}}, "does not come before"),
        ({"target": ASSET, "processors": []}, "at least one processor"),
        ({"target": ASSET, "processors": ["face_debugger", "face_debugger"]}, "twice"),
        ({"target": ASSET, "output": {"format": "mp4"}}, "cannot be written as mp4"),
        ({"target": ASSET, "options": {"face_mask_blur": "0.5"}}, "without quotes"),
        ({"target": ASSET, "face_map": [{"face": "nobody", "sources": [ASSET]}]}, "face_map|names no face"),
    ],
)
def test_a_wrong_step_is_refused_in_a_sentence(tmp_path: Path, step: dict[str, object], said: str) -> None:
    request = JobRequest.model_validate({"steps": [{"processors": ["face_debugger"], **step}]})
    with pytest.raises((InputError, OptionError), match=said) as caught:
        checker(tmp_path).job(request, look)
    assert all(field.startswith("steps.0.") for field, _ in caught.value.details)


def test_sound_is_no_target(tmp_path: Path) -> None:
    request = JobRequest.model_validate({"processors": ["face_debugger"], "target": ASSET})
    with pytest.raises(InputError, match="holds sound only"):
        checker(tmp_path).job(request, lambda id: Known("voice.wav", "audio", "wav"))
