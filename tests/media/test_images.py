import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import CorruptMedia, MediaTooLarge, OptionError, OutputNotWritable, UnsupportedMedia
from mien.media.images import Picture, read_image, write_image
from mien.media.writable import OUTPUT_FORMATS
from tests.media.clips import make_clip
from tests.media.pictures import PROFILE, cmyk_jpeg, exif_with, png, tiff_with_orientation
from tests.media.test_orientation import STORED


def smooth(height: int = 40, width: int = 60) -> np.ndarray:
    """A picture without fine detail, that lossy formats keep."""
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(20, 220, width)
    image[..., 1] = np.linspace(220, 20, height)[:, None]
    image[..., 2] = 128
    return image


@pytest.mark.parametrize("extension", sorted(OUTPUT_FORMATS))
def test_every_format_is_written_and_read(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension.upper()}"
    image = smooth()
    write_image(path, Picture(image), quality=95)
    back = read_image(path)
    assert back.format == OUTPUT_FORMATS[extension]
    assert back.pixels.dtype == np.uint8
    assert back.pixels.flags.c_contiguous
    assert back.pixels.flags.writeable
    error = np.abs(back.pixels.astype(int) - image).max()
    assert error == 0 if extension in ("png", "tif", "tiff", "bmp") else error <= 12
    assert back.notes == ()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("extension", ["png", "webp", "tiff", "avif"])
