from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DiskFull, OptionError, OutputNotWritable, ProviderError
from mien.media import encoders, writer
from mien.media.reader import VideoReader
from mien.media.writer import VideoSpec, VideoWriter
from mien.types import ColorTags
from tests.media.clips import draw, frame_number
from tests.media.test_reader import VARIABLE, colour_error

SPEC = VideoSpec(320, 240, Fraction(1, 12800), Fraction(25), quality=90, preset="ultrafast")


def write(path: Path, spec: VideoSpec, times: tuple[int, ...] = tuple(n * 512 for n in range(12))) -> Path:
    with VideoWriter(path, spec) as target:
        for number, time in enumerate(times):
            target.write(draw(number, spec.width, spec.height), time)
        assert target.frames == len(times)
    return path


@pytest.mark.parametrize(
    "encoder", ["libx264", "libx264rgb", "libx265", "libvpx-vp9", "libsvtav1", "prores_ks"]
)
@pytest.mark.parametrize("time_base", [Fraction(1, 12800), Fraction(1001, 30000), Fraction(1, 90000)])
def test_times_are_exact(tmp_path: Path, encoder: str, time_base: Fraction) -> None:
    spec = replace(SPEC, encoder=encoder, time_base=time_base)
    times = tuple(n * 3 + n % 2 for n in range(1, 13)) if time_base.numerator > 1 else VARIABLE[:12]
    path = write(tmp_path / f"part{spec.part_suffix}", spec, times)
    with VideoReader(path) as reader:
        frames = list(reader)
        unit = reader.video.time_base
    assert [frame_number(frame.image) for frame in frames] == list(range(12))
    assert [frame.pts * unit for frame in frames] == [time * time_base for time in times]


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_parts(tmp_path: Path, encoder: str, frames: int) -> None:
    spec = replace(SPEC, encoder=encoder)
    path = write(tmp_path / f"part{spec.part_suffix}", spec, tuple(n * 512 for n in range(frames)))
    with VideoReader(path) as reader:
        assert [frame.pts for frame in reader] == [n * 512 for n in range(frames)]


@pytest.mark.parametrize(
    ("size", "color", "stored"),
    [
        ((320, 240), ColorTags(), (6, 2, 2)),
        ((1280, 720), ColorTags(), (1, 1, 1)),
        ((320, 240), ColorTags(1, 1, 1, False), (1, 1, 1)),
        ((1280, 720), ColorTags(9, 9, 14, False), (9, 9, 14)),
        ((320, 240), ColorTags(0, 1, 13, True), (6, 1, 13)),
    ],
)
def test_colours_are_tagged_and_right(
    tmp_path: Path, size: tuple[int, int], color: ColorTags, stored: tuple[int, int, int]
) -> None:
    spec = replace(SPEC, width=size[0], height=size[1], color=color, quality=100)
    path = write(tmp_path / "a.mp4", spec, (0, 512))
    with VideoReader(path) as reader:
        tags = reader.video.color
        image = next(iter(reader)).image
    assert (tags.matrix, tags.primaries, tags.transfer, tags.full_range) == (*stored, False)
    assert colour_error(image, 0) <= 4


