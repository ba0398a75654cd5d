from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mien.errors import AssetMissing
from mien.service.archive import Entry, entries, stream
from mien.service.asset_rows import Asset
from mien.service.assets import Assets
from mien.service.intake import Media
from mien.storage import Opened
from tests.service.conftest import picture


@dataclass
class Row:
    """What an archive needs to know of a job."""

    results: tuple[dict[str, Any], ...]
    owner: str = "ann"


def result(assets: Assets, tmp_path: Path, shade: int) -> str:
    path = tmp_path / f"{shade}.png"
    path.write_bytes(picture(shade))
    return assets.store_file(path, "ann", path.name, "result").id


def test_an_archive_holds_all_results_under_names_of_their_own(assets: Assets, tmp_path: Path) -> None:
    ids = [result(assets, tmp_path, shade) for shade in range(3)]
    rows: Any = [
        Row(({"asset": ids[0], "name": "a.png"}, {"asset": ids[1], "name": "A.png"})),
        Row(({"asset": ids[2], "name": "../../a.png"}, {"asset": "0" * 64, "name": "gone.png"})),
        Row(({"asset": ids[0], "name": "somebody else's"},), owner="bob"),
    ]
    found = entries(assets, rows)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(stream(assets, found))))
    assert archive.testzip() is None
    assert archive.namelist() == ["a.png", "A (2).png", "a (3).png"]
    assert [archive.read(name) for name in archive.namelist()] == [picture(shade) for shade in range(3)]
    assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def test_an_archive_of_nothing_is_an_archive(assets: Assets) -> None:
    assert zipfile.ZipFile(io.BytesIO(b"".join(stream(assets, [])))).namelist() == []


class Large:
    """Assets of any size that nobody keeps."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks

    def open_asset(self, asset: Asset) -> Opened:
        def chunks() -> Iterator[bytes]:
            for _ in range(self.chunks):
                yield b"x" * (1 << 20)

        return Opened(self.chunks << 20, "video/mp4", chunks())

    def asset(self) -> Asset:
        media = Media("video", "mp4", "video/mp4")
        return Asset("0" * 64, "ann", "a.mp4", "result", self.chunks << 20, media, "", 0, None)


def test_the_whole_is_never_in_memory() -> None:
    large: Any = Large(64)
    tracemalloc.start()
    size = sum(len(piece) for piece in stream(large, [Entry("a.mp4", large.asset())]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 64 << 20
    assert peak < 8 << 20


def test_an_asset_that_goes_meanwhile_cuts_the_archive(assets: Assets, tmp_path: Path) -> None:
    id = result(assets, tmp_path, 0)
    rows: Any = [Row(({"asset": id, "name": "a.png"},))]
    found = entries(assets, rows)
    assets.delete(id, "ann")
    with pytest.raises(AssetMissing):
        list(stream(assets, found))
