"""The content policy and a live picture."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from mien.errors import UnsafeInput
from mien.pipeline.policy import Policy, Verdict
from mien.types import Frame

LOOK_EVERY = 1.0
"""Seconds from one frame that the content policy looks at to the next."""
LOOKS = 10
"""Looks of the content policy that are judged together."""


class Watch:
    """Lets the content policy look at one frame a second, in a thread of its own, so that no frame waits for it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._pool = ThreadPoolExecutor(1, "content") if policy.looks else None
        self._pending: Future[bool] | None = None
        self._looks: deque[bool] = deque(maxlen=LOOKS)
        self._last: float | None = None
        self._refusal: UnsafeInput | None = None
        self.verdict: Verdict = "unchecked"
        """What the last looks say together."""

    def look(self, image: Frame, seconds: float) -> None:
        """Take a frame to look at, if it is time. Raises UnsafeInput when what was seen so far is refused."""
        if self._pool is None:
            return
        if self._pending is not None and self._pending.done():
            self._looks.append(self._pending.result())
            self._pending = None
            self._judge()
        if self._refusal is not None:
            raise self._refusal
        if self._pending is None and (self._last is None or seconds - self._last >= LOOK_EVERY):
            self._last = seconds
            self._pending = self._pool.submit(self._policy.flags, image.copy())

    def _judge(self) -> None:
        try:
            self.verdict = self._policy.verdict(sum(self._looks), len(self._looks), "The live picture")
        except UnsafeInput as refusal:
            self._refusal = refusal

    def close(self) -> None:
        """Wait for the look that has begun, and look no more."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
