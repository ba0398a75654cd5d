from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.service.calls import renumbered
from mien.service.requests import StepFields, StepResult

SIZES = st.lists(st.integers(1, 6), max_size=8)
"""How many steps of the job each step of the request has become."""


def last_of(sizes: list[int]) -> list[int]:
    return [end - 1 for end in accumulate(sizes)]


def on_result_of(number: int) -> StepFields:
    return StepFields(processors=["inverter"], target=StepResult(step=number))


def number_in_job(number: int, last: list[int]) -> int:
    found = renumbered(on_result_of(number), last).target
    assert isinstance(found, StepResult)
    return found.step


@settings(deadline=None, max_examples=40)
@given(SIZES.filter(len), st.data())
def test_the_result_of_a_step_is_that_of_the_last_one_it_became(
    sizes: list[int], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(sizes) - 1))
    assert number_in_job(number, last_of(sizes)) == sum(sizes[: number + 1]) - 1


@settings(deadline=None, max_examples=40)
@given(SIZES, st.integers(0, 30))
def test_a_step_that_does_not_come_before_still_does_not(sizes: list[int], ahead: int) -> None:
    assert number_in_job(len(sizes) + ahead, last_of(sizes)) >= sum(sizes)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 8), st.integers(0, 12))
def test_numbers_stay_where_each_step_is_one(count: int, number: int) -> None:
    assert number_in_job(number, last_of([1] * count)) == number


@pytest.mark.parametrize("target", [None, "a" * 64, "https://example.org/a.png"])
def test_other_targets_are_left_alone(target: str | None) -> None:
    wish = StepFields(target=target)
    assert renumbered(wish, [3]) is wish


def test_nothing_but_the_target_changes() -> None:
    wish = on_result_of(0)
    changed = renumbered(wish, [2])
    assert changed == wish.model_copy(update={"target": StepResult(step=2)})
    assert wish.target == StepResult(step=0)
