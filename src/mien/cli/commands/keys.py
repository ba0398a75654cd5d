"""``mien keys``: keys of one's own with which outputs are signed, and keys for clients of the service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.command import Command, Group, chosen, one, positionals, text
from mien.cli.commands.client_keys import ClientKeys
from mien.cli.program import Program
from mien.cli.terminal import Terminal
from mien.errors import InputMissing
from mien.settings import own_keys

if TYPE_CHECKING:
    from mien.safety.keys import KeyInfo

WHERE = (
    "FOLDER is where mien looks for keys by itself, unless another is named; set MIEN_SIGNING_KEY for that."
)


def keys_group(program: Program, terminal: Terminal) -> Group:
    """The group with its three commands."""
    actions = _Keys(program, terminal)
    clients = ClientKeys(terminal)
    name = text(
        "name",
        "--name",
        help="Who signs, as everybody will see it; or what the client's key is for.",
        metavar="NAME",
    )

    def create(values: Mapping[str, Any]) -> None:
        (clients.create if chosen(values, "scope") else actions.create)(values)

    commands = [
        Command(
            "create",
            "Make a key that signs outputs; with --scope, make a key for a client of the service instead.",
            lambda: [positionals("folder"), name, *clients.parameters()],
            create,
            terminal,
            details="Without --scope: a signing key, and a certificate authority of one's own for it; from then on "
            f"outputs are signed. {WHERE} Only their owner can read the keys. Give root.pem to those who are to trust "
            "them; root.key is needed for renewing only and may be kept elsewhere.\n\n"
            "With --scope: a key that clients send as Authorization: Bearer KEY. It is shown once. From the first one "
            "on the service asks everybody for a key.",
            usage="[FOLDER] | --scope SCOPE...",
        ),
        Command(
            "renew",
            "Make a new signing key from the same root, when its certificate expires.",
            lambda: [positionals("folder")],
            actions.renew,
            terminal,
            usage="[FOLDER]",
        ),
        Command(
            "show",
            "Tell whose the signing key is and until when it is valid.",
            lambda: [positionals("folder")],
            actions.show,
            terminal,
            usage="[FOLDER]",
        ),
        *clients.commands(),
    ]
    return Group(
        name="keys",
        help="Make and show keys: those with which outputs are signed, and those of the service's clients.",
        commands={command.name: command for command in commands if command.name},
        rich_help_panel="Provenance",
    )


class _Keys:
    def __init__(self, program: Program, terminal: Terminal) -> None:
        self._program = program
        self._terminal = terminal

    def create(self, values: Mapping[str, Any]) -> None:
        from mien.safety.keys import ROOT, create_keys

        folder = self._folder(values)
        info = create_keys(folder, values["name"] or "mien")
        self._tell(folder, info, f"Others trust what it signs by {folder / ROOT}.")
        if folder != self._used():
            self._terminal.note(f"set MIEN_SIGNING_KEY={folder} to sign with this key")

    def renew(self, values: Mapping[str, Any]) -> None:
        from mien.safety.keys import renew_keys

        folder = self._folder(values)
        self._tell(folder, renew_keys(folder), "Whoever trusts the root goes on trusting.")

    def show(self, values: Mapping[str, Any]) -> None:
        from mien.safety.keys import CHAIN, key_info

        folder = self._folder(values)
        file = folder / CHAIN if folder.is_dir() or not folder.exists() else folder
        try:
            info = key_info(file.read_bytes())
        except (OSError, ValueError):
            raise InputMissing(f"{file} holds no certificate; mien keys create makes a key.") from None
        self._tell(folder, info, "")

    def _folder(self, values: Mapping[str, Any]) -> Path:
        words = chosen(values, "folder")
        return Path(one(words, "folder", "mien keys create [FOLDER]")) if words else self._used()

    def _used(self) -> Path:
        """Where the settings look for keys."""
        return self._program.settings().signing_key or own_keys()

    def _tell(self, folder: Path, info: KeyInfo, more: str) -> None:
        data = {
            "folder": str(folder),
            "name": info.name,
            "issuer": info.issuer,
            "expires": info.expires.isoformat(),
            "sha256": info.fingerprint,
        }
        line = f"{folder}: key of {info.name}, valid until {info.expires:%Y-%m-%d}. {more}"
        self._terminal.result(data, line.rstrip)
