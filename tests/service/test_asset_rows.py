from __future__ import annotations

import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from mien.db import Database, tables
from mien.errors import AssetMissing, OptionError
from mien.service.asset_rows import Asset, is_needed, references
from mien.service.assets import Assets
from tests.service.conftest import picture


def add(assets: Assets, owner: str = "ann", shade: int = 0) -> Asset:
    return assets.add_stream([picture(shade)], owner, "a.png")


def test_what_was_uploaded_stays_an_upload(assets: Assets, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture())
    assert assets.store_file(path, "ann", "r.png", "result").origin == "result"
    assert (add(assets).origin, add(assets).name) == ("upload", "a.png")
    again = assets.store_file(path, "ann", "r.png", "result")
    assert (again.origin, again.name) == ("upload", "a.png")


def test_pages_go_from_the_newest_to_the_oldest(assets: Assets) -> None:
    ids = [add(assets, shade=shade).id for shade in range(5)]
    add(assets, "bob", 9)
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page, cursor = assets.page("ann", cursor, 2)
        seen += [asset.id for asset in page]
    assert seen == ids[::-1]
    assert cursor is None
    for wrong in ("x", "1-2", "-", f"x-{ids[0]}"):
        with pytest.raises(OptionError):
            assets.page("ann", wrong)


def test_to_hold_an_asset_lengthens_its_life(assets: Assets, database: Database) -> None:
    asset = add(assets)
    with database.begin() as connection:
        connection.execute(sa.update(tables.assets).values(expires_at=time.time() + 5))
    assets.touch(asset.id, "ann")
    held = assets.get(asset.id, "ann").expires_at
    assert held is not None
    assert held > time.time() + 86400
    with pytest.raises(AssetMissing), database.begin() as connection:
        assets.hold(connection, [asset.id, "0" * 64], "ann")


def test_jobs_with_the_same_asset_do_not_wait_for_each_other(assets: Assets, database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite lets one transaction write at a time, whatever it writes")
    id = add(assets).id
    assets.touch(id, "ann")  # from now on its end is far enough away
    ends = assets.get(id, "ann").expires_at
    with database.begin() as first:
        assets.hold(first, [id], "ann")
        with database.begin() as second:
            second.exec_driver_sql("SET LOCAL lock_timeout = '20s'")
            assets.hold(second, [id], "ann")
    assert assets.get(id, "ann").expires_at == ends


@pytest.mark.parametrize(
    ("owner", "status", "is_held"),
    [
        ("ann", "drafted", True),
        ("ann", "running", True),
        ("ann", "completed", False),
        ("bob", "queued", False),
    ],
)
def test_jobs_of_the_owner_that_have_not_ended_need_what_they_name(
    assets: Assets, database: Database, owner: str, status: str, is_held: bool
) -> None:
    id = add(assets).id
    job = {"id": "job", "request": {}, "created_at": 1, "updated_at": 1, "content": f'["asset:{id}"]'}
    with database.begin() as connection:
        connection.execute(sa.insert(tables.jobs).values(owner=owner, status=status, **job))
        assert is_needed(connection, id, "ann") is is_held


def test_only_whole_ids_behind_the_word_are_references() -> None:
    id = "ab" * 32
    assert references(f'{{"target": "asset:{id}", "again": "asset:{id}", "other": "{id}"}}') == {id}
    assert references(f"asset:{id[:-1]} asset:{id.upper()} step:1") == set()
