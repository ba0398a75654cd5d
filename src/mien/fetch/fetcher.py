"""Fetches a media file from a URL into a folder: whole, recognised by its content, within limits, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mien.errors import (
    CorruptMedia,
    FetchError,
    InputError,
    InputMissing,
    MediaTooLarge,
    UnsafeInput,
    UnsupportedMedia,
)
from mien.fetch.settings import FetchSettings
from mien.fetch.urls import Target, read_url, redirected
from mien.media import formats
from mien.media.atomic import output_errors
from mien.media.headers import read_header
from mien.media.sniff import sniff

if TYPE_CHECKING:
    from mien.fetch.exchange import Answer, Exchange
    from mien.fetch.network import Resolve

OnBytes = Callable[[int, int | None], None]
"""Told of bytes that are here and of all there will be, when that is known; may raise to stop the fetch."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 425, 429})
"""Refusals of the moment, beside those of the server itself (5xx)."""


def is_url(text: str) -> bool:
    """Whether ``text`` is written as a URL of the web rather than as a path."""
    return text.lower().startswith(("http://", "https://"))


def fetch(url: str, folder: Path, settings: FetchSettings | None = None) -> Path:
    """Fetch one file; see ``Fetcher.fetch``."""
    return Fetcher(settings).fetch(url, folder)


class Fetcher:
    """Fetches files by one set of rules; may be used from many threads at once.

    Each fetch has connections of its own, which end with it: its deadline holds for all of them, and no
    later fetch can meet a connection that was made under another rule. What is kept is the list of trusted
    authorities, which takes longest to make.
    """

    def __init__(self, settings: FetchSettings | None = None, resolve: Resolve | None = None) -> None:
        """``resolve`` looks names up instead of the system; its answers are checked in the same way."""
        from mien.fetch.exchange import trusted
        from mien.fetch.network import system_resolve

        self.settings = settings or FetchSettings()
        self._resolve = resolve or system_resolve
        self._context = trusted(self.settings)

    def fetch(self, url: str, folder: Path, on_bytes: OnBytes | None = None) -> Path:
        """Fetch ``url`` into ``folder`` (which must exist) under a random name with the right ending.

        Nothing is left behind on any failure. Raises UnsafeInput for what may not be fetched, FetchError
        when no whole file came, InputMissing when there is none, MediaTooLarge, UnsupportedMedia and
        CorruptMedia for what came, and OutputError when it could not be written.
        """
        from mien.fetch.exchange import Exchange

        target = read_url(url, self.settings)
        name = secrets.token_hex(16)
        partial = folder / f".{name}.part"
        try:
            with output_errors(partial), Exchange(self.settings, self._context, self._resolve) as exchange:
                target = self._download(exchange, target, partial, on_bytes)
            ending = self._recognise(partial, target)
            path = folder / f"{name}.{ending}"
            os.replace(partial, path)
            return path
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _download(self, exchange: Exchange, target: Target, path: Path, on_bytes: OnBytes | None) -> Target:
        """Follow redirects to the file and write it; returns where it was."""
        for _ in range(self.settings.max_redirects + 1):
            with exchange.request(target) as answer:
                if answer.status not in _REDIRECTS:
                    self._write(answer, target, path, on_bytes)
                    return target
                location = answer.headers.get("location")
            if location is None:
                raise FetchError(f"{target.shown} redirects without saying where to.")
            target = redirected(target, _text(location), self.settings)
        raise UnsafeInput(f"The URL redirects more than {self.settings.max_redirects} times.")

    def _write(self, answer: Answer, target: Target, path: Path, on_bytes: OnBytes | None) -> None:
        """Write the body of an answer to a new file, counting."""
        _check_status(answer, target)
        total = self._announced(answer, target)
        here = 0
        # Nobody but the user may read what was fetched.
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            for piece in answer.body:
                here += len(piece)
                if here > self.settings.max_bytes:
                    raise self._too_large(target)
                file.write(piece)
                if on_bytes is not None:
                    on_bytes(here, total)

    def _announced(self, answer: Answer, target: Target) -> int | None:
        """The length that the headers announce. Raises MediaTooLarge when it is over the limit."""
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise UnsupportedMedia(f"{target.shown} answers with a packed file although none was asked for.")
        length = answer.headers.get("content-length", "")
        total = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None
        if total is not None and total > self.settings.max_bytes:
            raise self._too_large(target)
        return total

    def _too_large(self, target: Target) -> MediaTooLarge:
        return MediaTooLarge(f"{target.shown} is larger than the limit of {self.settings.max_bytes} bytes.")

    def _recognise(self, path: Path, target: Target) -> str:
        """The ending for what was fetched. Raises what ``sniff`` raises, and MediaTooLarge for a picture."""
        try:
            sniffed = sniff(path)
            if sniffed.kind == "image":
                self._check_picture(path, sniffed.format, target)
        except InputError as error:
            raise type(error)(str(error).replace(str(path), target.shown)) from None
        return formats.extension(sniffed.format)

    def _check_picture(self, path: Path, format: str, target: Target) -> None:
        if path.stat().st_size > self.settings.max_picture_bytes:
            limit = self.settings.max_picture_bytes
            raise MediaTooLarge(f"{target.shown} is a picture of more than {limit} bytes.")
        header = read_header(path, format)
        if header.width * header.height > self.settings.max_pixels:
            size = f"{header.width}×{header.height} pixels"
            raise MediaTooLarge(
                f"{target.shown} has {size}, more than the limit of {self.settings.max_pixels}."
            )


def _check_status(answer: Answer, target: Target) -> None:
    """Raise unless the answer is the file."""
    status = answer.status
    if status >= 500 or status in _PASSING:
        raise FetchError(f"{target.shown} answered with status {status}; try again later.")
    if status >= 400:
        raise InputMissing(f"{target.shown} answered with status {status}: there is no file to be had.")
    if status == 204 or answer.headers.get("content-length", "").strip() == "0":
        raise CorruptMedia(f"{target.shown} is empty.")
    if status != 200:
        raise FetchError(f"{target.shown} answered with status {status}, which is not a whole file.")


def _text(location: str) -> str:
    """A Location header as text: servers send UTF-8 in it, though HTTP knows bytes only."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location
