"""Inputs that are URLs: fetched into the work folder before a step, removed after it."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.progress import ProgressBars
from mien.cli.running import Files
from mien.errors import MienError, OptionError

if TYPE_CHECKING:
    from mien.pipeline.step import PathInput
    from mien.settings import Settings


@contextmanager
def local(files: Files, settings: Settings, bars: ProgressBars) -> Iterator[Files]:
    """The same files with each URL among the inputs replaced by what was fetched from it.

    What was fetched is removed at the end of the block. Errors in the block name the URL. Raises what
    ``Fetcher.fetch`` raises, and OptionError for an output that is a URL.
    """
    urls = [word for word in (*files.sources, files.target) if _is_url(word)]
    if _is_url(files.output):
        raise OptionError(f"The output is a file of this machine; {files.output} is a URL.")
    if not urls:
        yield files
        return
    if settings.offline:
        raise OptionError(f"{urls[0]} is not fetched: MIEN_OFFLINE forbids downloads.")
    with _folder(settings.work_folder()) as folder:
        fetched = _fetch([str(url) for url in urls], folder, settings, bars)
        try:
            yield replace(
                files,
                sources=tuple(fetched.get(str(word), word) for word in files.sources),
                target=fetched.get(str(files.target), files.target),
            )
        except MienError as error:
            raise _renamed(error, fetched) from error


def _is_url(word: PathInput) -> bool:
    return isinstance(word, str) and word.lower().startswith(("http://", "https://"))


def _fetch(urls: list[str], folder: Path, settings: Settings, bars: ProgressBars) -> dict[str, Path]:
    """Fetch each URL once; the files by URL."""
    from mien.fetch import Fetcher, FetchSettings
    from mien.models import Download

    rules = FetchSettings.from_environment()
    pixels = min(rules.max_pixels, settings.max_pixels)
    fetcher = Fetcher(rules.model_copy(update={"max_pixels": pixels}))
    found: dict[str, Path] = {}
    for url in urls:
        if url in found:
            continue
        label = url.partition("?")[0].rpartition("/")[2] or "Fetching"

        def report(done: int, total: int | None, label: str = label) -> None:
            bars.download(Download(label, done, total))

        found[url] = fetcher.fetch(url, folder, report)
        _stamp(found[url])
    return found


def _stamp(path: Path) -> None:
    """Give a file a time that is made of its content.

    The finished parts of a video are known by size and time of the files that went into them; fetched again, the
    same content must be the same file, so that an interrupted run goes on.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    seconds = int.from_bytes(digest[:4], "big") >> 2
    os.utime(path, (seconds, seconds))


@contextmanager
def _folder(root: Path) -> Iterator[Path]:
    """A new folder in the work folder; after a crash it is pruned with the other unfinished work there."""
    from filelock import FileLock

    from mien.pipeline.work import prune, writing

    folder = root / f"fetched-{secrets.token_hex(8)}"
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        prune(root)
        lock = FileLock(f"{folder}.lock")
        lock.acquire()
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        with suppress(OSError):
            Path(lock.lock_file).unlink()


def _renamed(error: MienError, fetched: Mapping[str, Path]) -> MienError:
    """The error with URLs in the place of the files that nobody knows."""
    text = str(error)
    for url, path in fetched.items():
        text = text.replace(str(path), url.partition("?")[0]).replace(path.name, url.partition("?")[0])
    return type(error)(text)