def test_alpha_is_kept(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    alpha = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
    write_image(path, Picture(smooth(), alpha), quality=100)
    back = read_image(path)
    assert back.alpha is not None
    assert np.abs(back.alpha.astype(int) - alpha).max() <= 2


@pytest.mark.parametrize("extension", ["jpg", "bmp"])
def test_without_alpha_the_picture_is_put_on_white(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    alpha = np.zeros((16, 32), np.uint8)
    alpha[:, 16:] = 255
    write_image(path, Picture(np.full((16, 32, 3), 40, np.uint8), alpha), quality=100)
    back = read_image(path)
    assert back.alpha is None
    assert np.abs(back.pixels[:, :16].astype(int) - 255).max() <= 2
    assert np.abs(back.pixels[:, 16:].astype(int) - 40).max() <= 2


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tiff", "avif"])
def test_profile_and_tags_are_kept(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    tags = {"digital_source_type": source, "software": 'a "b" & <c>', "operation": "face_swapper"}
    write_image(path, Picture(smooth(), icc=PROFILE), tags=tags)
    back = read_image(path)
    assert back.icc == PROFILE
    assert back.xmp is not None
    assert f'Iptc4xmpExt:DigitalSourceType="{source}"'.encode() in back.xmp
    assert b"a &quot;b&quot; &amp; &lt;c&gt;" in back.xmp or b"'a \"b\" &amp; &lt;c&gt;'" in back.xmp
    assert b'mien:operation="face_swapper"' in back.xmp


def test_a_large_profile_takes_several_segments(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    profile = PROFILE + np.random.default_rng(1).bytes(150_000)
    write_image(path, Picture(smooth(), icc=profile))
    assert read_image(path).icc == profile


def test_a_profile_of_other_colours_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, Picture(smooth(), icc=PROFILE.replace(b"RGB ", b"GRAY")))
    assert read_image(path).icc is None


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("number", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path: Path, extension: str, number: int) -> None:
    image = np.zeros((40, 64, 3), np.uint8)
    image[:16, :16] = 255
    image[:16, 48:] = (0, 0, 255)
    stored = np.ascontiguousarray(STORED[number](image))
    path = tmp_path / f"a.{extension}"
    if extension == "tif":
        path.write_bytes(tiff_with_orientation(cv2.imencode(".tif", stored)[1].tobytes(), number))
    else:
        exif = np.frombuffer(exif_with(number), np.uint8)
        path.write_bytes(cv2.imencodeWithMetadata(f".{extension}", stored, [0], [exif], [])[1].tobytes())
    pixels = read_image(path).pixels
    assert pixels.shape == image.shape
    assert pixels[4, 4].min() > 200
    assert pixels[4, 60, 2] > 200
    assert pixels[4, 60, 0] < 60
    assert pixels[36, 4].max() < 40


def test_of_exif_only_harmless_tags_are_written_back(tmp_path: Path) -> None:
    exif = np.frombuffer(exif_with(6), np.uint8)
    first, second = tmp_path / "a.jpg", tmp_path / "b.jpg"
    first.write_bytes(cv2.imencodeWithMetadata(".jpg", smooth(), [0], [exif], [])[1].tobytes())
    picture = read_image(first)
    write_image(second, picture)
    back = read_image(second)
    assert back.pixels.shape == picture.pixels.shape == (60, 40, 3)
    assert b"Maker" in second.read_bytes()
    assert struct.pack("<H", 0x8825) not in (back.exif or b"")


def test_avif_turns_are_applied(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    image = np.zeros((40, 60, 3), np.uint8)
    image[:10, :10] = 255
    exif = np.frombuffer(exif_with(6), np.uint8)
    stored = np.ascontiguousarray(np.rot90(image))
    path.write_bytes(cv2.imencodeWithMetadata(".avif", stored, [0], [exif], [])[1].tobytes())
    pixels = read_image(path).pixels
    assert pixels.shape == (40, 60, 3)
    assert pixels[4, 4].min() > 200


def test_sixteen_bits_are_rounded_and_said(tmp_path: Path) -> None:
    values = np.array([[0, 128, 257, 65535, 32768, 386]], np.uint16)
    for extension in ("png", "tiff"):
        path = tmp_path / f"a.{extension}"
        cv2.imwrite(str(path), np.dstack([values] * 3))
        picture = read_image(path)
        assert picture.depth == 16
        assert picture.pixels[0, :, 0].tolist() == [0, 0, 1, 255, 128, 2]
        assert "rounded to 8" in picture.notes[0]


@pytest.mark.parametrize("depth", [10, 12])
def test_deep_avif(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "a.avif"
    top = (1 << depth) - 1
    image = np.full((32, 32, 3), top // 2, np.uint16)
    options = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 100]
    path.write_bytes(cv2.imencode(".avif", image, options)[1].tobytes())
    assert np.abs(read_image(path).pixels.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("hdr", [16, 18])
def test_hdr_pictures_are_refused(tmp_path: Path, hdr: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(1, 1, 2, 16, b"\0" + bytes(6), [(b"cICP", bytes([9, hdr, 0, 1]))]))
    with pytest.raises(UnsupportedMedia, match="HDR"):
        read_image(path)


def test_gray_palette_and_transparent_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, 0, 8, b"\0\x10\xf0"))
    assert read_image(path).pixels.tolist() == [[[16] * 3, [240] * 3]]
    path.write_bytes(png(2, 1, 4, 8, b"\0\x10\x20\x30\x40"))
    gray = read_image(path)
    assert gray.alpha is not None
    assert (gray.pixels[0, 1].tolist(), gray.alpha.tolist()) == ([48] * 3, [[32, 64]])
    palette = (b"PLTE", bytes([255, 0, 0, 0, 255, 0]))
    path.write_bytes(png(2, 1, 3, 1, b"\0\x40", [palette]))
    assert read_image(path).pixels.tolist() == [[[0, 0, 255], [0, 255, 0]]]
    path.write_bytes(png(2, 1, 3, 8, b"\0\0\1", [palette, (b"tRNS", bytes([255, 0]))]))
    indexed = read_image(path)
    assert indexed.alpha is not None
    assert indexed.alpha.tolist() == [[255, 0]]


def test_cmyk_is_converted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    # Adobe's inverted CMYK: no cyan, all magenta and yellow, no black.
    path.write_bytes(cmyk_jpeg((255, 0, 0, 255)))
    picture = read_image(path)
    assert "CMYK" in picture.notes[0]
    assert np.abs(picture.pixels.reshape(-1, 3).astype(int) - (0, 0, 255)).max() <= 3


def test_animations_give_their_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    control = (b"acTL", struct.pack(">II", 3, 0))
    path.write_bytes(png(1, 1, 2, 8, b"\0\1\2\3", [control]))
    picture = read_image(path)
    assert picture.pixels.tolist() == [[[3, 2, 1]]]
    assert "first of 3 frames" in picture.notes[0]
    gif = make_clip(tmp_path / "a.gif", frames=4, encoder="gif", pixel_format="bgr8")
    assert read_image(gif).pixels.shape == (240, 320, 3)


def test_the_limit_is_compared_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    # The pixels are missing: decoding it would fail, but it is not tried.
    path.write_bytes(png(20_000, 20_000, 2, 8, b""))
    with pytest.raises(MediaTooLarge, match="20000×20000"):
        read_image(path)
    path.write_bytes(png(20_000, 2, 0, 8, (b"\0" + bytes(20_000)) * 2))
    assert read_image(path).pixels.shape == (2, 20_000, 3)
    with pytest.raises(MediaTooLarge):
        read_image(path, max_pixels=39_999)


def test_one_pixel(tmp_path: Path) -> None:
    for extension in OUTPUT_FORMATS:
        path = tmp_path / f"a.{extension}"
        write_image(path, Picture(np.full((1, 1, 3), 77, np.uint8)), quality=100)
        assert np.abs(read_image(path).pixels.astype(int) - 77).max() <= 2


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tiff", "avif", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_truncated_pictures(
    tmp_path: Path, extension: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    data = cv2.imencode(f".{extension}", noise)[1].tobytes()
    path = tmp_path / f"torn.{extension}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CorruptMedia, match=rf"torn\.{extension} is .*damaged"):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_a_flipped_byte_in_a_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    data = bytearray(cv2.imencode(".png", smooth())[1].tobytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptMedia):
        read_image(path)


def test_a_video_is_no_picture(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2).rename(tmp_path / "a.jpg")
    with pytest.raises(UnsupportedMedia, match="MP4 video"):
        read_image(clip)


def test_wrong_outputs_are_refused(tmp_path: Path) -> None:
    picture = Picture(smooth())
    with pytest.raises(OptionError, match=r"\.jpg, \.jpeg, \.png"):
        write_image(tmp_path / "a.mp4", picture)
    with pytest.raises(OptionError, match="0 to 100"):
        write_image(tmp_path / "a.jpg", picture, quality=101)
    with pytest.raises(OutputNotWritable):
        write_image(tmp_path / "none" / "a.jpg", picture)
    assert list(tmp_path.iterdir()) == []


def test_quality_changes_the_size(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for extension in ("jpg", "webp", "avif"):
        sizes = []
        for quality in (20, 90):
            path = tmp_path / f"{quality}.{extension}"
            write_image(path, Picture(noise), quality=quality)
            sizes.append(path.stat().st_size)
        assert sizes[0] < sizes[1]
