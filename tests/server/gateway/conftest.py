from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import emptied
from tests.server.gateway.clients import Gateway
from tests.server.served import Served, served


@pytest.fixture(scope="package")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service without workers of its own."""
    folder, many = tmp_path_factory.mktemp("gateway"), 1_000_000  # the tests of all files in one minute
    with served(folder, works=False, processors=None, requests_per_minute=many) as place:
        yield place


@pytest.fixture
def gateway(idle: Served) -> Gateway:
    """A client of it, and nothing of before."""
    emptied(idle.service.database)
    return Gateway(idle)
