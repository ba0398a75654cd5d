"""A clock that tests set."""

from __future__ import annotations


class Clock:
    def __init__(self, moment: float = 1_800_000_000.0) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment

    def pass_time(self, seconds: float) -> None:
        self.moment += seconds
