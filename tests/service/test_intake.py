from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as properties
from hypothesis import strategies as st

from mien.errors import (
    CorruptMedia,
    InputError,
    MediaTooLarge,
    OutputError,
    UnsafeInput,
    UnsupportedMedia,
    UploadTooLarge,
)
from mien.media import formats
from mien.service import intake
from mien.service.intake import (
    Media,
    describe_result,
    examine,
    in_mb,
    measured,
    named,
    receive,
    scratch_file,
)
from mien.service.settings import ServiceSettings
from tests.media.clips import make_clip
from tests.service.conftest import picture

PNG = Media("image", "png", "image/png", 8, 6, frames=1)
MP4 = Media("video", "mp4", "video/mp4", 8, 6, 1.0, 25, 25.0)
ZIP = Media("file", "", "application/zip")


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_scratch_file_is_nobody_elses_and_goes_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with scratch_file(folder) as one, scratch_file(folder) as two:
        assert one != two
        assert one.read_bytes() == b""
        assert (one.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(folder.iterdir()) == []
    with pytest.raises(ZeroDivisionError), scratch_file(folder):
        raise ZeroDivisionError
    assert list(folder.iterdir()) == []


def test_a_scratch_file_may_have_been_moved_away(tmp_path: Path) -> None:
    with scratch_file(tmp_path) as path:
        path.rename(tmp_path / "kept")
    assert [found.name for found in tmp_path.iterdir()] == ["kept"]


def test_where_no_scratch_file_can_be_made_it_is_said(tmp_path: Path) -> None:
    put(tmp_path, "file", b"")
    with pytest.raises(OutputError) as caught, scratch_file(tmp_path / "file" / "uploads"):
        pass
    assert caught.value.code == "output_not_writable"


@properties(deadline=None, max_examples=40)
@given(st.lists(st.binary(max_size=20), max_size=8), st.integers(0, 60))
def test_bytes_are_written_up_to_the_limit(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], limit: int
) -> None:
    path, whole = tmp_path_factory.getbasetemp() / "received", b"".join(chunks)
    if len(whole) > limit:
        with pytest.raises(UploadTooLarge):
            receive(chunks, path, limit)
        assert path.stat().st_size <= limit
        return
    found = receive(chunks, path, limit)
    assert (found.path, found.size, found.sha256) == (path, len(whole), hashlib.sha256(whole).hexdigest())
    assert path.read_bytes() == whole
    assert measured(path) == found


def test_no_more_is_taken_than_the_limit_needs(tmp_path: Path) -> None:
    asked: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            asked.append(1)
            yield bytes(1 << 20)

    with pytest.raises(
        UploadTooLarge, match=r"larger than the limit of 2\.5 MB; send a smaller one"
    ) as caught:
        receive(endless(), tmp_path / "x", 5 << 19)
    assert len(asked) == 3
    assert (caught.value.code, caught.value.http_status) == ("upload_too_large", 413)


def test_a_connection_that_breaks_off_is_its_own_error(tmp_path: Path) -> None:
    def torn() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        receive(torn(), tmp_path / "x", 100)


