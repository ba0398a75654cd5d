"""The inputs of tasks, brought to this machine by the rules of fetching."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mien.consumer.gateway import Gateway
from mien.consumer.settings import ConsumerSettings
from mien.consumer.task import FetchedTask
from mien.errors import InputError
from mien.fetch import is_url

if TYPE_CHECKING:
    from mien.fetch import Fetcher

_OWN: Final = re.compile(r"/api/comm/task/(?P<task>[^/?#]+)/inputs/(?P<asset>[0-9a-f]{64})\Z")
"""The address of what the gateway itself holds for a task; the gateway may know itself by another name."""

Patiently = Callable[[Callable[[], None]], None]
"""Repeats a call of the gateway until it is answered."""


class Inputs:
    """Brings inputs: what the gateway itself holds from there, everything else as any address of a stranger."""

    def __init__(
        self, gateway: Gateway, settings: ConsumerSettings, fetcher: Callable[[], Fetcher] | None = None
    ) -> None:
        """``fetcher`` makes one for other rules than those of ``MIEN_FETCH_*``, on first use."""
        self._gateway = gateway
        self._settings = settings
        self._make_fetcher = fetcher or self._usual

    def bring(self, task: FetchedTask, url: Any, folder: Path, field: str, patiently: Patiently) -> Path:
        """A new file in the folder with the ending of what it is; ``field`` names it in messages.

        Raises InputError for what is no address, and what fetching raises.
        """
        if not isinstance(url, str) or not is_url(url):
            raise InputError(f"The task has no address of a file in {field}, so nothing can be fetched.")
        own = _OWN.search(url)
        if own is not None and own["task"] == task.id:
            return self._from_gateway(task, own["asset"], folder / field, patiently)
        return self._fetcher.fetch(url, folder)

    def _from_gateway(self, task: FetchedTask, asset: str, place: Path, patiently: Patiently) -> Path:
        from mien.media import formats
        from mien.media.sniff import sniff

        patiently(lambda: self._gateway.download(task, asset, place))
        try:
            found = sniff(place)
        except InputError as error:
            raise type(error)(str(error).replace(str(place), place.name)) from None
        return place.rename(place.with_suffix(f".{formats.extension(found.format)}"))

    @cached_property
    def _fetcher(self) -> Fetcher:
        return self._make_fetcher()

    def _usual(self) -> Fetcher:
        from mien.fetch import Fetcher, FetchSettings

        limit = {"max_bytes": int(self._settings.max_input_mb * (1 << 20))}
        return Fetcher(FetchSettings.from_environment().model_copy(update=limit))
