import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.service.together import Together


class Doubler:
    """Doubles numbers, refuses negative ones, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.asked.append(list(items))
        self.begun.set()
        assert self.go_on.wait(30)
        if any(item < 0 for item in items):
            raise ValueError(f"{items} is not allowed")
        return [2 * item for item in items]


def test_one_alone_is_done_at_once() -> None:
    work = Doubler()
    together = Together(work)
    assert [together.do(number) for number in (1, 2)] == [2, 4]
    assert work.asked == [[1], [2]]


def test_what_comes_meanwhile_is_done_in_one_go_and_no_larger_one() -> None:
    work = Doubler()
    work.go_on.clear()
    together = Together(work, most=3)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(together.do, 0)
        assert work.begun.wait(30)
        others = [pool.submit(together.do, number) for number in (1, 2, 3, 4)]
        while len(together._waiting) < 4:
            time.sleep(0.001)
        work.go_on.set()
        assert first.result(30) == 0
        assert [other.result(30) for other in others] == [2, 4, 6, 8]
    assert [len(items) for items in work.asked] == [1, 3, 1]


def test_nobody_suffers_for_the_item_of_another() -> None:
    work = Doubler()
    work.go_on.clear()
    together = Together(work)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together.do, 0)
        assert work.begun.wait(30)
        good, bad = pool.submit(together.do, 5), pool.submit(together.do, -1)
        while len(together._waiting) < 2:
            time.sleep(0.001)
        work.go_on.set()
        assert (first.result(30), good.result(30)) == (0, 10)
        with pytest.raises(ValueError, match=r"\[-1\]"):
            bad.result(30)
    assert together.do(7) == 14


def test_what_concerns_all_is_not_tried_again_for_each() -> None:
    work = Doubler()
    work.go_on.clear()
    together = Together(work, common=(ValueError,))
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together.do, 0)
        assert work.begun.wait(30)
        others = [pool.submit(together.do, number) for number in (-1, 5, 6)]
        while len(together._waiting) < 3:
            time.sleep(0.001)
        work.go_on.set()
        assert first.result(30) == 0
        assert all(isinstance(other.exception(30), ValueError) for other in others)
    assert [len(items) for items in work.asked] == [1, 3]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-5, 50), max_size=60), st.integers(1, 8))
def test_everybody_gets_what_belongs_to_them(numbers: list[int], most: int) -> None:
    work = Doubler()
    together = Together(work, most)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(together.do, number) for number in numbers]
        for number, answer in zip(numbers, asked, strict=True):
            if number < 0:
                assert isinstance(answer.exception(30), ValueError)
            else:
                assert answer.result(30) == 2 * number
    assert all(len(items) <= most for items in work.asked)
