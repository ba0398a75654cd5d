from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from mien.fetch import FetchSettings
from tests.fetch.servers import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where files are fetched to; no test may leave an unfinished one there."""
    folder = tmp_path / "fetched"
    folder.mkdir()
    yield folder
    assert not list(folder.glob(".*")), "an unfinished file was left behind"


def settings_for(*servers: Server, **changes: Any) -> FetchSettings:
    """Settings that allow this machine's own address and the ports of ``servers``."""
    values: dict[str, Any] = {
        "allowed_networks": (ip_network("127.0.0.1/32"),),
        "ports": tuple(server.port for server in servers) + (80, 443),
        "idle_seconds": 0.4,
        "total_seconds": 3.0,
        "connect_seconds": 1.0,
    }
    return FetchSettings(**{**values, **changes})
