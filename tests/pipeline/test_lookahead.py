from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.faces.analyser import Observed
from mien.pipeline.lookahead import LookAhead


def run(count: int, size: int) -> list[tuple[int, list[int], int]]:
    """(frame, indices of the window that the fill saw, place in it) for frames 0 to count - 1."""
    calls: list[tuple[list[int], int]] = []

    def fill(seen: Sequence[Observed], middle: int) -> Observed:
        calls.append(([observed.index for observed in seen], middle))
        return seen[middle]

    window: LookAhead[int, Observed, Observed] = LookAhead(size, fill)
    out: list[tuple[int, Observed]] = []
    for number in range(count):
        out += window.push(number, Observed((), index=number))
        assert number + 1 - len(out) <= size
    out += window.finish()
    assert [number for number, _ in out] == [observed.index for _, observed in out]
    if size == 0:
        return [(number, [number], 0) for number, _ in out]
    return [(number, *call) for (number, _), call in zip(out, calls, strict=True)]


@given(st.integers(0, 40), st.integers(0, 12))
def test_each_frame_is_seen_with_its_neighbours(count: int, size: int) -> None:
    result = run(count, size)
    assert [number for number, _, _ in result] == list(range(count))
    if size == 0:
        return
    for number, window, place in result:
        assert window == list(range(max(number - size, 0), min(number + size + 1, count)))
        assert window[place] == number


@pytest.mark.parametrize("size", [0, 3])
def test_frames_are_held_back_only_as_long_as_needed(size: int) -> None:
    window: LookAhead[str, Observed, Observed] = LookAhead(size, lambda seen, middle: seen[middle])
    for number in range(size):
        assert list(window.push(f"frame {number}", Observed((), index=number))) == []
    [(frame, _)] = window.push(f"frame {size}", Observed((), index=size))
    assert frame == "frame 0"
