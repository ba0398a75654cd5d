from __future__ import annotations

import io
import sys

import pytest

from mien.cli.progress import ProgressBars, clock
from mien.cli.terminal import Terminal, size
from mien.errors import Canceled
from mien.models import Download
from mien.pipeline.progress import Cancel, Progress


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def _put_up(monkeypatch: pytest.MonkeyPatch) -> _Screen:
    """Make stderr a terminal; to be called in the test itself, as pytest puts its own stderr back before it."""
    screen = _Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def _report(terminal: Terminal) -> None:
    with ProgressBars(terminal) as bars:
        bars.download(Download("face_mesh.tflite", 500_000, 1_240_000))
        bars.download(Download("unknown", 700, None))
        bars.work(Progress("process", 30, 120, 12.5, 7.2))
        bars.work(Progress("join", 1, 2, message="waiting for another run"))
        bars.note("the model [mesh] was chosen")


def test_bars_show_bytes_rate_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _put_up(monkeypatch)
    _report(Terminal())
    text = screen.getvalue()
    assert "500.0 kB of 1.2 MB" in text
    assert "700 B" in text
    assert "12.5/s  0:07 left" in text
    assert "25%" in text
    assert "waiting for another run" in text
    assert "mien: the model [mesh] was chosen" in text


@pytest.mark.parametrize("mode", ["quiet", "json"])
def test_no_bar_in_quiet_and_json_mode(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    screen = _put_up(monkeypatch)
    terminal = Terminal()
    terminal.switch(**{mode: True})
    _report(terminal)
    assert screen.getvalue() == ("" if mode == "quiet" else "mien: the model [mesh] was chosen\n")


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _report(Terminal())
    assert capsys.readouterr().err == "mien: the model [mesh] was chosen\n"


def test_a_download_ends_when_the_user_asks_to_stop() -> None:
    cancel = Cancel()
    with ProgressBars(Terminal(quiet=True)) as bars:
        bars.watch(cancel)
        bars.download(Download("face_mesh.tflite", 1, 2))
        cancel.set()
        with pytest.raises(Canceled):
            bars.download(Download("face_mesh.tflite", 2, 2))


def test_times_and_sizes_in_words() -> None:
    assert [clock(seconds) for seconds in (0, 7.6, 125, 3600, 36_001)] == [
        "0:00",
        "0:08",
        "2:05",
        "1:00:00",
        "10:00:01",
    ]
    assert [size(count) for count in (0, 999, 1000, 12_345_678, 2.5e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "12.3 MB",
        "2500.0 GB",
    ]
