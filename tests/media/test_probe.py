from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mien.errors import CorruptMedia, MediaTooLarge, UnsafeInput, UnsupportedMedia
from mien.media import probe as probing
from mien.media.container import open_input
from mien.media.probe import probe
from mien.media.sniff import Sniffed
from tests.media.clips import make_clip, make_sound


def test_a_video_with_sound(tmp_path: Path) -> None:
    info = probe(make_clip(tmp_path / "a.mp4", audio="auto", sample_aspect=Fraction(8, 9)))
    assert (info.kind, info.format, info.width, info.height) == ("video", "mp4", 320, 240)
    assert info.duration == pytest.approx(48 / 25)
    assert info.video is not None
    assert (info.video.codec, info.video.frame_count, info.video.rate) == ("h264", 48, 25)
    assert (info.video.time_base, info.video.start_pts) == (Fraction(1, 12800), 0)
    assert (info.video.sample_aspect, info.video.pixel_format) == (Fraction(8, 9), "yuv420p")
    assert (info.video.has_alpha, info.video.is_hdr, info.video.is_interlaced) == (False, False, False)
    assert info.audio is not None
    assert (info.audio.codec, info.audio.rate, info.audio.channels) == ("aac", 48000, 2)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_the_size_is_that_of_the_upright_picture(tmp_path: Path, rotation: int) -> None:
    info = probe(make_clip(tmp_path / "a.mov", frames=3, rotation=rotation, sample_aspect=Fraction(4, 3)))
    assert info.video is not None
    assert (info.width, info.height, info.video.rotation) == (320, 240, rotation)
    assert info.video.sample_aspect == (Fraction(4, 3) if rotation == 180 else Fraction(3, 4))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.avi", "a.ts", "a.flv", "a.mpg"])
def test_frames_are_counted_in_every_container(tmp_path: Path, name: str) -> None:
    encoder = {"mpg": "mpeg2video", "flv": "flv"}.get(name[2:])
    info = probe(make_clip(tmp_path / name, frames=29, encoder=encoder, time_base=None))
    assert info.video is not None
    assert info.video.frame_count == 29
    assert info.video.rate == 25


def test_ten_bits_hdr_alpha_and_interlacing_are_seen(tmp_path: Path) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1}
    hdr = probe(
        make_clip(tmp_path / "h.mp4", frames=4, encoder="libx265", pixel_format="yuv420p10le", tags=tags)
    ).video
    assert hdr is not None
    assert (hdr.is_hdr, hdr.bit_depth, hdr.color.matrix, hdr.color.full_range) == (True, 10, 9, False)
    alpha = probe(make_clip(tmp_path / "a.webm", frames=2, pixel_format="yuva420p", alpha=True)).video
    assert alpha is not None
    assert alpha.has_alpha
    prores = probe(
        make_clip(tmp_path / "p.mov", frames=2, encoder="prores_ks", pixel_format="yuva444p10le", alpha=True)
    ).video
    assert prores is not None
    assert prores.has_alpha
    fields = probe(make_clip(tmp_path / "i.mp4", frames=2, interlaced=True)).video
    assert fields is not None
    assert fields.is_interlaced


def test_pictures_and_sounds(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    assert (probe(path).kind, probe(path).width, probe(path).height, probe(path).duration) == (
        "image",
        30,
        20,
        0,
    )
    sound = probe(make_sound(tmp_path / "a.wav", seconds=1.5))
    assert (sound.kind, sound.duration) == ("audio", pytest.approx(1.5, abs=0.01))
    assert sound.video is None


def test_limits(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2)
    with pytest.raises(MediaTooLarge, match="320×240"):
        probe(clip, max_pixels=320 * 240 - 1)
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(MediaTooLarge, match="30×20"):
        probe(picture, max_pixels=599)
    assert probe(picture, max_pixels=600).width == 30


def test_a_file_cut_in_the_middle(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mkv").read_bytes()
    torn = tmp_path / "torn.mkv"
    torn.write_bytes(whole[: len(whole) // 2])
    info = probe(torn).video
    assert info is not None
    assert 0 < info.frame_count < 48
    mp4 = tmp_path / "torn.mp4"
    mp4.write_bytes(make_clip(tmp_path / "a.mov").read_bytes()[:2000])
    with pytest.raises(CorruptMedia, match=r"torn\.mp4"):
        probe(mp4)


def test_garbage_behind_a_good_beginning(tmp_path: Path) -> None:
    for name, head in (
        ("a.mp4", b"\0\0\0\x18ftypisom"),
        ("a.mkv", b"\x1aE\xdf\xa3"),
        ("a.avi", b"RIFF\0\0\1\0AVI "),
    ):
        path = tmp_path / name
        path.write_bytes(head + np.random.default_rng(1).bytes(4000))
        with pytest.raises((CorruptMedia, UnsupportedMedia), match=name):
            probe(path)


def test_a_video_without_pictures_or_sound(tmp_path: Path) -> None:
    # A sound file that calls itself a video is described as what it holds.
    sound = make_sound(tmp_path / "a.mka", encoder="flac")
    assert probe(sound).kind == "audio"


def test_only_the_demuxer_that_fits_is_allowed(tmp_path: Path) -> None:
    """Even when recognition were fooled, a playlist is not opened: the allow-list holds."""
    clip = make_clip(tmp_path / "real.ts", frames=3)
    playlist = tmp_path / "a.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip.name}\n#EXT-X-ENDLIST\n")
    for format in ("mp4", "matroska", "mpegts", "avi", "asf", "ogg"):
        with pytest.raises(CorruptMedia):
            open_input(playlist, Sniffed("video", format)).close()
    with pytest.raises(UnsafeInput):
        probe(playlist)


def test_tags_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = "A title in UTF-8"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"A title in", b"A t\xeftle in"))
    tags = {key.lower(): value for key, value in probe(path).tags.items()}
    assert tags["title"] == "A t\ufffdtle in UTF-8"


def test_the_public_names() -> None:
    assert set(probing.__all__) == {"MAX_PIXELS", "mislabelled", "probe"}
