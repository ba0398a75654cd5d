from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.errors import ComfyUnreachable, OptionError, WorkflowInvalid
from mien.testing import FakeComfyUI

Mien = Callable[..., int]


@pytest.fixture(autouse=True)
def no_comfyui_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if "COMFYUI_" in name or name == "MIEN_WORKFLOWS_DIR":
            monkeypatch.delenv(name)


def test_the_list_names_parameters(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("workflows", "list", "--json") == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["face_swap"]["runs"] == "mien"
    assert found["image_upscale"]["parameters"][0]["name"] == "image"
    assert "places" not in found["image_upscale"]["parameters"][0]


def test_shipped_workflows_are_in_order(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeComfyUI() as comfy:
        assert mien("workflows", "check", "--url", comfy.url, "--json") == 0
        rows = json.loads(capsys.readouterr().out)
    assert {row["instance"] for row in rows} == {None, comfy.url}
    assert not any(row["problems"] for row in rows)
    assert mien("workflows", "check") == 0
    assert "in order" in capsys.readouterr().out


def test_a_file_is_checked_against_instances_of_the_environment(
    mien: Mien, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = {"1": {"class_type": "Foo", "inputs": {}}}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"name": "mine", "version": 1, "graph": graph}))
    with FakeComfyUI() as comfy:
        monkeypatch.setenv("COMFYUI_URL", comfy.url)
        assert mien("workflows", "check", str(file)) == WorkflowInvalid.exit_code
    said = capsys.readouterr()
    assert "the class Foo, which is not installed" in " ".join(said.out.split())
    assert "Not everything was found in order for mine." in said.err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ("nothing",),
            WorkflowInvalid.exit_code,
            "There is no workflow nothing; there are: basic_generation",
        ),
        (("no.toml",), WorkflowInvalid.exit_code, "no.toml cannot be read"),
        (("--url", "http://127.0.0.1:1"), ComfyUnreachable.exit_code, "cannot be reached"),
        (("--url", "gpu:8188"), OptionError.exit_code, "is not an address"),
    ],
)
def test_what_cannot_be_checked_is_named(
    mien: Mien, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, sentence: str
) -> None:
    assert mien("workflows", "check", *words) == code
    assert sentence in capsys.readouterr().err
