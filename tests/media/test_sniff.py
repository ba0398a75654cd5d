from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import CorruptMedia, InputMissing, UnsafeInput, UnsupportedMedia
from mien.media.sniff import mislabelled, sniff
from tests.media.clips import make_clip


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.mp4", "mp4"), ("a.mov", "mov"), ("a.mkv", "matroska"), ("a.webm", "webm"), ("a.avi", "avi"),
        ("a.ts", "mpegts"), ("a.flv", "flv"), ("a.mpg", "mpeg"), ("a.gif", "gif"),
    ],
)  # fmt: skip
def test_videos_are_known_by_their_content(tmp_path: Path, name: str, format: str) -> None:
    encoder, pixels = {
        "gif": ("gif", "bgr8"),
        "mpg": ("mpeg2video", "yuv420p"),
        "flv": ("flv", "yuv420p"),
    }.get(name[2:], (None, "yuv420p"))
    path = make_clip(tmp_path / name, frames=3, encoder=encoder, pixel_format=pixels)
    disguised = path.rename(tmp_path / "without_extension")
    found = sniff(disguised)
    assert (found.kind, found.format) == ("video", format)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tiff", "avif", "bmp", "gif"])
def test_pictures_named_as_videos_are_known_and_named(tmp_path: Path, extension: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(cv2.imencode(f".{extension}", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    found = sniff(path)
    assert (found.kind, found.format) == ("image", {"jpg": "jpeg"}.get(extension, extension))
    assert found.format.upper() in str(mislabelled(path, found))


def test_a_matching_or_unknown_extension_is_no_mislabel(tmp_path: Path) -> None:
    path = tmp_path / "a.jpeg"
    path.write_bytes(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    assert mislabelled(path, sniff(path)) is None
    assert mislabelled(tmp_path / "upload.bin", sniff(path)) is None


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "\ufeff#EXTM3U\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        "file '/etc/passwd'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "[playlist]\nFile1=http://127.0.0.1/a\n",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>',
    ],
)
def test_playlists_are_refused_whatever_their_name(tmp_path: Path, text: str) -> None:
    for name in ("a.mp4", "a.m3u8", "a.jpg"):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(UnsafeInput, match="playlist"):
            sniff(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"<svg xmlns='x'/>", "SVG"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\xff\x0a1234", "JPEG XL"),
        (b"just words", "not a picture, video or sound"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnsupportedMedia, match=words):
        sniff(path)


def test_empty_missing_folder_and_zeros(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(CorruptMedia, match="is empty"):
        sniff(empty)
    with pytest.raises(InputMissing, match="does not exist"):
        sniff(tmp_path / "none.mp4")
    with pytest.raises(InputMissing, match="not a file"):
        sniff(tmp_path)
    zeros = tmp_path / "zeros.mp4"
    zeros.write_bytes(bytes(5000))
    with pytest.raises(CorruptMedia, match="zeros"):
        sniff(zeros)


@pytest.mark.parametrize(
    ("name", "encoder", "format"),
    [("a.wav", "pcm_s16le", "wav"), ("a.mp3", "libmp3lame", "mp3"), ("a.flac", "flac", "flac"), ("a.m4a", "aac", "m4a"),
     ("a.ogg", "libopus", "ogg"), ("a.aac", "aac", "aac")],
)  # fmt: skip
def test_sound_files(tmp_path: Path, name: str, encoder: str, format: str) -> None:
    from tests.media.clips import make_sound

    found = sniff(make_sound(tmp_path / name, encoder=encoder, seconds=0.2))
    assert (found.kind, found.format) == ("audio", format)
