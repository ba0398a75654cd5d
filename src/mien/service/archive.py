"""ZIP archives of results, written as they are sent: no file of the whole exists, and one piece is in memory.

Pictures and videos are compressed already, so they are stored as they are.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mien.errors import AssetMissing
from mien.jobs.rows import JobRow
from mien.service.asset_rows import Asset
from mien.service.assets import Assets
from mien.service.names import distinct, safe_name


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive."""

    name: str
    asset: Asset


def entries(assets: Assets, rows: Iterable[JobRow]) -> list[Entry]:
    """The results of jobs that are still there, with names that no two share.

    All are of one owner each; of several jobs in the order given. Results that were deleted are left out.
    """
    found: list[tuple[str, Asset]] = []
    for row in rows:
        for record in row.results:
            try:
                asset = assets.get(str(record.get("asset")), row.owner)
            except AssetMissing:
                continue
            found.append((safe_name(str(record.get("name") or asset.name)), asset))
    names = distinct(name for name, _ in found)
    return [Entry(name, asset) for name, (_, asset) in zip(names, found, strict=True)]


def stream(assets: Assets, found: Iterable[Entry]) -> Iterator[bytes]:
    """The bytes of an archive, a piece at a time. Raises AssetMissing and StorageError in the middle of it."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for entry in found:
            with assets.open_asset(entry.asset) as opened, archive.open(_info(entry), "w") as file:
                for chunk in opened:
                    file.write(chunk)
                    yield from sink.taken()
    yield from sink.taken()


def _info(entry: Entry) -> zipfile.ZipInfo:
    moment = time.gmtime(max(entry.asset.created_at, 315_532_800))  # the format begins in 1980
    info = zipfile.ZipInfo(entry.name, moment[:6])
    # Known before, so that archives of small files need no extension of the format.
    info.file_size = entry.asset.size
    info.external_attr = 0o644 << 16
    return info


class _Sink(io.RawIOBase):
    """What a ZIP archive is written to; it cannot be turned back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> list[bytes]:
        """What was written since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces
