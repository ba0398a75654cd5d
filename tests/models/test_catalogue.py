from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import ModelError, ModelUnknown
from mien.models.catalogue import HubSource, UrlSource, WheelSource, load_catalogue, parse

BUILTIN = {
    "blazeface_short",
    "blazeface_full",
    "face_mesh",
    "iris",
    "selfie_segmentation",
    "selfie_segmentation_landscape",
}
SAMPLES = {"sample_astronaut", "sample_hopper"}


def test_built_in_models_come_out_of_one_pinned_wheel() -> None:
    catalogue = load_catalogue()
    files = [file for id in BUILTIN for file in catalogue[id].files]
    assert {file.wheels[0].sha256[:8] for file in files} == {"956eb1eb"}
    assert all(file.size and file.sha256 and len(file.sha256) == 64 for file in files)
    assert {catalogue[id].licence for id in BUILTIN} == {"Apache-2.0"}
    assert sum(file.size or 0 for file in files) == 5_289_076


def test_samples_may_be_used_by_anybody() -> None:
    catalogue = load_catalogue()
    assert all(catalogue[id].commercial_use for id in SAMPLES)
    assert {catalogue[id].files[0].name for id in SAMPLES} == {"astronaut.png", "grace_hopper.jpg"}


def test_every_file_has_a_source_and_a_name_of_its_own() -> None:
    models = load_catalogue().values()
    files = {file.name: file for model in models for file in model.files}
    assert all(file.sources for file in files.values())
    for model in models:
        for file in model.files:
            assert files[file.name] == file, f"{model.id} describes {file.name} in another way"


def test_every_hash_is_well_formed() -> None:
    digits = set("0123456789abcdef")
    for model in load_catalogue().values():
        for file in model.files:
            assert file.sha256 is None or (len(file.sha256) == 64 and set(file.sha256) <= digits)
            assert file.crc32 is None or (len(file.crc32) == 8 and set(file.crc32) <= digits)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ModelUnknown, match="no model face_mash; did you mean face_mesh"):
        load_catalogue()["face_mash"]
    assert "face_mash" not in load_catalogue()


def test_families() -> None:
    assert [model.id for model in load_catalogue().family("blazeface")] == [
        "blazeface_short",
        "blazeface_full",
    ]


def test_all_kinds_of_sources_are_read_in_order() -> None:
    (model,) = parse(
        """
        [[wheel]]
        id = "w"
        project = "thing"
        version = "1.0"
        file = "thing-1.0-py3-none-any.whl"
        size = 1
        sha256 = "00"
        python = "3.12"
        abi = "none"
        platform = "any"
        uv_platform = "linux"
        [[model]]
        id = "m"
        family = "f"
        licence = "MIT"
        vendor = "v"
        year = 2020
        commercial_use = true
        params = { size = 256 }
        [[model.file]]
        name = "sub/m.onnx"
        crc32 = "0123abcd"
        wheel = "w"
        member = "thing/m.onnx"
        hub_folder = "models-1.0.0"
        urls = ["https://example.org/m.onnx"]
        """,
        "test",
    )
    file = model.files[0]
    assert [type(source) for source in file.sources] == [WheelSource, HubSource, UrlSource]
    assert file.sources[1] == HubSource("models-1.0.0", "m.onnx")
    assert file.wheels[0].requirement == "thing==1.0 --hash=sha256:00"
    assert model.params["size"] == 256
    assert model.size is None
    assert file.basename == "m.onnx"


ENTRY = """
[[model]]
id = "m"
family = "f"
licence = "MIT"
vendor = "v"
year = 2020
commercial_use = true
file = [{file}]
"""


@pytest.mark.parametrize("name", ["../m.onnx", "/m.onnx", "a/../../m.onnx", "C:m.onnx", "a\\\\m.onnx"])
def test_a_file_cannot_leave_the_models_folder(name: str) -> None:
    with pytest.raises(ModelError, match="not a plain relative name"):
        parse(ENTRY.replace("{file}", f'{{ name = "{name}" }}'), "test")


@pytest.mark.parametrize(
    "text",
    [
        "[[model]",
        ENTRY.replace("{file}", ""),
        ENTRY.replace("{file}", '{ name = "m", wheel = "none", member = "x" }'),
        ENTRY.replace("{file}", '{ name = "m" }') + 'unknown = "x"\n',
        '[[model]]\nid = "m"\n[[model.file]]\nname = "m"\n',
    ],
)
def test_a_wrong_entry_is_refused_with_the_name_of_its_file(text: str) -> None:
    with pytest.raises(ModelError, match=r"catalogue mine\.toml has a wrong entry"):
        parse(text, "mine.toml")


def test_own_catalogues_add_and_replace(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(ENTRY.replace("{file}", '{ name = "m.onnx" }').replace('"m"', '"iris"', 1))
    catalogue = load_catalogue(own)
    assert catalogue["iris"].vendor == "v"
    assert len(catalogue) == len(load_catalogue())
