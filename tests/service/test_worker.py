from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.workplaces import Workplace, workplace


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[Workplace]:
    with workplace(database_url, tmp_path / "data") as made:
        yield made


def test_a_job_is_run_and_its_result_is_stored(place: Workplace) -> None:
    place.jobs.start("all")
    target = place.picture()
    place.submit({"target_path": target, "label": "a"}, {"target_path": "step:0", "label": "b"})
    row = place.wait()
    assert (row.status, row.fence, row.tries) == ("completed", 1, 1)
    assert [place.text(record) for record in row.results] == ["a", "ab"]
    assert [record["step"] for record in row.results] == [0, 1]
