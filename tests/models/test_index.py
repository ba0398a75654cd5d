"""The built-in models from the real package index; skipped where there is none."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from mien.models import load_catalogue
from mien.models.digest import digest_of
from mien.models.fetchers.base import FetchFailed
from mien.models.fetchers.wheel import WHEEL_FETCHERS, WheelFetcher


@pytest.mark.parametrize("name", WHEEL_FETCHERS)
def test_the_pinned_wheel_holds_what_the_catalogue_says(name: str) -> None:
    if name == "uv" and shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    fetcher: WheelFetcher = WHEEL_FETCHERS[name]
    files = [model.files[0] for model in load_catalogue().family("blazeface")]
    members = {file: file.sources[0].member for file in files}  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = fetcher(files[0].wheels[0], list(members.values()), Path(folder), lambda done: None)
        except FetchFailed as error:
            pytest.skip(f"the package index cannot be used: {error}")
        assert [digest_of(found[members[file]], "sha256").value for file in files] == [
            file.sha256 for file in files
        ]
