import itertools
from fractions import Fraction
from pathlib import Path

import pytest

from mien.errors import CorruptMedia, OptionError
from mien.media.reader import VideoReader
from mien.media.segments import Segment, plan
from tests.media.clips import frame_number, make_clip
from tests.media.test_reader import VARIABLE


def check_complete(segments: tuple[Segment, ...], first: int, last: int) -> None:
    """Segments follow each other without a gap, from frame ``first`` up to but without ``last``."""
    assert segments[0].first_index == first
    for a, b in itertools.pairwise(segments):
        assert a.end_pts == b.start_pts
        assert a.first_index + a.frame_count == b.first_index
    assert segments[-1].first_index + segments[-1].frame_count == last


def test_cuts_are_at_key_frames(tmp_path: Path) -> None:
    segments = plan(make_clip(tmp_path / "a.mp4", frames=100, gop=12), seconds=1.0)
    check_complete(segments, 0, 100)
    assert [segment.first_index for segment in segments] == [0, 24, 48, 72]
    assert all(segment.start_pts == segment.first_index * 512 for segment in segments)


@pytest.mark.parametrize("gop", [1000, 40])
def test_few_key_frames(tmp_path: Path, gop: int) -> None:
    segments = plan(make_clip(tmp_path / "a.mp4", frames=100, gop=gop), seconds=1.0)
    check_complete(segments, 0, 100)
    expected = [0, 25, 50] if gop == 1000 else [0, 40, 80]
    assert [segment.first_index for segment in segments][:2] == expected[:2]
    assert max(segment.frame_count for segment in segments) <= 50


def test_a_short_rest_is_not_a_segment_of_its_own(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=30)
    assert len(plan(clip, seconds=1.0)) == 1
    assert len(plan(clip, seconds=10.0)) == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.avi", "a.mov"])
def test_segments_hold_every_frame_once(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, frames=60)
    segments = plan(clip, seconds=0.5)
    assert len(segments) > 2
    check_complete(segments, 0, 60)
    numbers = []
    for segment in segments:
        with VideoReader(clip, start_pts=segment.start_pts, end_pts=segment.end_pts, threads=1) as reader:
            found = [frame_number(frame.image) for frame in reader]
        assert len(found) == segment.frame_count
        numbers += found
    assert numbers == list(range(60))


def test_variable_rate_and_open_groups(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", times=VARIABLE, options={"bf": "3"})
    check_complete(plan(clip, seconds=0.7), 0, len(VARIABLE))
    options = {"x265-params": "log-level=none:open-gop=1:keyint=10"}
    check_complete(
        plan(make_clip(tmp_path / "b.mp4", encoder="libx265", options=options), seconds=0.4), 0, 48
    )


@pytest.mark.parametrize(("start", "end"), [(None, 20), (13, None), (13, 37), (0, 48), (47, 48), (-5, 900)])
def test_trimming_is_exact_to_the_frame(tmp_path: Path, start: int | None, end: int | None) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    first, last = max(start or 0, 0), min(48 if end is None else end, 48)
    segments = plan(clip, start=start, end=end, seconds=0.5)
    check_complete(segments, first, last)
    with VideoReader(clip, start_pts=segments[0].start_pts, end_pts=segments[-1].end_pts) as reader:
        assert [frame_number(frame.image) for frame in reader] == list(range(first, last))


def test_an_empty_range_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    for start, end in ((10, 10), (20, 10), (48, None), (None, 0)):
        with pytest.raises(OptionError, match="is empty"):
            plan(clip, start=start, end=end)


def test_times_that_do_not_begin_at_zero(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "a.ts", time_base=Fraction(1, 90000), times=[126_000 + n * 3600 for n in range(48)]
    )
    segments = plan(clip, seconds=0.5)
    assert segments[0].start_pts > 0
    check_complete(segments, 0, 48)


def test_a_torn_file(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "a.mkv").read_bytes()
    torn = tmp_path / "torn.mkv"
    torn.write_bytes(data[: len(data) // 2])
    assert 10 < plan(torn)[0].frame_count < 48
    torn.write_bytes(data[:700])
    with pytest.raises(CorruptMedia):
        plan(torn)
