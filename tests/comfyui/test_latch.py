from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mien.comfyui.latch import Latch


class LatchMachine(RuleBasedStateMachine):
    """The latch against a plain retelling of its rules."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.latch = Latch(3, 30.0, lambda: self.now)
        self.failures = 0
        self.opened_at: float | None = None
        self.trying = False

    @rule(seconds=st.sampled_from([0.0, 1.0, 29.0, 30.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(at_once=st.booleans())
    def fail(self, at_once: bool) -> None:
        self.latch.fail("It is broken.", at_once=at_once)
        self.failures += 1
        if at_once or self.opened_at is not None or self.failures >= 3:
            self.opened_at, self.trying = self.now, False

    @rule()
    def succeed(self) -> None:
        self.latch.succeed()
        self.failures, self.opened_at, self.trying = 0, None, False

    @precondition(lambda self: self.latch.allows())
    @rule()
    def begin(self) -> None:
        self.latch.begin()
        self.trying = self.opened_at is not None

    @rule()
    def abandon(self) -> None:
        self.latch.abandon()
        self.trying = False

    @invariant()
    def lets_through_what_it_should(self) -> None:
        if self.opened_at is None:
            assert self.latch.allows()
            assert self.latch.reason is None
        else:
            assert self.latch.allows() == (not self.trying and self.now - self.opened_at >= 30)
            assert self.latch.reason == "It is broken."


LatchMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestLatch = LatchMachine.TestCase
