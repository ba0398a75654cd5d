from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import DiskFull
from mien.service.settings import MB, ServiceSettings
from mien.service.space import FRESH, Space
from tests.service.clocks import Clock


def test_the_real_disk_has_room(tmp_path: Path) -> None:
    space = Space(ServiceSettings(data_dir=tmp_path, min_free_mb=0))
    assert space.free() > 0
    assert not space.is_low
    space.check()


def test_some_room_stays_free(tmp_path: Path) -> None:
    asked: list[Path] = []

    def probe(folder: Path) -> int:
        asked.append(folder)
        return 150 * MB

    space = Space(ServiceSettings(data_dir=tmp_path, min_free_mb=100), probe)
    assert not space.is_low
    space.check(50 * MB)
    with pytest.raises(DiskFull, match=r"150 MB left, and 100 MB have to stay free .* after the 51 MB"):
        space.check(51 * MB)
    assert asked[0] == tmp_path


def test_a_full_disk_is_low_until_there_is_room_again(tmp_path: Path) -> None:
    clock, free = Clock(), [99 * MB]
    space = Space(ServiceSettings(data_dir=tmp_path, min_free_mb=100), lambda folder: free[0], clock)
    assert space.plain() == {"free_bytes": 99 * MB, "low": True}
    with pytest.raises(DiskFull, match="99 MB left"):
        space.check()
    free[0] = 100 * MB
    assert space.is_low
    clock.pass_time(FRESH)
    assert not space.is_low


def test_a_folder_that_is_still_to_be_made_is_on_the_disk_of_those_above(tmp_path: Path) -> None:
    assert Space(ServiceSettings(data_dir=tmp_path / "new" / "data")).free() > 0


def test_a_disk_that_cannot_be_looked_at_takes_nothing(tmp_path: Path) -> None:
    def gone(folder: Path) -> int:
        raise OSError("the disk has gone away")

    space = Space(ServiceSettings(data_dir=tmp_path), gone)
    assert (space.free(), space.is_low) == (0, True)
