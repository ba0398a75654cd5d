"""Progress bars on stderr: downloads in bytes, work in frames with rate and remaining time."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from mien.cli.terminal import Terminal, size

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, TaskID

    from mien.models import Download
    from mien.pipeline.progress import Cancel, Progress

STAGES = {"models": "Models", "analyse": "Looking for faces", "process": "Working", "join": "Joining"}


class ProgressBars:
    """A context manager whose methods are the callbacks of an engine."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._cancel: Cancel | None = None

    def __enter__(self) -> ProgressBars:
        if self._terminal.shows_progress:
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def watch(self, cancel: Cancel) -> None:
        """Let a download end, too, when ``cancel`` is set; what has arrived is kept."""
        self._cancel = cancel

    def note(self, text: str) -> None:
        """A line above the bars."""
        if self._bars is not None:
            self._bars.console.print(
                f"mien: {self._terminal.spell(text)}", markup=False, highlight=False, soft_wrap=True
            )
        else:
            self._terminal.note(text)

    def work(self, progress: Progress) -> None:
        """Show how far the run is."""
        if self._bars is None:
            return
        label = STAGES.get(progress.stage, progress.stage)
        rate = f"{progress.rate:.1f}/s" if progress.rate else ""
        left = "" if progress.remaining is None else clock(progress.remaining)
        facts = progress.message or "  ".join(part for part in (rate, f"{left} left" if left else "") if part)
        self._update(label, progress.done, progress.total, facts)

    def download(self, download: Download) -> None:
        """Show how far a download is, in bytes; raises Canceled once the user asked to stop."""
        if self._cancel is not None:
            self._cancel.raise_if_set()
        done, total = download.done, download.total
        self._update(download.name, done, total, f"{size(done)} of {size(total)}" if total else size(done))

    def _update(self, label: str, done: int, total: int | None, facts: str) -> None:
        if self._bars is None:
            return
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=None, facts="")
        self._bars.update(self._tasks[label], completed=done, total=total or None, facts=facts)


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any: 2:05, 1:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns: tuple[ProgressColumn, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[facts]}", markup=False),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
