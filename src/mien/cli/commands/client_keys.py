"""Keys of the service's clients, for ``mien keys``."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mien.cli.command import Command, chosen, one, positionals, text
from mien.cli.service_flags import service_settings, storage_place
from mien.cli.terminal import Terminal
from mien.errors import OptionError

if TYPE_CHECKING:
    from mien.service.keys import Key, Keys

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PANEL = "Keys of clients"


class ClientKeys:
    """The commands; each opens the database of the service."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def parameters(self) -> list[inspect.Parameter]:
        """What ``create`` takes for them."""
        return [
            text(
                "scope",
                "--scope",
                help="What the key is good for: submit, read, work (fetching tasks), admin (everything).",
                metavar="SCOPE",
                panel=PANEL,
                many=True,
            ),
            text("expires", "--expires", help="How long it lasts, such as 90d.", metavar="TIME", panel=PANEL),
            text(
                "limit",
                "--limit",
                help="A limit of its own, such as requests_per_minute=60, jobs_per_day=100, max_queue=10, "
                "stored_mb=5000.",
                metavar="NAME=NUMBER",
                panel=PANEL,
                many=True,
            ),
            *storage_place(),
        ]

    def commands(self) -> list[Command]:
        """The commands that only clients' keys have."""
        grace = text(
            "grace",
            "--grace",
            help="How long the old key still works, such as 1h; 24h when unset.",
            metavar="TIME",
            panel=PANEL,
        )
        return [
            Command(
                "list",
                "List the keys of the service's clients; their secrets are not kept.",
                storage_place,
                self.list,
                self._terminal,
            ),
            Command(
                "rotate",
                "Make a new key for the same client; the old one works for a while.",
                lambda: [positionals("id"), grace, *storage_place()],
                self.rotate,
                self._terminal,
                usage="ID",
            ),
            Command(
                "revoke",
                "End a client's key now.",
                lambda: [positionals("id"), *storage_place()],
                self.revoke,
                self._terminal,
                usage="ID",
            ),
        ]

    def create(self, values: Mapping[str, Any]) -> None:
        """Make a key and show it, this once."""
        if chosen(values, "folder"):
            raise OptionError("A FOLDER is for signing keys; a key with --scope is kept in the database.")
        expires = None if not values.get("expires") else seconds(values["expires"], "--expires")
        with self._keys(values) as keys:
            name = values.get("name") or "key"
            limits = dict(map(_limit, chosen(values, "limit")))
            made = keys.create(name, chosen(values, "scope"), limits=limits, expires_in=expires)
        self._show_new(made.key, made.token)

    def list(self, values: Mapping[str, Any]) -> None:
        """Show all keys without their secrets."""
        moment = time.time()
        with self._keys(values) as keys:
            found = [_plain(key, moment) for key in keys.all()]
        headings = ("id", "name", "scopes", "status", "created_at", "used_at", "expires_at")
        table = [[row[name] for name in headings] for row in found]
        self._terminal.result(found, lambda: self._terminal.table(headings, table))

    def rotate(self, values: Mapping[str, Any]) -> None:
        """Replace a key."""
        id = one(chosen(values, "id"), "id of a key", "mien keys rotate ID")
        with self._keys(values) as keys:
            grace = values.get("grace")
            made = keys.rotate(id) if not grace else keys.rotate(id, seconds(grace, "--grace"))
        self._show_new(made.key, made.token)

    def revoke(self, values: Mapping[str, Any]) -> None:
        """End a key."""
        id = one(chosen(values, "id"), "id of a key", "mien keys revoke ID")
        with self._keys(values) as keys:
            key = keys.revoke(id)
        self._terminal.result(_plain(key, time.time()), lambda: f"The key {id} is good for nothing any more.")

    @contextmanager
    def _keys(self, values: Mapping[str, Any]) -> Iterator[Keys]:
        from mien.db import open_database
        from mien.service.keys import Keys

        settings = service_settings({name: values.get(name) for name in ("data_dir", "database_url")})
        database = open_database(settings.database())
        try:
            yield Keys(database)
        finally:
            database.close()

    def _show_new(self, key: Key, token: str) -> None:
        self._terminal.result({**_plain(key, time.time()), "key": token}, lambda: token)
        self._terminal.note(
            f"the key {key.id} may {', '.join(key.scopes)}; it is not shown again. "
            "Clients send it as Authorization: Bearer KEY."
        )


def seconds(word: str, where: str) -> float:
    """A time as people write it (90d, 12h, 30m, 45s) in seconds. Raises OptionError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", word.strip())
    if match is None:
        raise OptionError(f"{where} takes a time such as 90d, 12h, 30m or 45s, but {word!r} was given.")
    return float(match[1]) * UNITS[match[2]]


def _limit(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise OptionError(
            f"--limit takes NAME=NUMBER, such as jobs_per_day=100, but {word!r} was given."
        ) from None


def _plain(key: Key, moment: float) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "limits": dict(key.limits),
        "status": key.status(moment),
        "owner": key.owner,
        **{
            name: _moment(getattr(key, name))
            for name in ("created_at", "used_at", "expires_at", "revoked_at")
        },
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
