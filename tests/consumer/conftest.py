from collections.abc import Iterator

import pytest

from tests.consumer.places import Requests
from tests.server.served import Served, served


@pytest.fixture(scope="package")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service without workers of its own."""
    folder = tmp_path_factory.mktemp("gateway")
    with served(folder, works=False, processors=None, max_attempts=20, requests_per_minute=1e6) as place:
        yield place


@pytest.fixture
def gateway(idle: Served) -> Requests:
    found = Requests(idle)
    found.http.delete("/api/tasks/")
    return found
