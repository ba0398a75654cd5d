from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.served import Served, served


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that runs its jobs."""
    with served(tmp_path_factory.mktemp("service"), poll_seconds=0.02) as found:
        yield found


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose jobs nobody runs."""
    with served(tmp_path_factory.mktemp("service"), works=False) as found:
        yield found