def test_media_are_described_by_their_content(tmp_path: Path) -> None:
    settings = ServiceSettings()
    assert examine(put(tmp_path, "a.mp4", picture()), "a.mp4", settings) == PNG
    clip = examine(make_clip(tmp_path / "b.mp4", frames=12), "b.png", settings)
    assert (clip.kind, clip.format, clip.width, clip.height, clip.frames, clip.fps) == (
        "video",
        "mp4",
        320,
        240,
        12,
        25.0,
    )
    assert (clip.ending, clip.duration) == ("mp4", pytest.approx(12 / 25))
    assert Media(**clip.as_record()) == clip


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", CorruptMedia),
        (b"<html>", UnsupportedMedia),
        (b"#EXTM3U\nfile:///etc/passwd\n", UnsafeInput),
        (picture() + b"<?php system($_GET[0]);", UnsafeInput),
        (picture()[:20], CorruptMedia),
    ],
)
def test_what_is_refused_is_called_by_the_name_that_its_owner_knows(
    tmp_path: Path, content: bytes, error: type[InputError]
) -> None:
    path = put(tmp_path, "0123456789.part", content)
    with pytest.raises(error) as caught:
        examine(path, "holiday.png", ServiceSettings())
    assert type(caught.value) is error
    assert "holiday.png" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_what_is_over_a_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, clip = put(tmp_path, "a.png", picture()), make_clip(tmp_path / "b.mp4", frames=12)
    assert examine(image, "a", ServiceSettings(max_pixels=48)) == PNG
    with pytest.raises(MediaTooLarge):
        examine(image, "a", ServiceSettings(max_pixels=47))
    assert examine(clip, "b", ServiceSettings(max_seconds=0.48)).frames == 12
    with pytest.raises(MediaTooLarge, match="b is 0 seconds long, more than the limit of 0; cut it"):
        examine(clip, "b", ServiceSettings(max_seconds=0.4))
    monkeypatch.setattr(intake, "MAX_PICTURE_BYTES", image.stat().st_size)
    assert examine(image, "a", ServiceSettings()) == PNG
    monkeypatch.setattr(intake, "MAX_PICTURE_BYTES", image.stat().st_size - 1)
    with pytest.raises(MediaTooLarge, match="a is a picture of more than"):
        examine(image, "a", ServiceSettings())
    assert examine(clip, "b", ServiceSettings()).frames == 12  # videos are not opened as a whole


def test_frames_of_a_tiny_animation_are_not_counted_to_the_end(tmp_path: Path) -> None:
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\x01\0\0\0" + b",\0\0\0\0\x01\0\x01\0\0" + b"\x02\x02\x44\x01\0"
    path = put(tmp_path, "many.gif", head + frame * 5000 + b";")
    with pytest.raises(MediaTooLarge, match="more than 120 frames"):
        examine(path, "many.gif", ServiceSettings(max_seconds=1))


@pytest.mark.parametrize(
    ("name", "content", "kind", "type"),
    [
        ("a.zip", b"PK", "file", "application/zip"),
        ("a.JSON", b"{}", "file", "application/json"),
        ("a.bmp.c2pa", b"\0", "file", "application/c2pa"),
        ("a.png", b"no picture", "file", formats.UNKNOWN),
        ("a", b"", "file", formats.UNKNOWN),
        ("a.zip", picture(), "image", "image/png"),
    ],
)
def test_results_may_be_anything(tmp_path: Path, name: str, content: bytes, kind: str, type: str) -> None:
    found = describe_result(put(tmp_path, name, content))
    assert (found.kind, found.content_type) == (kind, type)


@pytest.mark.parametrize(
    ("name", "media", "kept"),
    [
        ("x.jpeg", PNG, "x.png"),
        ("x.html", PNG, "x.html.png"),
        ("x", PNG, "x.png"),
        ("x.PNG", PNG, "x.PNG"),
        ("x.m4v", MP4, "x.m4v"),
        ("x.tar.gz", MP4, "x.tar.gz.mp4"),
        ("a/../b", PNG, "b.png"),
        ("", PNG, "file.png"),
        (".png", PNG, "png.png"),
        ("all.zip", ZIP, "all.zip"),
    ],
)
def test_a_name_ends_as_its_content_demands(name: str, media: Media, kept: str) -> None:
    assert named(name, media) == kept


@properties(deadline=None, max_examples=100)
@given(
    st.one_of(st.text(max_size=12), st.sampled_from(["a.", "b" * 300, "con", "..", "x.php", "é" * 150])),
    st.sampled_from(["", ".png", ".PNG", ".mp4", ".html", ".jpg.png", "."]),
    st.sampled_from([PNG, MP4]),
)
def test_any_name_becomes_one_of_its_content(stem: str, ending: str, media: Media) -> None:
    found = named(stem + ending, media)
    assert formats.type_of_ending(found.rpartition(".")[2]) == media.content_type
    assert not set(found) & set('/\\\r\n\0"')
    assert len(found.encode()) <= 210
    assert named(found, media) == found


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 MB"), (1 << 20, "1 MB"), (500 << 20, "500 MB"), (104857, "0.1 MB")]
)
def test_sizes_are_said_for_people(size: int, said: str) -> None:
    assert in_mb(size) == said
