"""``mien workflows``: what there is to run besides the processors, and whether ComfyUI instances can run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.command import Command, Group, chosen, positionals, text
from mien.cli.program import Program
from mien.cli.terminal import Terminal
from mien.errors import WorkflowInvalid

if TYPE_CHECKING:
    from mien.comfyui.settings import ComfySettings
    from mien.comfyui.workflow import Workflow
    from mien.comfyui.workflows import Workflows


def workflows_group(program: Program, terminal: Terminal) -> Group:
    """The group with its two commands."""

    def list_(values: Mapping[str, Any]) -> None:
        from mien.comfyui.workflows import Workflows

        found = Workflows.from_settings(_settings())
        data = [_describe(found.get(name), found.file(name)) for name in found.names]
        terminal.result(data, lambda: _show_list(terminal, data))

    def check(values: Mapping[str, Any]) -> None:
        settings = _settings()
        data = _check(chosen(values, "workflows"), chosen(values, "url") or settings.urls, settings)
        terminal.result(data, lambda: _show_check(terminal, data))
        wrong = sorted({row["workflow"] for row in data if row["problems"]})
        if wrong:
            raise WorkflowInvalid(f"Not everything was found in order for {', '.join(wrong)}.")

    commands = [
        Command("list", "List workflows and their parameters.", lambda: [], list_, terminal),
        Command(
            "check",
            "Check workflows, and whether instances of ComfyUI can run them.",
            lambda: [positionals("workflows"), _URL],
            check,
            terminal,
            details="Names, or files that are not installed yet; all workflows when none is named. Without an address"
            " here or in COMFYUI_URL, only the files themselves are checked.",
            usage="[NAME|FILE...]",
        ),
    ]
    return Group(
        name="workflows",
        help="List and check workflows.",
        commands={str(command.name): command for command in commands},
        rich_help_panel="Set up",
    )


_URL = text("url", "--url", help="Instance to check against; may be repeated.", metavar="URL", many=True)


def _settings() -> ComfySettings:
    from mien.comfyui.settings import ComfySettings

    return ComfySettings.from_environment()


def _describe(workflow: Workflow, file: Path) -> dict[str, Any]:
    return {
        "name": workflow.name,
        "version": workflow.version,
        "title": workflow.title,
        "runs": workflow.kind,
        "parameters": workflow.schema_of_parameters(),
        "file": str(file),
    }


def _check(words: Sequence[str], urls: Sequence[str], settings: ComfySettings) -> list[dict[str, Any]]:
    """One row for each workflow and instance."""
    from mien.comfyui.check import check_size, problems
    from mien.comfyui.instance import ComfyInstance
    from mien.comfyui.workflows import Workflows

    rows: list[dict[str, Any]] = []
    known = Workflows.from_settings(settings)
    workflows = _named(words, known)
    for workflow in workflows:
        known.check_stages(workflow)
        if workflow.graph is None:
            rows.append({"workflow": workflow.name, "instance": None, "problems": []})
        elif not urls:
            check_size(workflow.graph, settings)
            rows.append({"workflow": workflow.name, "instance": None, "problems": []})
    for url in urls:
        with ComfyInstance(_address(url), settings) as instance:
            classes = instance.object_info()
            for workflow in workflows:
                if workflow.graph is not None:
                    found = problems(workflow.graph, classes, settings)
                    rows.append(
                        {"workflow": workflow.name, "instance": instance.api.shown, "problems": found}
                    )
    return rows


def _named(words: Sequence[str], known: Workflows) -> list[Workflow]:
    from mien.comfyui.workflows import read

    if not words:
        return [known.get(name) for name in known.names]
    return [
        read(Path(word)) if Path(word).suffix in (".toml", ".json") else known.get(word) for word in words
    ]


def _address(url: str) -> str:
    from mien.comfyui.settings import checked_url
    from mien.errors import OptionError

    try:
        return checked_url(url)
    except ValueError as error:
        raise OptionError(f"--url: {error}.") from None


def _show_list(terminal: Terminal, data: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (row["name"], row["version"], row["runs"], ", ".join(map(_parameter, row["parameters"])))
        for row in data
    ]
    terminal.table(("workflow", "version", "runs in", "parameters (* needed)"), rows)


def _parameter(parameter: Mapping[str, Any]) -> str:
    return f"{parameter['name']}{'*' if parameter['required'] else ''}"


def _show_check(terminal: Terminal, data: Sequence[Mapping[str, Any]]) -> None:
    rows: list[tuple[str, str, str]] = []
    for row in data:
        where = row["instance"] or "its file"
        rows += [(row["workflow"], where, problem) for problem in row["problems"]] or [
            (row["workflow"], where, "in order")
        ]
    terminal.table(("workflow", "checked against", "found"), rows)
