import errno
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mien.errors import DiskFull, OptionError, OutputError
from mien.media import atomic, encoders
from mien.media.container import fraction
from mien.media.reader import VideoReader
from mien.media.segments import AudioPlan, Segment, join, plan
from mien.media.writer import VideoSpec, VideoWriter
from tests.media.clips import frame_number, make_clip
from tests.media.test_reader import VARIABLE

SOURCES = {
    "cfr.mp4": {"audio": "auto"},
    "vfr.mp4": {"times": VARIABLE, "audio": "auto", "options": {"bf": "3"}},
    "ntsc.mp4": {"rate": Fraction(30000, 1001), "time_base": Fraction(1001, 30000), "audio": "auto"},
    "rotated.mov": {"rotation": 90, "audio": "auto"},
    "odd.mp4": {"size": (321, 181), "pixel_format": "yuv444p"},
    "ten.mkv": {"pixel_format": "yuv420p10le", "encoder": "libx265", "audio": "flac"},
    "opus.webm": {"audio": "auto"},
    "stream.ts": {"audio": "auto", "time_base": Fraction(1, 90000)},
    "mp3.avi": {"audio": "auto"},
    "pcm.mov": {"audio": "pcm_s16le"},
}


def encode_parts(
    source: Path, folder: Path, segments: Sequence[Segment], container: str, **changes: object
) -> list[Path]:
    """What the pipeline does, without changing the pictures."""
    parts = []
    for number, segment in enumerate(segments):
        with VideoReader(source, start_pts=segment.start_pts, end_pts=segment.end_pts, threads=1) as reader:
            video = reader.video
            spec = VideoSpec(
                video.width, video.height, video.time_base, video.rate, encoders.choose(container).name, 90,
                "ultrafast", color=reader.color, sample_aspect=video.sample_aspect, container=container, threads=1,
            )  # fmt: skip
            spec = replace(spec, **changes)  # type: ignore[arg-type]
            parts.append(folder / f"part{number}{spec.part_suffix}")
            with VideoWriter(parts[-1], spec) as writer:
                for frame in reader:
                    writer.write(
                        frame.image, frame.pts - segment.start_pts, frame.alpha if spec.alpha else None
                    )
    return parts


def frames_of(path: Path) -> list[tuple[Fraction, int]]:
    with VideoReader(path, threads=1) as reader:
        return [(frame.pts * reader.video.time_base, frame_number(frame.image)) for frame in reader]


