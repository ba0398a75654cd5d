from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import CorruptMedia
from mien.safety import xmp

PACKET = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="w"?>'
RNG = np.random.default_rng(5)
COLOR = RNG.integers(0, 256, (37, 53, 3), np.uint8)
ALPHA = RNG.integers(0, 256, (37, 53, 4), np.uint8)
LOSSLESS_WEBP = [cv2.IMWRITE_WEBP_QUALITY, 101]


def encoded(ending: str, image: np.ndarray = COLOR, parameters: list[int] | None = None) -> bytes:
    ok, data = cv2.imencode(ending, image, parameters or [])
    assert ok
    return data.tobytes()


def decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


FILES = {
    "jpeg": encoded(".jpg"),
    "png": encoded(".png"),
    "png with alpha": encoded(".png", ALPHA),
    "lossy webp": encoded(".webp"),
    "lossless webp": encoded(".webp", COLOR, LOSSLESS_WEBP),
    "webp with alpha": encoded(".webp", ALPHA, LOSSLESS_WEBP),
    "lossy webp with alpha": encoded(".webp", ALPHA, [cv2.IMWRITE_WEBP_QUALITY, 70]),
    "tiff": encoded(".tiff"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_packet_comes_back_and_the_picture_is_the_same(name: str) -> None:
    before = FILES[name]
    after = xmp.embed(before, PACKET)
    assert after is not None
    assert xmp.extract(after) == PACKET
    np.testing.assert_array_equal(decoded(after), decoded(before))


@pytest.mark.parametrize("name", FILES)
def test_an_older_packet_is_replaced(name: str) -> None:
    once = xmp.embed(FILES[name], b"<old>" + b"x" * 500 + b"</old>")
    assert once is not None
    twice = xmp.embed(once, PACKET)
    assert twice is not None
    assert xmp.extract(twice) == PACKET
    if not name.startswith("tiff"):  # in a TIFF the old bytes stay behind, unreferenced
        assert b"<old>" not in twice


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_packet_has_none(name: str) -> None:
    assert xmp.extract(FILES[name]) is None


def test_the_jpeg_segment_stands_behind_jfif_and_exif() -> None:
    exif = b"\xff\xe1" + struct.pack(">H", 10) + b"Exif\0\0MM"
    jpeg = FILES["jpeg"]
    (length,) = struct.unpack_from(">H", jpeg, 4)
    with_exif = jpeg[: 4 + length] + exif + jpeg[4 + length :]
    after = xmp.embed(with_exif, PACKET)
    assert after is not None
    assert after.index(b"JFIF") < after.index(b"Exif") < after.index(xmp.JPEG_HEADER) < after.index(b"\xff\xdb")


def test_the_png_chunk_is_valid_and_stands_before_the_picture() -> None:
    after = xmp.embed(FILES["png"], PACKET)
    assert after is not None
    at = after.index(b"iTXt")
    (length,) = struct.unpack_from(">I", after, at - 4)
    (crc,) = struct.unpack_from(">I", after, at + 4 + length)
    assert crc == zlib.crc32(after[at : at + 4 + length])
    assert at < after.index(b"IDAT")


def test_a_compressed_png_text_is_read() -> None:
    body = b"iTXt" + xmp.PNG_KEYWORD + b"\0\1\0en\0title\0" + zlib.compress(PACKET)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    png = FILES["png"]
    assert xmp.extract(png[:33] + chunk + png[33:]) == PACKET


def test_the_webp_header_tells_size_alpha_and_metadata() -> None:
    for name, alpha in (("lossy webp", 0), ("lossless webp", 0), ("webp with alpha", xmp.VP8X_ALPHA)):
        after = xmp.embed(FILES[name], PACKET)
        assert after is not None
        assert after[12:16] == b"VP8X"
        assert after[20] & (xmp.VP8X_ALPHA | xmp.VP8X_XMP) == alpha | xmp.VP8X_XMP
        assert int.from_bytes(after[24:27], "little") == 52
        assert int.from_bytes(after[27:30], "little") == 36
        assert struct.unpack_from("<I", after, 4)[0] == len(after) - 8


def test_both_byte_orders_of_tiff() -> None:
    entries = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries += [(277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 1)]
    rows = b"".join(
        struct.pack(">HHI", tag, kind, count) + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, count, value in entries
    )
    big = b"MM\0*" + struct.pack(">I", 10) + b"\x7f\0" + struct.pack(">H", len(entries)) + rows + b"\0\0\0\0"
    assert decoded(big)[0, 0] == 0x7F
    after = xmp.embed(big, PACKET)
    assert after is not None
    assert xmp.extract(after) == PACKET
    assert decoded(after)[0, 0] == 0x7F


def test_other_formats_have_no_place() -> None:
    assert xmp.embed(encoded(".bmp"), PACKET) is None
    assert xmp.extract(b"") is None


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff"])
def test_a_cut_off_file_is_refused_in_words(name: str) -> None:
    data = FILES[name]
    cut = data[:10] if name != "tiff" else data[: len(data) // 2]
    with pytest.raises(CorruptMedia):
        xmp.extract(cut)
    with pytest.raises(CorruptMedia):
        xmp.embed(cut, PACKET)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"\xff\xd8\xff", xmp.PNG_SIGNATURE, b"RIFF\0\0\0\0WEBP", b"II*\0", b"MM\0*"]), st.binary())
def test_any_bytes_are_read_or_refused(start: bytes, rest: bytes) -> None:
    try:
        xmp.extract(start + rest)
    except CorruptMedia:
        return


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_damaged_file_is_marked_or_refused(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for at in data.draw(st.lists(st.integers(4, min(200, len(damaged) - 1)), max_size=8)):
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        xmp.embed(bytes(damaged), PACKET)
    except CorruptMedia:
        return