@pytest.mark.parametrize(
    ("size", "pixel_format", "encoded"),
    [
        ((321, 181), None, (320, 180)), ((321, 181), "yuv444p", (321, 181)), ((321, 181), "yuv422p", (320, 181)),
        ((33, 34), None, (32, 34)),
    ],
)  # fmt: skip
def test_odd_sizes(
    tmp_path: Path, size: tuple[int, int], pixel_format: str | None, encoded: tuple[int, int]
) -> None:
    spec = replace(SPEC, width=size[0], height=size[1], pixel_format=pixel_format)
    assert spec.encoded_size == encoded
    path = write(tmp_path / "a.mp4", spec, (0, 512, 1024))
    with VideoReader(path) as reader:
        image = next(iter(reader)).image
    assert image.shape == (encoded[1], encoded[0], 3)
    whole = draw(0, *size)[: encoded[1], : encoded[0]]
    assert np.abs(image[20 : encoded[1] // 3].astype(int) - whole[20 : encoded[1] // 3]).max(initial=0) <= 8


@pytest.mark.parametrize(
    ("name", "encoder", "aspect", "size", "stored"),
    [
        ("a.mp4", "libx264", Fraction(8, 9), (320, 240), Fraction(8, 9)),
        ("a.mkv", "libx264", Fraction(8, 9), (320, 240), Fraction(8, 9)),
        ("a.mp4", "libvpx-vp9", Fraction(8, 9), (320, 240), Fraction(8, 9)),
        # The container cannot say it: the picture is stretched to square pixels.
        ("a.webm", "libvpx-vp9", Fraction(8, 9), (320, 270), Fraction(1)),
        ("a.mkv", "libsvtav1", Fraction(3, 2), (480, 240), Fraction(1)),
    ],
)
def test_sample_aspect(
    tmp_path: Path, name: str, encoder: str, aspect: Fraction, size: tuple[int, int], stored: Fraction
) -> None:
    spec = replace(SPEC, encoder=encoder, sample_aspect=aspect, container=name[2:])
    path = write(tmp_path / name, spec, (0, 512, 1024))
    with VideoReader(path) as reader:
        assert (reader.video.width, reader.video.height) == size == spec.encoded_size
        assert reader.video.sample_aspect == stored


@pytest.mark.parametrize(
    ("encoder", "name"), [("libvpx-vp9", "a.webm"), ("prores_ks", "a.mov"), ("ffv1", "a.mkv")]
)
def test_alpha(tmp_path: Path, encoder: str, name: str) -> None:
    path = tmp_path / name
    alpha = np.tile(np.linspace(0, 255, 320).astype(np.uint8), (240, 1))
    with VideoWriter(path, replace(SPEC, encoder=encoder, alpha=True, quality=95)) as target:
        target.write(draw(0), 0, alpha)
        target.write(draw(1), 512)
    with VideoReader(path) as reader:
        first, second = list(reader)
    assert first.alpha is not None
    assert second.alpha is not None
    assert np.abs(first.alpha.astype(int) - alpha).max() <= 4
    assert second.alpha.min() >= 252


def test_ten_bits_are_written_on_request(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mp4", replace(SPEC, encoder="libx265", pixel_format="yuv420p10le"), (0, 512, 1024)
    )
    with VideoReader(path) as reader:
        assert reader.video.bit_depth == 10
        assert colour_error(next(iter(reader)).image, 0) <= 6


def test_pictures_may_be_reused_and_may_be_views(tmp_path: Path) -> None:
    for encoder, suffix in (("libx264", ".mp4"), ("libx264rgb", ".mp4"), ("ffv1", ".mkv")):
        path = tmp_path / f"{encoder}{suffix}"
        board = np.zeros((240, 400, 3), np.uint8)
        with VideoWriter(path, replace(SPEC, encoder=encoder)) as target:
            for number in range(8):
                board[:, 40:360] = draw(number)
                target.write(board[:, 40:360], number * 512)
        with VideoReader(path) as reader:
            assert [frame_number(frame.image) for frame in reader] == list(range(8))


def test_tags_are_stored(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.mov"):
        path = write(
            tmp_path / name, replace(SPEC, tags={"digital_source_type": "http://x", "title": "t"}), (0, 512)
        )
        with VideoReader(path) as reader:
            tags = {key.lower(): value for key, value in reader.info.tags.items()}
        assert (tags["digital_source_type"], tags["title"]) == ("http://x", "t")


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", SPEC) as target:
        target.write(draw(0), 5)
        with pytest.raises(ValueError, match="must grow"):
            target.write(draw(0), 5)
        with pytest.raises(ValueError, match="expected 240×320"):
            target.write(draw(0, 100, 100), 6)
        target.write(draw(1), 7)
    with pytest.raises(OptionError, match="not a name for a video"):
        VideoWriter(tmp_path / "a.xyz", SPEC)
    with pytest.raises(OptionError, match="0 to 100"):
        VideoWriter(tmp_path / "b.mp4", replace(SPEC, quality=120))
    with pytest.raises(OptionError, match="libx264 does not take"):
        VideoWriter(tmp_path / "c.mp4", replace(SPEC, pixel_format="yuv410p"))
    with pytest.raises(OutputNotWritable):
        VideoWriter(tmp_path / "none" / "a.mp4", SPEC)


def test_an_encoder_that_does_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "opens", lambda name: False)
    with pytest.raises(ProviderError, match="libx264"):
        VideoWriter(tmp_path / "a.mp4", SPEC)


def test_an_error_of_the_caller_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mine"), VideoWriter(tmp_path / "a.mp4", SPEC):
        raise RuntimeError("mine")


def test_errors_of_the_disk_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    import av.error

    target = VideoWriter(tmp_path / "a.mp4", SPEC)

    def full(self: VideoWriter, packets: object) -> None:
        raise av.error.OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer.VideoWriter, "_mux", full)
    with pytest.raises(DiskFull, match="disk is full"):
        target.write(draw(0), 0)