def packets_of(path: Path) -> list[tuple[Fraction, bytes]]:
    """(time in seconds, content) of the packets of the first sound stream."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        unit = fraction(stream.time_base)
        return [(packet.pts * unit, bytes(packet)) for packet in container.demux(stream) if packet.size]


def origin_of(path: Path, start: int | None) -> Fraction:
    """The moment of the source that becomes 0."""
    frames = frames_of(path)
    if start:
        return frames[start][0]
    if path.suffix == ".ts":
        return min(frames[0][0], packets_of(path)[0][0])
    return Fraction(0)


@pytest.mark.parametrize("name", sorted(SOURCES))
@pytest.mark.parametrize(("start", "end"), [(None, None), (13, 37)])
def test_pictures_keep_their_number_order_and_times(
    tmp_path: Path, name: str, start: int | None, end: int | None
) -> None:
    source = make_clip(tmp_path / name, **SOURCES[name])  # type: ignore[arg-type]
    segments = plan(source, start=start, end=end, seconds=0.5)
    assert len(segments) > 1
    output = tmp_path / "out.mp4"
    join(encode_parts(source, tmp_path, segments, "mp4"), segments, output, source=source)
    origin = origin_of(source, start)
    assert frames_of(output) == [(time - origin, number) for time, number in frames_of(source)[start:end]]


@pytest.mark.parametrize("container", ["m4v", "mov", "mkv", "webm", "avi"])
@pytest.mark.parametrize("name", ["cfr.mp4", "vfr.mp4", "stream.ts"])
def test_every_container(tmp_path: Path, container: str, name: str) -> None:
    source = make_clip(tmp_path / name, **SOURCES[name])  # type: ignore[arg-type]
    segments = plan(source, seconds=0.5)
    output = tmp_path / f"out.{container}"
    notices = join(encode_parts(source, tmp_path, segments, container), segments, output, source=source)
    expected = frames_of(source)
    # An AVI begins with its first frame.
    origin = expected[0][0] if container == "avi" else origin_of(source, None)
    found = frames_of(output)
    assert [number for _, number in found] == [number for _, number in expected]
    # Matroska rounds to milliseconds by itself, and so does an AVI of a variable rate.
    exact = container in ("m4v", "mov") or (container == "avi" and name != "vfr.mp4")
    tolerance = 0 if exact else Fraction(1, 1000)
    assert max(abs(a - (b - origin)) for (a, _), (b, _) in zip(found, expected, strict=True)) <= tolerance
    assert any("constant frame rate" in notice for notice in notices) == (container == "avi" and not exact)


@pytest.mark.parametrize(
    ("name", "container"),
    [("cfr.mp4", "mp4"), ("vfr.mp4", "mov"), ("opus.webm", "webm"), ("opus.webm", "mp4"), ("ten.mkv", "mkv"),
     ("ten.mkv", "mp4"), ("mp3.avi", "mp4"), ("mp3.avi", "avi"), ("pcm.mov", "mkv"), ("rotated.mov", "m4v")],
)  # fmt: skip
def test_sound_packets_are_copied(tmp_path: Path, name: str, container: str) -> None:
    source = make_clip(tmp_path / name, **SOURCES[name])  # type: ignore[arg-type]
    segments = plan(source, seconds=0.5)
    output = tmp_path / f"out.{container}"
    assert join(encode_parts(source, tmp_path, segments, container), segments, output, source=source) == ()
    before, after = packets_of(source), packets_of(output)
    assert [content for _, content in after] == [content for _, content in before]
    # Clocks of milliseconds round.
    tolerance = Fraction(1, 1000) if {"mkv", "webm"} & {container, source.suffix[1:]} else 0
    assert max(abs(a - b) for (a, _), (b, _) in zip(after, before, strict=True)) <= tolerance


def test_the_payload_of_a_transport_stream_is_copied(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "stream.ts", **SOURCES["stream.ts"])  # type: ignore[arg-type]
    segments = plan(source, seconds=0.5)
    output = tmp_path / "out.mp4"
    join(encode_parts(source, tmp_path, segments, "mp4"), segments, output, source=source)
    # Without the seven bytes of the header that each packet has there.
    assert [content for _, content in packets_of(output)] == [
        content[7:] for _, content in packets_of(source)
    ]


def test_trimmed_packets_overlap_the_range(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "cfr.mp4", audio="auto")
    segments = plan(source, start=13, end=37, seconds=0.5)
    output = tmp_path / "out.mp4"
    join(encode_parts(source, tmp_path, segments, "mp4"), segments, output, source=source)
    begin, end, step = Fraction(13, 25), Fraction(37, 25), Fraction(1024, 48000)
    expected = [(t - begin, content) for t, content in packets_of(source) if begin - step < t < end]
    assert packets_of(output) == expected
    with av.open(str(output)) as container:
        first = next(container.decode(audio=0))
        assert first.time == pytest.approx(0, abs=1e-4)


def test_streams_and_tags(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "a.mp4", audio="auto", sample_aspect=Fraction(8, 9), size=(1280, 720), frames=30
    )
    segments = plan(source, seconds=0.5)
    output = tmp_path / "out.mp4"
    tags = {"digital_source_type": "http://x/y", "title": "A title", "comment": "made"}
    join(encode_parts(source, tmp_path, segments, "mp4"), segments, output, source=source, tags=tags)
    with VideoReader(output) as reader:
        assert (reader.video.color.matrix, reader.video.color.primaries, reader.video.color.transfer) == (
            1,
            1,
            1,
        )
        assert reader.video.color.full_range is False
        assert reader.video.sample_aspect == Fraction(8, 9)
        assert tags.items() <= reader.info.tags.items()
    data = output.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_hevc_gets_the_tag_that_players_need(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=30)
    segments = plan(source, seconds=0.5)
    parts = encode_parts(source, tmp_path, segments, "mp4", encoder="libx265")
    join(parts, segments, tmp_path / "out.mp4", source=source)
    assert b"hvc1" in (tmp_path / "out.mp4").read_bytes()
    assert [number for _, number in frames_of(tmp_path / "out.mp4")] == list(range(30))


@pytest.mark.parametrize(
    ("container", "encoder"), [("mkv", "ffv1"), ("mkv", "libsvtav1"), ("avi", "rawvideo"), ("mov", "prores_ks"),
                               ("mp4", "libvpx-vp9"), ("mp4", "libx264rgb"), ("webm", "libsvtav1")],
)  # fmt: skip
def test_other_encoders(tmp_path: Path, container: str, encoder: str) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto")
    segments = plan(source, seconds=0.5)
    output = tmp_path / f"out.{container}"
    parts = encode_parts(source, tmp_path, segments, container, encoder=encoder)
    join(parts, segments, output, source=source)
    assert frames_of(output) == frames_of(source)


@pytest.mark.parametrize("container", ["webm", "mov"])
def test_alpha_is_joined(tmp_path: Path, container: str) -> None:
    source = make_clip(tmp_path / "a.webm", pixel_format="yuva420p", alpha=True)
    segments = plan(source, seconds=0.5)
    output = tmp_path / f"out.{container}"
    encoder = encoders.choose(container, alpha=True).name
    join(
        encode_parts(source, tmp_path, segments, container, encoder=encoder, alpha=True),
        segments,
        output,
        source=source,
    )
    with VideoReader(output) as reader:
        frames = list(reader)
    assert [frame_number(frame.image) for frame in frames] == list(range(48))
    ramp = np.linspace(0, 255, 320)
    for frame in frames:
        assert frame.alpha is not None
        assert np.abs(frame.alpha[100] - ramp).max() <= 6
    if container == "webm":
        assert b"\x53\xc0\x81\x01" in output.read_bytes()  # AlphaMode 1, which browsers look for


def test_pixels_are_those_of_the_parts(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto")
    segments = plan(source, seconds=0.5)
    parts = encode_parts(source, tmp_path, segments, "mp4")
    join(parts, segments, tmp_path / "out.mp4", source=source)
    with VideoReader(tmp_path / "out.mp4", threads=1) as reader:
        joined = [frame.image.copy() for frame in reader]
    single = []
    for part in parts:
        with VideoReader(part, threads=1) as reader:
            single += [frame.image.copy() for frame in reader]
    assert len(joined) == len(single) == 48
    assert all(np.array_equal(a, b) for a, b in zip(joined, single, strict=True))


def test_offsets_allow_a_new_frame_rate(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto")
    segments = plan(source, seconds=0.5)
    spec = VideoSpec(320, 240, Fraction(1, 10), Fraction(10), preset="ultrafast")
    parts, offsets, number = [], [], 0
    for index in range(len(segments)):
        parts.append(tmp_path / f"part{index}.mp4")
        offsets.append(Fraction(number, 10))
        with VideoWriter(parts[-1], spec) as writer:
            for n in range(5):
                writer.write(np.full((240, 320, 3), number, np.uint8), n)
                number += 1
    join(parts, segments, tmp_path / "out.mp4", source=source, offsets=offsets)
    assert [time for time, _ in frames_of(tmp_path / "out.mp4")] == [Fraction(n, 10) for n in range(number)]


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4")
    segments = plan(source, seconds=0.5)
    parts = encode_parts(source, tmp_path, segments, "mp4")
    (tmp_path / "other").mkdir()
    other = encode_parts(
        source, tmp_path / "other", segments, "mp4", width=320, height=240, pixel_format="yuv444p"
    )
    output = tmp_path / "out.mp4"
    with pytest.raises(OutputError, match="other settings"):
        join([*parts[:-1], other[-1]], segments, output, source=source)
    with pytest.raises(OptionError, match="not a name for a video"):
        join(parts, segments, tmp_path / "out.xyz", source=source)
    assert not list(tmp_path.glob("*out*"))


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_clip(tmp_path / "a.mp4")
    segments = plan(source)
    parts = encode_parts(source, tmp_path, segments, "mp4")

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "flush", full)
    with pytest.raises(DiskFull):
        join(parts, segments, tmp_path / "out.mp4", source=source)
    assert not list(tmp_path.glob("*out*"))


def test_silence_on_request(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto")
    segments = plan(source)
    parts = encode_parts(source, tmp_path, segments, "mp4")
    for audio in (AudioPlan(mode="none"), AudioPlan(volume=0)):
        join(parts, segments, tmp_path / "out.mp4", source=source, audio=audio)
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert len(container.streams) == 1
