from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.media.images import Picture, encode_image, read_image
from mien.media.metadata import read, xmp_packet
from mien.media.probe import probe
from mien.media.xmp import with_xmp

OLD = xmp_packet({"software": "another program", "secret": "the graph"})
NEW = xmp_packet({"software": "mien"})


PROFILE = bytes(16) + b"RGB " + bytes(108)


def picture(format: str) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)
    return encode_image(format, Picture(noise, icc=PROFILE))


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_a_packet_takes_the_place_of_the_old_one_and_nothing_else_changes(
    format: str, tmp_path: Path
) -> None:
    plain = picture(format)
    for before in (plain, with_xmp(plain, format, OLD)):
        assert before is not None
        after = with_xmp(before, format, NEW)
        assert after is not None
        path = tmp_path / f"a.{format}"
        path.write_bytes(plain)
        first = read_image(path)
        path.write_bytes(after)
        found = read_image(path)
        assert (found.xmp, found.icc) == (NEW, first.icc)
        assert np.array_equal(found.pixels, first.pixels)
        # A TIFF is added to, so that what nobody points to any more stays in it.
        assert (b"the graph" in after) == (format == "tiff" and before is not plain)


@pytest.mark.parametrize("format", ["png", "webp"])
def test_animations_stay(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{format}"
    animation = cv2.Animation()
    animation.frames = [np.full((16, 16, 4), shade, np.uint8) for shade in (40, 120, 200)]
    animation.durations = [100, 100, 100]
    assert cv2.imwriteanimation(str(path), animation)
    after = with_xmp(path.read_bytes(), format, NEW)
    assert after is not None
    path.write_bytes(after)
    done, found = cv2.imreadanimation(str(path))
    assert done
    assert [int(frame[5, 5, 0]) for frame in found.frames] == pytest.approx([40, 120, 200], abs=3)
    assert read_image(path).xmp == NEW


def test_alpha_of_a_simple_webp_stays(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4, :, 3] = 255
    plain = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    after = with_xmp(plain, "webp", NEW)
    path = tmp_path / "a.webp"
    path.write_bytes(after or b"")
    alpha = read_image(path).alpha
    assert alpha is not None
    assert np.array_equal(alpha, pixels[:, :, 3])
    assert probe(path).width == 8


@pytest.mark.parametrize("format", ["bmp", "gif", "avif"])
def test_formats_without_a_place_are_told(format: str) -> None:
    assert with_xmp(b"anything", format, NEW) is None


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_torn_files_are_told(format: str) -> None:
    whole = picture(format)
    for size in (0, 3, 9, 15, 30):
        after = with_xmp(whole[:size], format, NEW)
        assert after is None or NEW in after


def test_a_packet_that_is_too_long_for_a_jpeg_is_told() -> None:
    assert with_xmp(picture("jpeg"), "jpeg", xmp_packet({"title": "x" * 70_000})) is None


@given(cut=st.integers(0, 200), at=st.integers(0, 100), value=st.integers(0, 255))
def test_a_torn_gif_or_avif_never_gets_a_packet_that_is_not_read(cut: int, at: int, value: int) -> None:
    gif = (
        b"GIF89a"
        + bytes((2, 0, 1, 0, 0x80, 0, 0))
        + bytes(6)
        + b"\x2c"
        + bytes(8)
        + b"\0\x02\x02\x44\x0b\0\x3b"
    )
    avif = b"\0\0\0\x14ftypavif\0\0\0\0avif" + b"\0\0\0\x10mdat" + bytes(8)
    packet = xmp_packet({"digital_source_type": "x"})
    for format, whole in (("gif", gif), ("avif", avif)):
        assert read(with_xmp(whole, format, packet) or b"", format).xmp == packet
        torn = bytearray(whole)
        torn[at % len(torn)] = value
        made = with_xmp(bytes(torn[: len(torn) - cut % len(torn)]), format, packet)
        assert made is None or read(made, format).xmp == packet
