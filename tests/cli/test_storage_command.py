from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.errors import StorageRefused

Mien = Callable[..., int]


@pytest.fixture(autouse=True)
def no_storage_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "GCS_", "R2_", "CF_IMAGES_", "STORAGE_", "S3_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path / "kept"))


def test_the_check_tells_what_works(mien: Mien, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("storage", "check") == 0
    out = capsys.readouterr().out
    assert f"file://{tmp_path}/kept (local): stays on this machine" in out
    assert "The same bytes came back" in out
    assert "not set up" in out


def test_the_check_as_data(mien: Mien, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("storage", "check", f"file://{tmp_path}/other", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["storage"], found["privacy"]) == ("local", "machine")
    assert [part["outcome"] for part in found["parts"]] == ["works", "works", "not set up", "works"]


def test_a_part_that_fails_gives_an_exit_code(
    mien: Mien, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    assert mien("storage", "check") == 50
    said = capsys.readouterr()
    assert "fails" in said.out
    assert f"Not all parts of the check worked for file://{tmp_path}/kept." in said.err


@pytest.mark.parametrize(
    ("url", "words"), [("r2://bucket", "R2_ACCOUNT_ID"), ("ftp://x", "does not name a storage")]
)
def test_what_is_missing_is_named(
    mien: Mien, capsys: pytest.CaptureFixture[str], url: str, words: str
) -> None:
    assert mien("storage", "check", url) == StorageRefused.exit_code
    assert words in capsys.readouterr().err
