"""Following one prompt to its end: the socket tells when to look, the instance's queue and history tell what is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mien.comfyui.api import Api, Sight
from mien.comfyui.listener import Listener
from mien.comfyui.settings import ComfySettings
from mien.comfyui.tally import ComfyProgress, Tally
from mien.errors import Canceled, ComfyError, ComfyLost, ComfyUnreachable, MienError, TimedOut
from mien.pipeline.progress import Cancel

_SLICE = 0.2
"""Longest sleep, in seconds: a cancel is seen after it."""
_REPORT_SECONDS = 0.1

OnProgress = Callable[[ComfyProgress], None]
GiveUp = Callable[[], str | None]
Leaving = Callable[[], bool]


class Unheeded(Canceled):
    """The run was stopped on request, and the instance goes on with it."""


class Left(Canceled):
    """Nobody follows the run any more; it goes on, and whoever resumes it finds it."""


class GivenUp(ComfyLost):
    """The instance is not going to begin the run, which was taken back."""


class Stuck(TimedOut):
    """A run took too long and could not be stopped."""


@dataclass(frozen=True)
class Watch:
    """How the caller takes part in a run."""

    on_progress: OnProgress | None = None
    cancel: Cancel | None = None
    give_up: GiveUp | None = None
    """Asked while the prompt waits; the reason to take it back and try elsewhere, or None."""
    leaving: Leaving | None = None
    """Asked once ``cancel`` is set: whether the run is not to be stopped, since another process goes on with it."""

    @property
    def is_stopped(self) -> bool:
        """Whether the run is to be stopped. Raises Left when it is to go on without anybody who follows it."""
        if self.cancel is None or not self.cancel.is_set:
            return False
        if self.leaving is not None and self.leaving():
            raise Left("The run goes on, and is followed by another process.")
        return True

    def check(self) -> None:
        """Raise Canceled or Left when the run is to be followed no longer."""
        if self.is_stopped and self.cancel is not None:
            self.cancel.raise_if_set()


class Follower:
    """Follows one prompt; belongs to the thread that calls it."""

    def __init__(
        self,
        api: Api,
        prompt_id: str,
        tally: Tally,
        listener: Listener,
        settings: ComfySettings,
        watch: Watch,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._prompt_id, self._tally, self._listener = api, prompt_id, tally, listener
        self._settings, self._watch, self._clock = settings, watch, clock
        now = clock()
        self._began = now
        self._running_since: float | None = None
        self._look_at = now
        self._looks_after_end = 0
        self._absent: list[float] = []
        self._silent_since: float | None = None
        self._reason: MienError | None = None
        self._stop_since = self._stop_again = now
        self._reported_at = float("-inf")
        self._reported: ComfyProgress | None = None

    def wait(self, stop_with: MienError | None = None) -> Mapping[str, Any]:
        """The history entry of the prompt, however it ended; it is stopped first if ``stop_with`` is given.

        Raises Canceled, TimedOut or ``stop_with`` once the prompt is stopped, Unheeded or Stuck if it cannot be,
        ComfyLost if the instance does not know it any more, ComfyUnreachable if it stays silent.
        """
        if stop_with is not None:
            self._begin_stop(stop_with)
        while True:
            self._report()
            self._decide()
            if self._reason is not None:
                self._stop()
            now = self._clock()
            if now >= self._look_at or (self._tally.ended and not self._looks_after_end):
                entry = self._look(now)
                if entry is not None:
                    self._report(last=True)
                    return entry
            self._tally.wait(max(0.001, min(self._look_at - self._clock(), _SLICE)))

    def _report(self, *, last: bool = False) -> None:
        now = self._clock()
        if self._watch.on_progress is None or (not last and now - self._reported_at < _REPORT_SECONDS):
            return
        progress = self._tally.progress()
        if progress != self._reported:
            self._reported, self._reported_at = progress, now
            self._watch.on_progress(progress)

    def _decide(self) -> None:
        """Begin to stop where the caller or a limit asks for it."""
        if self._watch.is_stopped:
            if not isinstance(self._reason, Canceled):
                self._begin_stop(Canceled("The run was stopped on request."))
            return
        if self._reason is not None or self._tally.ended:
            return
        settings, now = self._settings, self._clock()
        if self._tally.started and self._running_since is None:
            self._running_since = now
        if self._running_since is None:
            reason = self._watch.give_up() if self._watch.give_up else None
            if reason is not None:
                self._begin_stop(GivenUp(reason))
            elif now - self._began > settings.start_seconds:
                self._begin_stop(self._timed_out(f"did not start it within {settings.start_seconds:.0f} s"))
        elif now - self._running_since > settings.run_seconds:
            self._begin_stop(self._timed_out(f"did not end it within {settings.run_seconds:.0f} s"))
        elif self._listener.unbroken and now - self._tally.changed_at > settings.idle_seconds:
            self._begin_stop(self._timed_out(f"made no progress for {settings.idle_seconds:.0f} s"))

    def _timed_out(self, what: str) -> TimedOut:
        return TimedOut(f"The ComfyUI instance {self._api.shown} {what}; the run was stopped.")

    def _begin_stop(self, reason: MienError) -> None:
        self._reason = reason
        self._stop_since = self._stop_again = self._clock()

    def _stop(self) -> None:
        """Ask the instance to stop, again and again: an interrupt that comes at the wrong moment is lost."""
        now = self._clock()
        if now - self._stop_since > self._settings.cancel_seconds:
            raise self._unheeded()
        if now >= self._stop_again:
            with suppress(ComfyError):
                self._api.stop(self._prompt_id)
            self._stop_again = now + self._settings.cancel_repeat_seconds
            self._look_at = min(self._look_at, now + self._settings.cancel_repeat_seconds / 4)

    def _unheeded(self) -> MienError:
        if isinstance(self._reason, Canceled):
            return Unheeded(
                f"The run was stopped on request, but the ComfyUI instance {self._api.shown} goes on with it."
            )
        if isinstance(self._reason, TimedOut):
            return Stuck(
                f"{str(self._reason).removesuffix('; the run was stopped.')}, and does not let it be stopped."
            )
        assert self._reason is not None
        return self._reason

    def _look(self, now: float) -> Mapping[str, Any] | None:
        try:
            sight = self._api.look(self._prompt_id)
        except ComfyError as error:
            self._silent(error, now)
            return None
        self._silent_since = None
        self._look_at = self._clock() + self._interval(sight)
        if sight.place == "ended":
            return self._ended(sight)
        if sight.place == "running" and self._running_since is None:
            self._running_since = now
        if sight.place == "absent":
            self._gone(now)
        else:
            self._absent = []
        return None

    def _interval(self, sight: Sight) -> float:
        if self._tally.ended:
            self._looks_after_end += 1
            return min(0.05 * 2.0**self._looks_after_end, self._settings.poll_fast_seconds)
        if sight.place == "absent":
            return min(self._settings.lost_seconds / 2, self._settings.poll_fast_seconds)
        if self._reason is not None:
            return self._settings.cancel_repeat_seconds / 2
        # After a loss the socket may be open and yet get nothing, so it is no longer relied upon.
        spoken = self._listener.is_open and self._listener.unbroken
        return self._settings.poll_seconds if spoken else self._settings.poll_fast_seconds

    def _ended(self, sight: Sight) -> Mapping[str, Any]:
        assert sight.entry is not None
        if isinstance(self._reason, TimedOut) and sight.entry["status"]["status_str"] == "success":
            return sight.entry  # it was late, and it is there
        if self._reason is not None:
            raise self._reason
        return sight.entry

    def _gone(self, now: float) -> None:
        """Neither queued nor in history: two looks in a row decide, since an entry may be late."""
        self._absent.append(now)
        if len(self._absent) < 2 or now - self._absent[0] < self._settings.lost_seconds:
            return
        if self._reason is not None:
            raise self._reason
        raise ComfyLost(
            f"The ComfyUI instance {self._api.shown} does not know the run any more; it was restarted, or somebody"
            " removed it from its queue or history."
        )

    def _silent(self, error: ComfyError, now: float) -> None:
        self._look_at = now + self._settings.poll_fast_seconds
        if self._silent_since is None:
            self._silent_since = now
        if isinstance(self._reason, Canceled):
            raise self._unheeded()
        if now - self._silent_since >= self._settings.reconnect_seconds:
            # Not the error itself: what says that nothing was sent would be wrong here.
            raise ComfyUnreachable(str(error))
