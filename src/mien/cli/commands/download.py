"""``force-download``: brings all models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.cli.commands.models import as_data
from mien.cli.job_command import About, Call, Section
from mien.cli.job_options import LOG, DownloadScopeOptions
from mien.cli.program import Program
from mien.cli.progress import ProgressBars
from mien.cli.run_options import DownloadOptions, settings_of
from mien.errors import ModelError
from mien.options import declared

if TYPE_CHECKING:
    from mien.models.catalogue import Model

LITE_VENDOR = "iperov"
"""Of the models for deep swapping, FaceFusion's small scope takes those of this vendor."""


def _sections(program: Program) -> list[Section]:
    items = declared(DownloadOptions) + declared(DownloadScopeOptions)
    return [Section(DownloadOptions.title, items), Section("Messages", LOG)]


def force_download(call: Call) -> None:
    """Download every model of the scope; goes on behind one that cannot be had, and then ends with exit code 1."""
    full = call.values.get("download_scope") == "full"
    wrong: dict[str, str] = {}
    with ProgressBars(call.terminal) as bars:
        store = call.program.store(settings_of(call.values, call.program.settings()), bars.download)
        ids = [id for id, model in store.catalogue.items() if full or _is_lite(model)]
        for id in ids:
            try:
                store.fetch([id])
            except ModelError as error:
                wrong[id] = str(error)
                bars.note(str(error))
    call.terminal.result([as_data(store.status(id)) for id in ids], lambda: None)
    if wrong:
        raise call.fail(f"{len(wrong)} of {len(ids)} models could not be downloaded: {', '.join(wrong)}.")
    call.terminal.note(f"{len(ids)} models are here")


def _is_lite(model: Model) -> bool:
    return (
        "deep_swap" not in model.family
        or model.id.startswith(f"{LITE_VENDOR}/")
        or model.vendor == LITE_VENDOR
    )


COMMANDS = (
    About(
        "force-download",
        "Download all models.",
        force_download,
        _sections,
        details="They are many gigabytes.",
    ),
)
"""The command of this module."""
