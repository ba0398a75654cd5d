from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import __version__
from mien.models import ModelStore, load_catalogue
from mien.options import Declared, declared
from mien.pipeline.output_options import GROUPS
from mien.pipeline.registry import PluginError, Registry
from mien.service.capabilities import Capabilities, option_view, title_of, users_of
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from tests.pipeline.fakes import PROCESSORS

REAL = Registry()
CATALOGUE = load_catalogue()
ITEMS = [item for group in (*GROUPS, *(REAL[name].Options for name in REAL)) for item in declared(group)]


class Partly(Mapping[str, Any]):
    """Processors one of which cannot be loaded."""

    def __getitem__(self, name: str) -> Any:
        if name == "broken":
            raise PluginError("It cannot be loaded.")
        return PROCESSORS[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("broken", "inverter"))

    def __len__(self) -> int:
        return 2


def capabilities(
    folder: Path,
    processors: Mapping[str, Any] = PROCESSORS,
    engine: dict[str, Any] | None = None,
    **given: Any,
) -> Capabilities:
    found = Settings(cache_dir=folder, offline=True, **(engine or {}))
    return Capabilities(
        ServiceSettings(data_dir=folder, **given),
        found,
        processors,
        ModelStore(found, CATALOGUE),
        lambda: [{"name": "upscale"}],
    )


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(ITEMS))
def test_a_form_can_be_built_from_what_is_said_of_an_option(item: Declared) -> None:
    view = option_view(item)
    assert (view["key"], view["help"]) == (item.key, item.help)
    assert view["type"] in ("string", "integer", "number", "boolean")
    assert view["title"][0] == view["title"][0].upper()
    assert "_" not in view["title"]
    values = view["default"] if view["multiple"] else [view["default"]]
    for value in [value for value in values or () if value is not None]:
        assert not view["choices"] or value in view["choices"]
        assert view["minimum"] is None or value >= view["minimum"]
        assert view["maximum"] is None or value <= view["maximum"]
    assert isinstance(view["default"], list) is (view["multiple"] and view["default"] is not None)
    if view["type"] == "integer":
        assert view["step"] >= 1


def test_everything_that_can_be_asked_for_is_in_the_document(tmp_path: Path) -> None:
    document = capabilities(tmp_path).document()
    assert document["version"] == __version__
    assert {entry["name"] for entry in document["processors"]} == set(PROCESSORS)
    keys = [option["key"] for group in document["option_groups"] for option in group["options"]]
    assert sorted(keys) == sorted(
        {item.key for group in GROUPS for item in declared(group)} - {"consent_ref"}
    )
    assert all(group["options"] for group in document["option_groups"])
    assert document["workflows"] == [{"name": "upscale"}]
    assert {"image", "video"} <= set(document["formats"])
    assert {entry["id"] for entry in document["models_licences"]} == set(CATALOGUE)


def test_a_processor_says_what_it_needs(tmp_path: Path) -> None:
    known = {entry["name"]: entry for entry in capabilities(tmp_path).processor_list()}
    assert known["needs_source"]["needs"] == {
        "source": PROCESSORS["needs_source"].source_kind,
        "faces": False,
    }
    assert known["marker"]["needs"] == {"source": None, "faces": True}
    assert known["inverter"]["synthetic"] is False
    assert [option["key"] for option in known["inverter"]["options"]] == [
        "inverter_strength",
        "inverter_delay",
    ]


def test_a_processor_that_cannot_be_loaded_is_left_out(tmp_path: Path) -> None:
    found = capabilities(tmp_path, Partly())
    assert [entry["name"] for entry in found.processor_list()] == ["inverter"]
    assert all(model["processors"] == [] for model in found.model_list())


@pytest.mark.parametrize(
    ("given", "locked"),
    [
        ({}, {"output_marking", "content_policy"}),
        ({"marking_required": False}, {"content_policy"}),
        ({"content_policy": "flag"}, {"output_marking"}),
        ({"marking_required": False, "content_policy": "off"}, set()),
    ],
)
def test_what_the_operator_fixed_is_locked_and_shown_as_it_is(
    tmp_path: Path, given: dict[str, Any], locked: set[str]
) -> None:
    found = capabilities(tmp_path, **given)
    options = {
        option["key"]: option for group in found.document()["option_groups"] for option in group["options"]
    }
    assert {key for key, option in options.items() if option["locked"]} == locked
    assert options["content_policy"]["default"] == found.settings.content_policy


