from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mien.errors import InputMissing, OptionError, UnsupportedMedia
from mien.media.probe import probe
from mien.media.segments import AudioPlan, join, plan
from tests.media.clips import make_clip, make_sound, sine
from tests.media.test_join import encode_parts, frames_of, packets_of


def decoded(path: Path, rate: int = 48000) -> np.ndarray:
    """All samples of the first channel, placed by their times: float32, one second is ``rate`` samples."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "stereo", rate)
        line = np.zeros(rate * 10, np.float32)
        end = 0
        for frame in container.decode(audio=0):
            for ready in resampler.resample(frame):
                samples = ready.to_ndarray()[0]
                at = round(ready.time * rate)
                begin = max(-at, 0)
                line[at + begin : at + samples.size] = samples[begin:]
                end = at + samples.size
    return line[:end]


def render(
    source: Path, output: Path, audio: AudioPlan, start: int | None = None, end: int | None = None
) -> tuple[str, ...]:
    segments = plan(source, start=start, end=end)
    parts = encode_parts(source, output.parent, segments, output.suffix[1:])
    return join(parts, segments, output, source=source, audio=audio)


def delay(found: np.ndarray, expected: np.ndarray) -> int:
    """By how many samples ``found`` is later than ``expected``, from the middle of both."""
    middle = min(found.size, expected.size) // 2
    piece = expected[middle - 4000 : middle + 4000]
    lags = range(-1500, 1501)
    scores = [float(np.dot(piece, found[middle - 4000 + lag : middle + 4000 + lag])) for lag in lags]
    return lags[int(np.argmax(scores))]


@pytest.mark.parametrize(
    ("name", "sound", "container", "codec"),
    [
        ("a.mp4", "auto", "webm", "opus"), ("a.webm", "auto", "mov", "aac"), ("a.mkv", "flac", "mov", "aac"),
        ("a.mov", "pcm_s16le", "mp4", "aac"), ("a.mkv", "libopus", "avi", "mp3"), ("a.ts", "auto", "webm", "opus"),
    ],
)  # fmt: skip
def test_sound_is_encoded_again_where_it_must_be(
    tmp_path: Path, name: str, sound: str, container: str, codec: str
) -> None:
    source = make_clip(tmp_path / name, audio=sound)
    output = tmp_path / f"out.{container}"
    (notice,) = render(source, output, AudioPlan())
    assert f".{container} files and was encoded again" in notice
    info = probe(output).audio
    assert info is not None
    assert info.codec == codec
    found = decoded(output)
    wave = sine(48 / 25)[0]
    assert found.size == pytest.approx(wave.size, abs=2500)
    # An AVI has no place for the encoder's lead-in: one MP3 frame at most.
    tolerance = 1200 if container == "avi" else 120
    shift = (
        1024 if name.endswith("ts") else 0
    )  # there the sound begins before the pictures, and so does the file
    assert abs(delay(found, wave) - shift) <= tolerance


def test_volume(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto")
    render(source, tmp_path / "half.mp4", AudioPlan(volume=50))
    render(source, tmp_path / "full.mp4", AudioPlan())
    half, full = decoded(tmp_path / "half.mp4"), decoded(tmp_path / "full.mp4")
    middle = slice(20_000, 60_000)
    assert np.std(half[middle]) / np.std(full[middle]) == pytest.approx(0.5, abs=0.01)
    assert abs(delay(half, full)) <= 1
    assert packets_of(tmp_path / "full.mp4") == packets_of(source)


@pytest.mark.parametrize(("container", "encoder"), [("mp4", "flac"), ("mkv", "flac"), ("mov", "pcm_s16le")])
def test_trimming_encoded_sound_is_exact_to_the_sample(tmp_path: Path, container: str, encoder: str) -> None:
    source = make_clip(tmp_path / "a.mkv", audio="flac")
    output = tmp_path / f"out.{container}"
    render(source, output, AudioPlan(encoder=encoder, volume=99), start=13, end=37)
    found = decoded(output)
    expected = decoded(source)[13 * 1920 : 37 * 1920] * 0.99
    assert found.size == expected.size
    assert np.abs(found - expected).max() < 1e-3


def test_an_encoder_that_is_asked_for(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto")
    assert render(source, tmp_path / "out.mkv", AudioPlan(encoder="flac")) == ()
    info = probe(tmp_path / "out.mkv").audio
    assert info is not None
    assert info.codec == "flac"
    # The same codec is copied; one that does not fit is replaced and said.
    assert render(source, tmp_path / "out.mp4", AudioPlan(encoder="aac")) == ()
    assert packets_of(tmp_path / "out.mp4") == packets_of(source)
    (notice,) = render(source, tmp_path / "out.mov", AudioPlan(encoder="libopus"))
    assert "libopus cannot be stored in .mov" in notice


@pytest.mark.parametrize("sound", ["a.wav", "a.mp3", "a.flac", "a.m4a", "a.ogg", "a.mka"])
def test_replacing(tmp_path: Path, sound: str) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto", frames=30)
    encoder = {
        "wav": "pcm_s16le",
        "mp3": "libmp3lame",
        "flac": "flac",
        "mka": "flac",
        "m4a": "aac",
        "ogg": "libopus",
    }
    other = make_sound(tmp_path / sound, encoder=encoder[sound[2:]], seconds=3.0)
    output = tmp_path / "out.mp4"
    render(source, output, AudioPlan(mode="replace", source=other), start=5)
    found = decoded(output)
    # From its beginning, though the video was cut, and as long as the video.
    # Packets that are copied end with their last sample: 4608 in FLAC.
    assert found.size == pytest.approx(48000, abs=4700)
    assert abs(delay(found[:48000], sine(3.0)[0][:48000])) <= 1200
    assert len(frames_of(output)) == 25


def test_a_shorter_replacement_is_not_stretched(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto")
    other = make_sound(tmp_path / "a.wav", seconds=0.5)
    render(source, tmp_path / "out.mkv", AudioPlan(mode="replace", source=other))
    assert decoded(tmp_path / "out.mkv").size == pytest.approx(24000, abs=48)


def test_several_languages_are_kept(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio="auto")
    double = tmp_path / "double.mkv"
    with av.open(str(source)) as one, av.open(str(double), "w") as two:
        video = two.add_stream_from_template(one.streams.video[0])
        tracks = [two.add_stream_from_template(one.streams.audio[0]) for _ in range(2)]
        for track, language in zip(tracks, ("ger", "fre"), strict=True):
            track.metadata["language"] = language
        for packet in one.demux(video=0):
            if packet.size:
                packet.stream = video
                two.mux(packet)
        for track in tracks:
            with av.open(str(source)) as again:
                for packet in again.demux(audio=0):
                    if packet.size and (packet.pts or 0) >= 0:
                        packet.stream = track
                        two.mux(packet)
    render(double, tmp_path / "out.mp4", AudioPlan())
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.language for stream in container.streams.audio] == ["ger", "fre"]


def test_late_sound_stays_late(tmp_path: Path) -> None:
    """Sound that begins half a second after the pictures, copied and encoded."""
    source = make_clip(tmp_path / "a.mkv", audio="flac")
    late = tmp_path / "late.mkv"
    with av.open(str(source)) as one, av.open(str(late), "w") as two:
        streams = {stream.index: two.add_stream_from_template(stream) for stream in one.streams}
        for packet in one.demux():
            if not packet.size:
                continue
            if packet.stream.type == "audio":
                packet.pts, packet.dts = packet.pts + 500, packet.dts + 500
            packet.stream = streams[packet.stream.index]
            two.mux(packet)
    original = decoded(late)
    for output, audio in (("copied.mkv", AudioPlan()), ("encoded.mkv", AudioPlan(volume=99, encoder="flac"))):
        render(late, tmp_path / output, audio)
        found = decoded(tmp_path / output)
        assert np.abs(found[:23_000]).max() == 0
        end = min(found.size, original.size)
        assert end > 90_000
        assert np.abs(found[24_100:end] - original[24_100:end]).max() < 0.01


def test_wrong_plans(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="0 to 100"):
        AudioPlan(volume=101)
    with pytest.raises(OptionError, match="0 to 100"):
        AudioPlan(quality=-1)
    with pytest.raises(OptionError, match="needs a sound file"):
        AudioPlan(mode="replace")
    source = make_clip(tmp_path / "a.mp4")
    with pytest.raises(InputMissing):
        render(source, tmp_path / "out.mp4", AudioPlan(mode="replace", source=tmp_path / "none.wav"))
    with pytest.raises(UnsupportedMedia, match="has no sound"):
        render(source, tmp_path / "out.mp4", AudioPlan(mode="replace", source=source))
    assert not list(tmp_path.glob("*out*"))


def test_a_video_without_sound(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4")
    assert render(source, tmp_path / "out.mp4", AudioPlan()) == ()
    assert probe(tmp_path / "out.mp4").audio is None


def test_bit_rates_follow_the_quality(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", audio="flac")
    sizes = []
    for quality in (0, 100):
        output = tmp_path / f"{quality}.mov"
        render(source, output, AudioPlan(quality=quality))
        sizes.append(sum(len(content) for _, content in packets_of(output)))
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(("container", "layout"), [("mp4", "5.1"), ("webm", "5.1"), ("avi", "stereo")])
def test_surround(tmp_path: Path, container: str, layout: str) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as target:
        video = target.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = target.add_stream("pcm_s16le", rate=48000)
        sound.codec_context.layout = "5.1(side)"
        for n in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), n, np.uint8), "bgr24")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            target.mux(video.encode(frame))
            samples = np.full((1, 1920 * 6), n, np.int16)
            piece = av.AudioFrame.from_ndarray(samples, "s16", "5.1(side)")
            piece.sample_rate, piece.pts, piece.time_base = 48000, n * 1920, Fraction(1, 48000)
            target.mux(sound.encode(piece))
        target.mux(video.encode(None))
    render(
        source,
        tmp_path / f"out.{container}",
        AudioPlan(volume=90, encoder="libmp3lame" if container == "avi" else None),
    )
    with av.open(str(tmp_path / f"out.{container}")) as result:
        assert result.streams.audio[0].layout.name.startswith(layout)
