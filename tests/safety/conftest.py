from __future__ import annotations

from pathlib import Path

import pytest

from mien.safety.keys import create_keys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys of the made-up Studio X."""
    folder = tmp_path_factory.mktemp("keys") / "own"
    create_keys(folder, "Studio X")
    return folder
