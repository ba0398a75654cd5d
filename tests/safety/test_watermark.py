from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest

from mien.models.store import ModelStore
from mien.safety import watermark
from mien.safety.watermark import Watermark, embed, payload, read
from mien.types import Frame

ID = 0x0123456789


def made(name: str) -> Frame:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (720, 1280, 3), np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, 1280)[None, :, None], (720, 1280, 3))
    pictures: dict[str, Any] = {
        "clouds": cv2.GaussianBlur(noise, (0, 0), 6),
        "texture": noise,
        "ramp": ramp.astype(np.uint8),
        "grey": np.full((720, 1280, 3), 120, np.uint8),
        "upright": cv2.resize(cv2.GaussianBlur(noise, (0, 0), 3), (720, 960)),
        "square": cv2.resize(cv2.GaussianBlur(noise, (0, 0), 3), (600, 600)),
        "small": cv2.resize(noise, (480, 270), interpolation=cv2.INTER_AREA),
    }
    return np.ascontiguousarray(pictures[name])


PICTURES = ("clouds", "texture", "ramp", "grey", "upright", "square", "small")


def psnr(a: Frame, b: Frame) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def jpeg(image: Frame, quality: int) -> Frame:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def h264(images: list[Frame], crf: int) -> list[Frame]:
    file = io.BytesIO()
    height, width = (length // 2 * 2 for length in images[0].shape[:2])
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def half(image: Frame) -> Frame:
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def id_of(*images: Frame) -> int | None:
    found = read(images)
    return None if found is None else found.id


@pytest.mark.parametrize("name", PICTURES)
def test_the_mark_survives_what_is_promised(name: str) -> None:
    picture = made(name)
    marked = embed(picture, ID)
    assert psnr(picture, marked) >= 45
    assert id_of(picture) is None
    for seen in (marked, jpeg(marked, 50), h264([marked] * 5, 28)[-1], half(marked)):
        bits = sum(int(bit) for bit in payload(ID) == payload(id_of(seen) or 0))
        assert bits == 64


def test_the_mark_survives_on_portraits(builtin_store: ModelStore) -> None:
    for id in ("sample_astronaut", "sample_hopper"):
        picture = np.asarray(cv2.imread(str(builtin_store.path(id))), np.uint8)
        marked = embed(picture, ID)
        assert psnr(picture, marked) >= 45
        changed = (marked, jpeg(marked, 50), h264([marked] * 5, 28)[-1], half(marked))
        assert [id_of(seen) for seen in changed] == [ID] * 4


def test_frames_of_a_video_are_read_together() -> None:
    scene = made("clouds")
    frames = [np.ascontiguousarray(scene[2 * n : 2 * n + 360, 3 * n : 3 * n + 640]) for n in range(12)]
    seen = h264([embed(frame, ID) for frame in frames], 28)
    assert id_of(*seen) == ID
    assert id_of(*[half(frame) for frame in seen]) == ID
    assert id_of(*frames) is None


def test_nothing_is_found_in_500_unmarked_pictures() -> None:
    random = np.random.default_rng(7)
    for _ in range(500):
        height, width = (int(length) for length in random.integers(60, 500, 2))
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        sigma = float(random.uniform(0, 8))
        if sigma > 0.5:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
        if random.random() < 0.2:
            image = np.asarray(image // 64 * 64, np.uint8)
        assert read([image]) is None


@pytest.mark.parametrize("value", [0, 1, 127, 255])
def test_a_flat_picture_holds_no_mark(value: int) -> None:
    assert read([np.full((90, 160, 3), value, np.uint8)]) is None
    assert read([]) is None


def test_colours_stay_and_the_given_picture_too() -> None:
    picture = made("clouds")
    before = picture.copy()
    marked = embed(picture, ID)
    assert np.array_equal(picture, before)
    assert marked.dtype == np.uint8
    difference = marked.astype(int) - picture
    assert np.abs(difference).max() <= 8
    assert np.array_equal(difference[:, :, 0], difference[:, :, 1])


def test_any_id_of_40_bits() -> None:
    picture = made("clouds")
    for id in (0, 1, (1 << 40) - 1):
        found = read([embed(picture, id)])
        assert found is not None
        assert (found.id, found.version, found.text) == (id, watermark.VERSION, f"{id:010x}")
        assert found.certainty > 0.8
    with pytest.raises(ValueError, match="40 bits"):
        payload(1 << 40)


def test_a_wrong_checksum_is_no_mark() -> None:
    votes = np.where(payload(ID) == 1, 1.0, -1.0)
    assert watermark._decode(votes) == Watermark(ID, 1, 1.0)
    for place in (0, 9, 30):
        wrong = np.where(np.arange(64) == place, -1.0, 1.0)
        # A certain bit that is wrong is not talked away; an uncertain one is.
        doubtful = np.where(np.isin(np.arange(64), range(50, 57)), 0.5, 1.0)
        assert watermark._decode(votes * wrong * doubtful) is None
        assert watermark._decode(votes * np.where(np.arange(64) == place, -0.1, 1.0)) == Watermark(
            ID, 1, pytest.approx(63.1 / 64)
        )
