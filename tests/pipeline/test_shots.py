from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mien.media.reader import Decoded
from mien.pipeline.shots import Resampler, Span, shots

BASE = Fraction(1, 1000)


def frames(times: list[int]) -> Iterator[Decoded]:
    image = np.zeros((1, 1, 3), np.uint8)
    for index, pts in enumerate(times):
        yield Decoded(image, None, pts, index, float(pts * BASE))


def span(start: int, end: int, **changes: object) -> Span:
    values = {
        "first_index": 10,
        "origin": 0,
        "time_base": BASE,
        "rate": Fraction(25),
        "before": 3,
        "after": 2,
    }
    return Span(start=start, end=end, is_last=False, **{**values, **changes})  # type: ignore[arg-type]


def test_warm_up_shown_and_look_ahead() -> None:
    part = span(400, 520)
    assert part.read_from == 280
    found = list(shots(frames([*range(280, 800, 40)]), part))
    assert [shot.role for shot in found] == ["before"] * 3 + ["shown"] * 3 + ["after"] * 2
    assert [shot.index for shot in found] == [7, 8, 9, 10, 11, 12, 13, 14]
    assert [shot.stamps for shot in found if shot.role == "shown"] == [(0,), (40,), (80,)]
    assert found[3].time == 0.4


def test_reading_counts_in_time_so_irregular_frames_are_no_matter() -> None:
    found = list(shots(frames([281, 399, 400, 403, 519, 520, 900, 901]), span(400, 520)))
    assert [shot.role for shot in found] == ["before"] * 2 + ["shown"] * 3 + ["after"] * 2
    assert [shot.index for shot in found] == [7, 9, 10, 11, 12, 13, 14]


def test_a_lower_rate_drops_frames_before_anybody_works_on_them() -> None:
    resampler = Resampler(0, BASE, Fraction(10))
    found = list(shots(frames([0, 40, 80, 120, 160, 200]), span(0, 200, first_index=0), resampler))
    assert [(shot.index, shot.stamps) for shot in found if shot.role == "shown"] == [(0, (0,)), (2, (1,))]


def test_a_higher_rate_repeats_frames() -> None:
    resampler = Resampler(0, BASE, Fraction(50))
    found = list(shots(frames([0, 40, 80]), span(0, 81, first_index=0), resampler))
    assert [shot.stamps for shot in found] == [(0, 1), (2, 3), (4,)]
    last = list(shots(frames([0, 40, 80]), Span(0, 81, 0, 0, BASE, Fraction(25), 0, 0, True), resampler))
    assert [shot.stamps for shot in last] == [(0, 1), (2, 3), (4, 5)]


@given(
    st.lists(st.integers(1, 200), min_size=2, max_size=60),
    st.lists(st.integers(0, 59), max_size=4),
    st.fractions(1, 60, max_denominator=1001),
)
def test_ticks_of_all_segments_together_are_those_of_the_whole(
    steps: list[int], cuts: list[int], rate: Fraction
) -> None:
    times = np.cumsum(steps).tolist()
    resampler = Resampler(times[0], BASE, rate)
    places = sorted({0, *(cut for cut in cuts if cut < len(times))})
    ticks: list[int] = []
    for number, place in enumerate(places):
        is_last = number + 1 == len(places)
        end = times[-1] + 1 if is_last else times[places[number + 1]]
        part = Span(times[place], end, place, times[0], BASE, Fraction(25), 0, 0, is_last)
        inside = [time for time in times if part.start <= time < end]
        for shot in shots(frames(inside), part, resampler):
            ticks += shot.stamps
    duration = (times[-1] - times[0]) * BASE + Fraction(1, 25)
    assert ticks == list(range(len(ticks)))
    assert len(ticks) == -(-duration * rate // 1)
    assert all(resampler.output_time(tick) * resampler.output_base == tick / rate for tick in ticks)
