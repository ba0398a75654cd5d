"""Warming up: the built-in models are loaded before somebody waits for the first preview."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mien.errors import Canceled
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Step

if TYPE_CHECKING:
    from mien.models import ModelStore
    from mien.service.logs import Log
    from mien.service.looking import Looking

FACE: Final = "sample_astronaut"
"""A portrait that is among the built-in models."""
PROCESSOR: Final = "face_swapper"
"""What the studio begins with."""
LINGER: Final = 10.0
"""Seconds for which the end of the service waits for a frame under way."""


class Warming:
    """Makes one preview in the background; nothing is downloaded for it. One that fails does no harm.

    The thread keeps its ordinary priority: the threads of the networks that it opens would inherit a lower one, and
    they stay.
    """

    def __init__(self, models: Callable[[], ModelStore], looking: Callable[[], Looking], log: Log) -> None:
        self._models = models
        self._looking = looking
        self._log = log
        self._cancel = Cancel()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, once."""
        if self._thread is None and not self._cancel.is_set:
            self._thread = threading.Thread(target=self._run, name="mien-warming", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Do not go on, and wait for what cannot be stopped."""
        self._cancel.set()
        self.wait(LINGER)

    def wait(self, seconds: float) -> bool:
        """Wait until it is over; whether it is."""
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            warm(self._models(), self._looking, self._cancel)
        except Canceled:
            return
        except (
            Exception
        ) as error:  # the border of the thread: the first preview then takes longer, and says what is wrong
            self._log.debug("warming_failed", reason=str(error))


def warm(models: ModelStore, looking: Callable[[], Looking], cancel: Cancel) -> bool:
    """Do once what a preview does; False without the built-in models. Raises what a preview raises, and Canceled."""
    from mien.models.builtin import builtin
    from mien.service.looking import jpeg

    if FACE not in models.catalogue or not all(models.is_here(id) for id in builtin(models)):
        return False
    cancel.raise_if_set()
    desk = looking()
    engine, face = desk.engine(), models.path(FACE)
    cancel.raise_if_set()
    step = Step(target=face, output=Path("preview.jpg"), sources=(face,), processors=(PROCESSOR,))
    shown = engine.preview(step, cancel=cancel)
    jpeg(shown.after, desk.marks(step.processors))
    return True
