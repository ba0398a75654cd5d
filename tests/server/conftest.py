from __future__ import annotations

from pathlib import Path

import pytest

from mien.server.receiving import scratch_folder
from mien.service.settings import ServiceSettings


@pytest.fixture
def here(tmp_path: Path) -> ServiceSettings:
    """Settings whose data lie in a folder of the test."""
    return ServiceSettings(data_dir=tmp_path)


def left(settings: ServiceSettings) -> list[Path]:
    """The files of requests that are still there."""
    return list(scratch_folder(settings).iterdir())
