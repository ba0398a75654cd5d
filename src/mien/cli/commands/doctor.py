"""``mien doctor``: what is installed, what really opens on this machine, and which models are here."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from mien.cli.command import Command
from mien.cli.program import Program
from mien.cli.terminal import Terminal, size
from mien.errors import MienError

PACKAGES = (
    "ai-edge-litert",
    "av",
    "c2pa-python",
    "cryptography",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pydantic",
    "rich",
    "typer",
)
OPTIONAL = ("onnxruntime-ep-openvino", "onnxruntime-gpu")
LITTLE_SPACE = 2_000_000_000
"""Bytes; below this a long video or a set of models may not fit."""


class Unhealthy(MienError):
    """The program cannot do its work here; the report says why."""

    code = "unhealthy"


def doctor_command(program: Program, terminal: Terminal) -> Command:
    """Make the command."""

    def run(values: Mapping[str, Any]) -> None:
        report = examine(program)
        terminal.result(report, lambda: show(terminal, report))
        if report["problems"]:
            raise Unhealthy(" ".join(report["problems"]))

    return Command(
        "doctor",
        "Tell what is installed, what really opens here, and which models are present.",
        list,
        run,
        terminal,
        details="Ends with exit code 1 if something that the program cannot do without is missing.",
        panel="Set up",
    )


def examine(program: Program) -> dict[str, Any]:
    """Everything the command reports, as JSON has it; ``problems`` are full sentences."""
    report: dict[str, Any] = {
        "program": _program(),
        "packages": {name: _version(name) for name in (*PACKAGES, *OPTIONAL)},
        "providers": _try(program.providers, []),
        "encoders": _try(program.encoders, []),
        "processors": list(program.processors()),
        "models": _try(lambda: _models(program), {"present": [], "absent": []}),
        "folders": _try(lambda: _folders(program), []),
    }
    failed = [
        f"{name} cannot be examined: {part['error']}" for name, part in report.items() if "error" in part
    ]
    return {**report, "problems": [*failed, *problems(report)]}


def problems(report: Mapping[str, Any]) -> list[str]:
    """What keeps the program from working, in sentences."""
    found = [f"The package {name} is not installed." for name in PACKAGES if report["packages"][name] is None]
    if not any(item.get("opens") for item in report["providers"] if isinstance(item, Mapping)):
        found.append("No execution provider opens.")
    if not any(item.get("kind") == "video" for item in report["encoders"] if isinstance(item, Mapping)):
        found.append("No video encoder opens.")
    if not report["processors"]:
        found.append("No processor is installed: install the package again.")
    for folder in report["folders"]:
        if isinstance(folder, Mapping) and not folder["writable"]:
            found.append(
                f"The folder {folder['path']} cannot be written: set MIEN_CACHE_DIR to one that can."
            )
    return found


def _try(part: Any, otherwise: Any) -> Any:
    """One part of the report; a part that fails does not take the others with it."""
    try:
        return part()
    except (MienError, ImportError, OSError, RuntimeError) as error:
        return (
            {"error": f"{type(error).__name__}: {error}"}
            if not isinstance(error, MienError)
            else {"error": str(error)}
        )


def _program() -> dict[str, Any]:
    from mien._version import __version__

    return {
        "version": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _models(program: Program) -> dict[str, Any]:
    from mien.models.builtin import builtin

    store = program.store(program.settings())
    needed = builtin(store)
    here = {id for id in store.catalogue if store.status(id).state == "present"}
    return {
        "needed": {id: id in here for id in needed},
        "others_present": sorted(here.difference(needed)),
        "known": len(store.catalogue),
    }


def _folders(program: Program) -> list[dict[str, Any]]:
    settings = program.settings()
    places = {"cache": settings.cache_folder(), "work": settings.work_folder(), "models": settings.models_dir}
    return [
        {"name": name, "path": str(path), "writable": _is_writable(path), "free": _free(path)}
        for name, path in places.items()
        if path is not None
    ]


def _existing(path: Path) -> Path:
    """The nearest folder above (or at) ``path`` that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _is_writable(path: Path) -> bool:
    return os.access(_existing(path), os.W_OK)


def _free(path: Path) -> int:
    return shutil.disk_usage(_existing(path)).free


def show(terminal: Terminal, report: Mapping[str, Any]) -> str:
    """Draw the report; returns its last line."""
    about = report["program"]
    terminal.print(
        f"mien {about['version']}, Python {about['python']}, {about['system']}, {about['cores']} cores"
    )
    terminal.table(
        ("package", "version"), [(name, version or "-") for name, version in report["packages"].items()]
    )
    _show_list(terminal, ("provider", "opens", "remark"), report["providers"], ("name", "opens", "remark"))
    _show_list(terminal, ("encoder", "kind"), report["encoders"], ("name", "kind"))
    models = report["models"]
    if "needed" in models:
        terminal.table(("model", "here"), list(models["needed"].items()))
    rows = [
        (item["name"], item["path"], item["writable"], _space(item["free"]))
        for item in _items(report["folders"])
    ]
    terminal.table(("folder", "path", "writable", "free"), rows)
    if report["problems"]:
        return ""
    missing = [id for id, here in models.get("needed", {}).items() if not here]
    hint = (
        " Models that are missing are fetched when they are needed, or now by mien models fetch."
        if missing
        else ""
    )
    return f"All is well.{hint}"


def _show_list(terminal: Terminal, headings: tuple[str, ...], part: Any, keys: tuple[str, ...]) -> None:
    terminal.table(headings, [tuple(item.get(key) for key in keys) for item in _items(part)])


def _items(part: Any) -> list[Mapping[str, Any]]:
    return part if isinstance(part, list) else []


def _space(free: int) -> str:
    return f"{size(free)} (little)" if free < LITTLE_SPACE else size(free)
