import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.errors import CorruptMedia, MediaTooLarge, UnsupportedMedia
from mien.media.reader import VideoReader
from mien.types import ColorTags
from tests.media.clips import draw, frame_number, make_clip, make_sound

VARIABLE = tuple(itertools.accumulate([1280] + [1280, 427, 427, 2560, 512] * 9))
"""Times with pauses between 33 and 200 ms, first at 0.1 s, in 1/12800 s."""


def read(path: Path, **options: object) -> list[tuple[int, int]]:
    with VideoReader(path, threads=1, **options) as reader:  # type: ignore[arg-type]
        return [(frame.pts, frame_number(frame.image)) for frame in reader]


def colour_error(image: np.ndarray, number: int) -> int:
    """Largest difference to what was drawn, away from the hard edges of the number and the moving block."""
    height, width = image.shape[:2]
    error = np.abs(image.astype(int) - draw(number, width, height))
    error[:20, :170] = 0
    error[height // 2 - 4 : height // 2 + 44] = 0
    return int(error.max())


def test_frames_are_exact_and_belong_to_the_caller(tmp_path: Path) -> None:
    with VideoReader(make_clip(tmp_path / "a.mp4")) as reader:
        frames = list(reader)
    assert [frame_number(frame.image) for frame in frames] == list(range(48))
    assert [frame.pts for frame in frames] == [n * 512 for n in range(48)]
    assert [frame.index for frame in frames] == list(range(48))
    assert frames[5].time == pytest.approx(0.2)
    first = frames[0].image
    assert (first.shape, first.dtype, first.flags.c_contiguous, first.flags.writeable) == (
        (240, 320, 3), np.uint8, True, True,
    )  # fmt: skip
    first[:] = 0
    assert frame_number(frames[1].image) == 1
    assert reader.warnings == []


@pytest.mark.parametrize("size", [(320, 240), (322, 242), (426, 240)])
def test_padded_rows_are_hidden(tmp_path: Path, size: tuple[int, int]) -> None:
    with VideoReader(make_clip(tmp_path / "a.mp4", frames=3, size=size)) as reader:
        image = next(iter(reader)).image
    assert image.shape == (size[1], size[0], 3)
    assert image.flags.c_contiguous
    assert colour_error(image, 0) <= 8


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_variable_frame_rate_is_kept(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / name, times=VARIABLE, options={"bf": "3"})
    with VideoReader(path) as reader:
        got = [(frame.pts, frame_number(frame.image)) for frame in reader]
        unit = reader.video.time_base
    # Matroska counts in milliseconds: the container itself rounds.
    expected = [round(time * Fraction(1, 12800) / unit) for time in VARIABLE]
    assert got == list(zip(expected, range(len(VARIABLE)), strict=True))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}), ("a.mp4", {"options": {"bf": "3"}}), ("a.mov", {"times": VARIABLE}), ("a.mkv", {}),
        ("a.webm", {}), ("a.ts", {}), ("a.ts", {"gop": 250}), ("a.avi", {}), ("a.avi", {"encoder": "libx264"}),
        ("a.mpg", {"encoder": "mpeg2video"}), ("a.flv", {"encoder": "flv"}),
        ("a.mp4", {"encoder": "libx265", "options": {"x265-params": "log-level=none:open-gop=1:keyint=10"}}),
    ],
)  # fmt: skip
def test_any_range_is_exact(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    path = make_clip(tmp_path / name, **options)  # type: ignore[arg-type]
    whole = read(path)
    assert [number for _, number in whole] == list(range(len(whole)))
    assert all(b[0] > a[0] for a, b in itertools.pairwise(whole))
    for start, end in ((0, 5), (1, 2), (12, 24), (13, 25), (23, 24), (40, len(whole) - 1)):
        assert read(path, start_pts=whole[start][0], end_pts=whole[end][0]) == whole[start:end]
    # Between two frames: the first one that is not earlier.
    between = (whole[20][0] + whole[21][0] + 1) // 2
    assert read(path, start_pts=between) == [frame for frame in whole if frame[0] >= between]
    assert read(path, start_pts=whole[-1][0] + 1) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, name: str, rotation: int) -> None:
    path = make_clip(tmp_path / name, frames=14, size=(320, 180), rotation=rotation)
    with VideoReader(path, start_pts=0) as reader:
        images = [frame.image for frame in reader]
    assert {image.shape for image in images} == {(180, 320, 3)}
    assert [frame_number(image) for image in images] == list(range(14))
    assert images[0].flags.c_contiguous


