"""``mien models``: what models there are, which are here, and bringing or checking them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mien.cli.command import Command, Group, chosen, one, positionals, switch, text
from mien.cli.program import Program
from mien.cli.progress import ProgressBars
from mien.cli.terminal import Terminal, size
from mien.errors import ModelCorrupt, ModelMissing

if TYPE_CHECKING:
    from mien.models.store import ModelStatus, ModelStore


def models_group(program: Program, terminal: Terminal) -> Group:
    """The group with its four commands."""
    actions = _Models(program, terminal)
    commands = [
        Command(
            "list",
            "List all models: size, licence, and whether they are here.",
            lambda: [
                text(
                    "family", "--family", help="Only models of this family.", metavar="NAME", panel="Options"
                ),
                switch("present", "--present", help="Only models that are here.", panel="Options"),
            ],
            actions.list,
            terminal,
        ),
        Command(
            "fetch",
            "Download models; with no name, the small ones that the program needs to work at all.",
            lambda: [
                positionals("ids"),
                switch("all", "--all", help="Every model there is.", panel="Options"),
            ],
            actions.fetch,
            terminal,
            usage="[MODEL...]",
        ),
        Command(
            "verify",
            "Compare the files of models with their hashes; with no name, of all that are here.",
            lambda: [positionals("ids")],
            actions.verify,
            terminal,
            usage="[MODEL...]",
        ),
        Command(
            "path",
            "Print where the files of a model are, downloading them if they are missing.",
            lambda: [positionals("ids")],
            actions.path,
            terminal,
            usage="MODEL",
        ),
    ]
    return Group(
        name="models",
        help="List, download and check models.",
        commands={command.name: command for command in commands if command.name},
        rich_help_panel="Set up",
    )


class _Models:
    def __init__(self, program: Program, terminal: Terminal) -> None:
        self._program = program
        self._terminal = terminal

    def list(self, values: Mapping[str, Any]) -> None:
        store = self._store()
        states = [store.status(id) for id in store.catalogue]
        if values["family"]:
            states = [state for state in states if state.model.family == values["family"]]
        if values["present"]:
            states = [state for state in states if state.state == "present"]
        headings = ("model", "family", "size", "licence", "commercial use", "state")
        rows = [_row(state) for state in states]
        self._terminal.result(
            [as_data(state) for state in states], lambda: self._terminal.table(headings, rows)
        )

    def fetch(self, values: Mapping[str, Any]) -> None:
        from mien.models.builtin import builtin

        with ProgressBars(self._terminal) as bars:
            store = self._program.store(self._program.settings(), bars.download)
            ids = list(store.catalogue) if values["all"] else chosen(values, "ids") or builtin(store)
            store.fetch(ids)
        states = [store.status(id) for id in ids]
        self._terminal.result([as_data(state) for state in states], lambda: f"{len(states)} models are here.")

    def verify(self, values: Mapping[str, Any]) -> None:
        store = self._store()
        ids = chosen(values, "ids") or tuple(id for id in store.catalogue if store.status(id).paths)
        states = store.verify(ids)
        headings = ("model", "state", "file")
        rows = [(state.id, state.state, state.paths[0] if state.paths else None) for state in states]
        self._terminal.result(
            [as_data(state) for state in states], lambda: self._terminal.table(headings, rows)
        )
        _refuse_unsound(states)

    def path(self, values: Mapping[str, Any]) -> None:
        id = one(chosen(values, "ids"), "model", "mien models path MODEL")
        with ProgressBars(self._terminal) as bars:
            paths = self._program.store(self._program.settings(), bars.download).paths(id)
        self._terminal.result({"id": id, "paths": paths}, lambda: "\n".join(str(path) for path in paths))

    def _store(self) -> ModelStore:
        return self._program.store(self._program.settings())


def as_data(state: ModelStatus) -> dict[str, Any]:
    """The state of a model as JSON has it."""
    model = state.model
    return {
        "id": state.id,
        "state": state.state,
        "family": model.family,
        "size": state.size,
        "licence": model.licence,
        "commercial_use": model.commercial_use,
        "vendor": model.vendor,
        "year": model.year,
        "homepage": model.homepage,
        "paths": [str(path) for path in state.paths],
    }


def _row(state: ModelStatus) -> tuple[object, ...]:
    model = state.model
    known_size = None if state.size is None else size(state.size)
    return state.id, model.family, known_size, model.licence, model.commercial_use, state.state


def _refuse_unsound(states: Iterable[ModelStatus]) -> None:
    damaged = [state.id for state in states if state.state == "damaged"]
    if damaged:
        raise ModelCorrupt(
            f"Damaged: {', '.join(damaged)}; mien models fetch {' '.join(damaged)} replaces them."
        )
    absent = [state.id for state in states if state.state == "absent"]
    if absent:
        raise ModelMissing(
            f"Not here: {', '.join(absent)}; mien models fetch {' '.join(absent)} brings them."
        )
