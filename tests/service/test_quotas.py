from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.db import Database
from mien.errors import StorageQuotaExceeded
from mien.service.asset_rows import Asset
from mien.service.assets import Assets
from mien.service.callers import Caller
from mien.service.intake import measured
from mien.service.keys import Keys
from mien.service.limits import Limits
from mien.service.quotas import Quota
from mien.service.settings import MB, ServiceSettings
from mien.service.uploads import Uploads
from mien.service.usage import Usage
from mien.storage import Chain
from tests.service.conftest import picture

SIZE = len(picture(1))
"""All pictures of these tests have about this size."""


def _assets(database: Database, storage: Chain, folder: Path, most: float | None) -> Assets:
    """For owners who may keep so many pictures."""
    mb = None if most is None else most * SIZE / MB
    return Assets(database, storage, ServiceSettings(data_dir=folder, max_stored_mb=mb))


def _send(assets: Assets, shade: int, owner: str = "ann") -> Asset:
    return assets.add_stream([picture(shade)], owner, "a.png")


def test_what_is_too_much_is_refused_and_leaves_nothing(
    database: Database, storage: Chain, tmp_path: Path, objects: Callable[[], list[Path]]
) -> None:
    assets = _assets(database, storage, tmp_path / "data", 2.5)
    for shade in (1, 2):
        _send(assets, shade)
    with pytest.raises(StorageQuotaExceeded, match="delete assets"):
        _send(assets, 3)
    assert len(objects()) == 2
    assert assets.quota.stored("ann") == sum(len(picture(shade)) for shade in (1, 2))


def test_room_that_was_made_can_be_used(database: Database, storage: Chain, tmp_path: Path) -> None:
    assets = _assets(database, storage, tmp_path / "data", 1.5)
    first = _send(assets, 1)
    with pytest.raises(StorageQuotaExceeded):
        _send(assets, 2)
    assets.delete(first.id, "ann")
    _send(assets, 2)


def test_a_content_counts_once_for_each_who_has_it(
    database: Database, storage: Chain, tmp_path: Path
) -> None:
    assets = _assets(database, storage, tmp_path / "data", 1.5)
    for _ in range(3):
        _send(assets, 1)
    _send(assets, 1, "bob")
    assert assets.quota.stored("ann") == assets.quota.stored("bob") == SIZE
    with pytest.raises(StorageQuotaExceeded):
        _send(assets, 2, "bob")


def test_what_is_there_already_may_be_sent_again_when_all_is_used(
    database: Database, storage: Chain, tmp_path: Path
) -> None:
    _send(_assets(database, storage, tmp_path / "data", None), 1)
    _send(_assets(database, storage, tmp_path / "data", 0.5), 1)


def test_results_are_kept_but_no_more_are_asked_for(
    database: Database, storage: Chain, tmp_path: Path
) -> None:
    assets = _assets(database, storage, tmp_path / "data", 1.5)
    for shade in (1, 2, 3):
        (tmp_path / "result.png").write_bytes(picture(shade))
        assets.store_file(tmp_path / "result.png", "ann", "result.png", "result")
    settings = ServiceSettings(data_dir=tmp_path, max_stored_mb=1.5 * SIZE / MB)
    limits = Limits(database, settings, Usage(database))
    with pytest.raises(StorageQuotaExceeded, match="no room for results"):
        limits.for_jobs(Caller("ann"), 1)
    limits.for_jobs(Caller("bob"), 1)
    limits.for_jobs(Caller("ann", "k", limits={"stored_mb": 100}), 1)


def test_files_of_the_web_count_as_well(database: Database, storage: Chain, tmp_path: Path) -> None:
    assets = _assets(database, storage, tmp_path / "data", 0.5)
    (tmp_path / "fetched.png").write_bytes(picture(1))
    with pytest.raises(StorageQuotaExceeded):
        assets.store_file(tmp_path / "fetched.png", "ann", "fetched.png", "fetch")


def test_uploads_that_were_announced_take_their_room(
    database: Database, storage: Chain, tmp_path: Path
) -> None:
    assets = _assets(database, storage, tmp_path / "data", 2.5)
    settings = ServiceSettings(data_dir=tmp_path / "data")
    uploads = Uploads(database, storage, assets, settings)
    first = uploads.create("ann", "a.png", SIZE)
    uploads.create("ann", "b.png", SIZE)
    with pytest.raises(StorageQuotaExceeded):
        uploads.create("ann", "c.png", SIZE)
    uploads.create("bob", "c.png", SIZE)
    (tmp_path / "a.png").write_bytes(picture(1))
    uploads.put(first, measured(tmp_path / "a.png"), "ann")
    with pytest.raises(StorageQuotaExceeded):
        uploads.create("ann", "c.png", SIZE)


def test_a_key_may_have_another_limit(database: Database, storage: Chain, tmp_path: Path) -> None:
    assets = _assets(database, storage, tmp_path / "data", 1.5)
    keys = Keys(database)
    large = keys.create("large", ["submit"], limits={"stored_mb": 1.0}).key
    small = keys.create("small", ["submit"], limits={"stored_mb": 0.5 * SIZE / MB}).key
    consumer = keys.create("consumer", ["work"]).key
    for shade in (1, 2, 3):
        _send(assets, shade, large.owner)
        _send(assets, shade, consumer.owner)
    with pytest.raises(StorageQuotaExceeded):
        _send(assets, 1, small.owner)
    keys.revoke(large.id)
    with pytest.raises(StorageQuotaExceeded):
        _send(assets, 4, large.owner)


def test_of_two_at_once_one_fits(
    database: Database,
    storage: Chain,
    tmp_path: Path,
    objects: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both have been looked at before either was stored."""
    monkeypatch.setattr(Quota, "check_upload", lambda *words: None)
    assets = _assets(database, storage, tmp_path / "data", 1.5)
    done: list[Asset | StorageQuotaExceeded] = []

    def send(shade: int) -> None:
        try:
            done.append(_send(assets, shade))
        except StorageQuotaExceeded as error:
            done.append(error)

    threads = [threading.Thread(target=send, args=(shade,)) for shade in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(item, Asset) for item in done) == 1
    assert len(done) == 4
    assert len(objects()) == 1
