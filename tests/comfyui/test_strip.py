"""Metadata goes, pictures and sound stay; made and read with other libraries than the code under test."""

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mien.comfyui.strip import strip
from mien.media.sniff import sniff
from mien.testing.comfyui.files import png

SECRET = "CLIPTextEncode secret prompt"
PICTURE = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)


def test_png_texts_go_and_pixels_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(PICTURE, {"prompt": {"text": SECRET}, "workflow": {"text": SECRET}}))
    strip(path, "png")
    assert SECRET.encode() not in path.read_bytes()
    assert np.array_equal(cv2.imread(str(path)), PICTURE)


@pytest.mark.parametrize(("ending", "format"), [("jpg", "jpeg"), ("webp", "webp")])
def test_exif_goes_and_pixels_stay(tmp_path: Path, ending: str, format: str) -> None:
    path = tmp_path / f"a.{ending}"
    exif = np.frombuffer(b"Exif\0\0MM\0*\0\0\0\x08\0\0" + json.dumps({"prompt": SECRET}).encode(), np.uint8)
    data = cv2.imencodeWithMetadata(f".{ending}", PICTURE, [cv2.IMAGE_METADATA_EXIF], [exif])[1].tobytes()
    assert SECRET.encode() in data
    path.write_bytes(data)
    before = cv2.imread(str(path), cv2.IMREAD_COLOR_BGR | cv2.IMREAD_IGNORE_ORIENTATION)
    strip(path, format)
    assert SECRET.encode() not in path.read_bytes()
    assert np.array_equal(cv2.imread(str(path)), before)


def film(path: Path, codec: str) -> None:
    with av.open(
        str(path), "w", options={"movflags": "use_metadata_tags"} if path.suffix == ".mp4" else {}
    ) as file:
        file.metadata["prompt"] = SECRET
        file.metadata["comment"] = SECRET
        stream = file.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(PICTURE, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 8)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def frames(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray().tobytes() for frame in file.decode(video=0)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_tags_of_videos_go_and_frames_stay(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    film(path, "vp8" if path.suffix == ".webm" else "mpeg4")
    assert SECRET.encode() in path.read_bytes()
    before, size = frames(path), path.stat().st_size
    strip(path, sniff(path).format)
    assert SECRET.encode() not in path.read_bytes()
    assert frames(path) == before
    assert path.stat().st_size == size


def test_comments_of_flac_go_and_samples_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    with av.open(str(path), "w") as file:
        file.metadata["prompt"] = SECRET
        stream = file.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.arange(4000, dtype=np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode())

    def samples() -> bytes:
        with av.open(str(path)) as file:
            return b"".join(frame.to_ndarray().tobytes() for frame in file.decode(audio=0))

    before = samples()
    assert SECRET.encode() in path.read_bytes()
    strip(path, "flac")
    assert SECRET.encode() not in path.read_bytes()
    assert samples() == before


@settings(deadline=None)
@example(data=bytes(6), format="matroska")
@given(
    data=st.binary(max_size=300),
    format=st.sampled_from(["png", "jpeg", "webp", "flac", "mp4", "matroska", "gif", ""]),
)
def test_damaged_files_do_no_harm(tmp_path_factory: pytest.TempPathFactory, data: bytes, format: str) -> None:
    heads = {
        "png": b"\x89PNG\r\n\x1a\n",
        "jpeg": b"\xff\xd8\xff\xe1",
        "webp": b"RIFF\0\0\0\0WEBP",
        "flac": b"fLaC",
        "mp4": b"\0\0\0\x08moov",
        "matroska": b"\x1aE\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff",
    }
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(heads.get(format, b"x") + data)
    strip(path, format)
    assert path.is_file()