def test_formats_without_a_place_for_marks_are_offered_where_none_are_asked_for(tmp_path: Path) -> None:
    strict = capabilities(tmp_path).document()["formats"]["image"]
    free = capabilities(tmp_path, marking_required=False).document()["formats"]["image"]
    assert set(strict) < set(free)


@pytest.mark.parametrize(
    ("engine", "given", "name", "value"),
    [
        ({}, {}, "require_consent", False),
        ({"require_consent": True}, {}, "require_consent", True),
        ({}, {"require_consent": True}, "require_consent", True),
        ({}, {"content_policy": "flag"}, "content_policy", "flag"),
        ({}, {}, "marking_required", True),
        ({"allow_noncommercial": False}, {}, "allow_noncommercial", False),
        ({"offline": False}, {"allow_model_downloads": True}, "allow_model_downloads", True),
        ({"offline": False}, {"allow_model_downloads": False}, "allow_model_downloads", False),
        ({}, {"allow_model_downloads": True}, "allow_model_downloads", False),
    ],
)
def test_the_policy_is_that_of_the_operator(
    tmp_path: Path, engine: dict[str, Any], given: dict[str, Any], name: str, value: Any
) -> None:
    found = Settings(**{"cache_dir": tmp_path, "offline": True, **engine})
    made = Capabilities(
        ServiceSettings(data_dir=tmp_path, **given), found, PROCESSORS, ModelStore(found, CATALOGUE)
    )
    assert made.policy()[name] == value


def test_limits_are_in_bytes_where_they_say_so(tmp_path: Path) -> None:
    limits = capabilities(tmp_path, max_request_mb=1.5, max_upload_mb=2, max_steps=3, max_batch=4).limits()
    assert (limits["max_request_bytes"], limits["max_upload_bytes"]) == (3 << 19, 2 << 20)
    assert (limits["max_steps"], limits["max_batch"]) == (3, 4)


def test_parts_that_may_be_absent_are_told(tmp_path: Path) -> None:
    assert capabilities(tmp_path).features()["signing"] is False
    told = capabilities(tmp_path, studio=False, metrics=False, fetch_http=True).features()
    assert (told["studio"], told["metrics"], told["fetch_http"]) == (False, False, True)


def test_models_are_named_with_who_needs_them_and_whether_they_may_be_used(tmp_path: Path) -> None:
    strict = {"allow_noncommercial": False}
    found = {entry["id"]: entry for entry in capabilities(tmp_path, REAL, strict).model_list()}
    assert set(found) == set(CATALOGUE)
    swapper = found["inswapper_128"]
    assert swapper["processors"] == ["face_swapper"]
    assert (swapper["commercial_use"], swapper["allowed"], swapper["installed"]) == (False, False, False)
    assert not any(entry["installed"] for entry in found.values())
    assert all(entry["allowed"] == entry["commercial_use"] for entry in found.values())
    assert capabilities(tmp_path).model_list()[0]["title"]
    free = {entry["id"]: entry for entry in capabilities(tmp_path, REAL).model_list()}
    assert free["inswapper_128"]["allowed"]


def test_every_choice_of_a_processor_counts_its_models(tmp_path: Path) -> None:
    models = capabilities(tmp_path).models
    users = users_of(REAL, models)
    assert all(len(names) == len(set(names)) for names in users.values())
    choices = next(item for item in declared(REAL["face_swapper"].Options) if item.name == "model").choices
    swappers = {id for id, names in users.items() if "face_swapper" in names}
    assert len(swappers) >= len([choice for choice in choices if choice in models.catalogue])
    assert users_of(PROCESSORS, models) == {}


@settings(deadline=None, max_examples=40)
@given(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True))
def test_a_name_becomes_a_heading(name: str) -> None:
    title = title_of(name)
    assert title.lower().split() == name.replace("_", " ").split()
    assert title[:1] == name[:1].upper()
