"""Where steps of a request become several steps of a job: what does that, and what it does to their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mien.jobs.job import JobStep
from mien.service.problems import Problems
from mien.service.requests import StepFields, StepResult, WorkflowCall

if TYPE_CHECKING:
    from mien.service.checking import Look, Place


class Calls(Protocol):
    """Turns a step that names a workflow into steps."""

    def called(
        self,
        wish: StepFields,
        call: WorkflowCall,
        at: Place,
        before: Sequence[JobStep],
        consent: str | None,
        look: Look,
        problems: Problems,
    ) -> tuple[JobStep, ...]:
        """The steps of a call behind those ``before``; what is wrong is noted, and then there may be none."""


def renumbered(wish: StepFields, last: Sequence[int]) -> StepFields:
    """The step with the number that its target has in the job.

    ``last`` is the last step of the job for each of the request that came before.
    """
    if not isinstance(wish.target, StepResult):
        return wish
    number = wish.target.step
    known = number < len(last)
    # One that does not come before stays so, whatever its number.
    found = last[number] if known else max(number, last[-1] + 1 if last else 0)
    return wish.model_copy(update={"target": StepResult(step=max(found, 0))})
