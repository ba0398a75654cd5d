"""``mien storage``: trying out the storages that results can be kept in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mien.cli.command import Command, Group, chosen, positionals
from mien.cli.program import Program
from mien.cli.terminal import Terminal
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.storage import Storage
    from mien.storage.check import Finding

PRIVACY = {
    "machine": "stays on this machine",
    "private": "read with credentials or a signed address only",
    "public": "everybody can read it",
}


class StorageUnfit(MienError):
    """A storage that was tried out does not do all that is needed of it; the report says what."""

    code = "storage_unfit"
    exit_code = 50


def storage_group(program: Program, terminal: Terminal) -> Group:
    """The group with its one command."""

    def check(values: Mapping[str, Any]) -> None:
        storages = _storages(chosen(values, "urls"))
        found = {storage.place: (storage, _check(storage)) for storage in storages}
        data = [
            {"storage": storage.name, "place": place, "privacy": storage.privacy, "parts": parts}
            for place, (storage, parts) in found.items()
        ]
        terminal.result(data, lambda: _show(terminal, data))
        broken = [place for place, (_, parts) in found.items() if any(p["outcome"] == "fails" for p in parts)]
        if broken:
            raise StorageUnfit(f"Not all parts of the check worked for {', '.join(broken)}.")

    command = Command(
        "check",
        "Store a small picture, read it, sign an address for it, delete it; tell what works.",
        lambda: [positionals("urls")],
        check,
        terminal,
        details="URL names a storage, such as s3://bucket, r2://bucket/folder, gs://bucket, cfimages://account or "
        "file:///folder; without one, those of STORAGE_PROVIDER are tried. Keys and accounts come from the "
        "environment. Ends with exit code 50 if a part fails.",
        usage="[URL...]",
    )
    return Group(
        name="storage",
        help="Try out where results are kept.",
        commands={"check": command},
        rich_help_panel="Set up",
    )


def _storages(urls: tuple[str, ...]) -> list[Storage]:
    from mien.storage import StorageSettings, open_storage, storage_of

    settings = StorageSettings.from_environment()
    if urls:
        return [storage_of(url, settings) for url in urls]
    return list(open_storage(settings).storages)


def _check(storage: Storage) -> list[dict[str, Any]]:
    from mien.storage.check import check

    findings: list[Finding] = list(check(storage))
    return [asdict(finding) for finding in findings]


def _show(terminal: Terminal, data: list[dict[str, Any]]) -> None:
    for storage in data:
        rows = [(part["part"], part["outcome"], part["sentence"]) for part in storage["parts"]]
        title = f"{storage['place']} ({storage['storage']}): {PRIVACY[storage['privacy']]}"
        terminal.table(("part", "outcome", "what happened"), rows, title)