@pytest.mark.parametrize("size", [(321, 181), (321, 180), (320, 181), (17, 33)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=3, size=size, pixel_format="yuv444p")
    with VideoReader(path) as reader:
        images = [frame.image for frame in reader]
    assert [image.shape for image in images] == [(size[1], size[0], 3)] * 3


@pytest.mark.parametrize(
    ("size", "matrix", "tags", "expected"),
    [
        ((1280, 720), 1, {}, ColorTags(1, 1, 1, False)),
        ((320, 240), 5, {}, ColorTags(6, 2, 2, False)),
        ((320, 240), 1, {"colorspace": 1, "color_primaries": 1, "color_trc": 1}, ColorTags(1, 1, 1, False)),
        ((1280, 720), 5, {"colorspace": 6}, ColorTags(6, 2, 2, False)),
        ((320, 240), 9, {"colorspace": 9, "color_primaries": 9, "color_trc": 14}, ColorTags(9, 9, 14, False)),
    ],
)
def test_colours(
    tmp_path: Path, size: tuple[int, int], matrix: int, tags: dict[str, int], expected: ColorTags
) -> None:
    path = make_clip(
        tmp_path / "a.mp4",
        frames=2,
        size=size,
        matrix=matrix,
        tags=tags,
        options={"crf": "0"},
    )
    with VideoReader(path) as reader:
        assert colour_error(next(iter(reader)).image, 0) <= 4
        assert reader.color == expected


def test_full_range(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=2, pixel_format="yuvj420p", tags={"color_range": 2})
    with VideoReader(path) as reader:
        assert colour_error(next(iter(reader)).image, 0) <= 8


@pytest.mark.parametrize(
    ("name", "encoder", "pixel_format"),
    [
        ("a.mp4", "libx265", "yuv420p10le"),
        ("a.mkv", "libx264", "yuv422p10le"),
        ("a.mov", "prores_ks", "yuv422p10le"),
    ],
)
def test_ten_bits(tmp_path: Path, name: str, encoder: str, pixel_format: str) -> None:
    path = make_clip(tmp_path / name, frames=5, encoder=encoder, pixel_format=pixel_format)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [frame_number(frame.image) for frame in frames] == list(range(5))
    assert colour_error(frames[0].image, 0) <= 6


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_tone_mapped_or_refused(tmp_path: Path, transfer: int) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": transfer, "color_range": 1}
    path = make_clip(
        tmp_path / "a.mp4", frames=6, encoder="libx265", pixel_format="yuv420p10le", matrix=9, tags=tags
    )
    with VideoReader(path) as reader:
        frames = list(reader)
        assert reader.color == ColorTags(1, 1, 1, False)
    assert [(frame.pts, frame_number(frame.image)) for frame in frames] == [(n * 512, n) for n in range(6)]
    picture = frames[0].image[60:100]
    assert 40 < picture.mean() < 215
    # Brighter stays brighter: green falls from left to right in what was drawn.
    green = picture[..., 1].mean(0)
    assert green[10] > green[160] > green[310]
    assert any("tone-mapped" in warning for warning in reader.warnings)
    with pytest.raises(UnsupportedMedia, match="HDR"):
        VideoReader(path, hdr="refuse")


@pytest.mark.parametrize(
    ("name", "encoder", "pixel_format"),
    [("a.webm", None, "yuva420p"), ("a.mov", "prores_ks", "yuva444p10le"), ("a.mkv", "ffv1", "bgra")],
)
def test_alpha(tmp_path: Path, name: str, encoder: str | None, pixel_format: str) -> None:
    path = make_clip(tmp_path / name, frames=4, encoder=encoder, pixel_format=pixel_format, alpha=True)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [frame_number(frame.image) for frame in frames] == list(range(4))
    for frame in frames:
        assert frame.alpha is not None
        assert frame.alpha.shape == (240, 320)
        assert np.abs(frame.alpha[100].astype(int) - np.linspace(0, 255, 320).astype(np.uint8)).max() <= 3


def test_interlaced_sources_keep_every_frame(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=20, interlaced=True)
    with VideoReader(path) as reader:
        got = [(frame.pts, frame_number(frame.image)) for frame in reader]
        assert got == [(n * 512, n) for n in range(20)]
        assert any("deinterlaced" in warning for warning in reader.warnings)
    assert read(path, start_pts=5 * 512, end_pts=9 * 512) == got[5:9]
    with VideoReader(path, deinterlace=False) as reader:
        assert len(list(reader)) == 20
        assert reader.warnings == []


def test_animated_gif(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "a.gif", frames=6, encoder="gif", pixel_format="bgr8", time_base=Fraction(1, 100)
    )
    assert read(path) == [(n * 4, n) for n in range(6)]


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi", "a.webm"])
def test_a_torn_end_keeps_the_frames_before_it(tmp_path: Path, name: str) -> None:
    data = make_clip(tmp_path / name).read_bytes()
    torn = tmp_path / f"torn{Path(name).suffix}"
    torn.write_bytes(data[: len(data) * 6 // 10])
    with VideoReader(torn) as reader:
        numbers = [frame_number(frame.image) for frame in reader]
    assert len(numbers) > 10
    assert numbers[:10] == list(range(10))
    assert all(b > a for a, b in itertools.pairwise(numbers))


def test_flipped_bytes_are_survived_and_said(tmp_path: Path) -> None:
    data = bytearray(make_clip(tmp_path / "a.mp4", options={"preset": "veryfast"}).read_bytes())
    begin = data.index(b"mdat")
    for at in range(begin + 9_000, len(data) - 2_000, 1500):
        data[at : at + 40] = bytes(40)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(bytes(data))
    with VideoReader(broken) as reader:
        times = [frame.pts for frame in reader]
    assert len(times) > 10
    assert all(b > a for a, b in itertools.pairwise(times))
    assert any("damaged" in warning for warning in reader.warnings)


def test_what_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="no video"):
        VideoReader(make_sound(tmp_path / "a.wav"))
    clip = make_clip(tmp_path / "a.mp4", frames=2)
    with pytest.raises(MediaTooLarge):
        VideoReader(clip, max_pixels=100)
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(clip.read_bytes()[:1500])
    with pytest.raises(CorruptMedia):
        VideoReader(torn)


def test_a_reader_can_be_read_twice_and_left_early(tmp_path: Path) -> None:
    with VideoReader(make_clip(tmp_path / "a.mp4")) as reader:
        assert [frame_number(f.image) for f in itertools.islice(reader, 3)] == [0, 1, 2]
        assert sum(1 for _ in reader) == 48
