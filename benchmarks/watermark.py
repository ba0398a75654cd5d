"""What the invisible watermark costs per 720p frame, and what it survives.

    python benchmarks/watermark.py

Makes its own pictures. Costs are milliseconds of CPU time in one thread. The table says how many of the 64 bits come
back from a marked picture after each change, before the checksum is looked at, over all pictures: the worst one.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from mien.safety import watermark
from mien.types import Frame

ID = 0x0123456789
ROUNDS = 40


def pictures(width: int, height: int) -> dict[str, Frame]:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (height, width, 3), np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, width)[None, :, None], (height, width, 3))
    return {
        "clouds": np.asarray(cv2.GaussianBlur(noise, (0, 0), 6), np.uint8),
        "texture": noise,
        "ramp": np.ascontiguousarray(ramp.astype(np.uint8)),
        "grey": np.full((height, width, 3), 120, np.uint8),
    }


def jpeg(quality: int) -> Callable[[Frame], Frame]:
    def change(image: Frame) -> Frame:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    return change


def h264(crf: int) -> Callable[[Frame], Frame]:
    """The last of five equal frames."""

    def change(image: Frame) -> Frame:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            stream: Any = container.add_stream("libx264", rate=25)
            stream.height, stream.width = image.shape[:2]
            stream.pix_fmt, stream.options = "yuv420p", {"crf": str(crf), "preset": "veryfast"}
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(image, "bgr24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        file.seek(0)
        with av.open(file) as container:
            return [np.asarray(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)][-1]

    return change


def scaled(factor: float) -> Callable[[Frame], Frame]:
    return lambda image: np.asarray(
        cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8
    )


CHANGES: dict[str, Callable[[Frame], Frame]] = {
    "nothing": lambda image: image,
    "JPEG 50": jpeg(50),
    "JPEG 30": jpeg(30),
    "H.264 CRF 28": h264(28),
    "H.264 CRF 33": h264(33),
    "half size": scaled(0.5),
    "0.3 of the size": scaled(0.3),
    "half size, then JPEG 50": lambda image: jpeg(50)(scaled(0.5)(image)),
    "blur, sigma 2": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8),
    "10 % brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.1),
    "5 % cropped": lambda image: image[image.shape[0] // 20 :, image.shape[1] // 20 :],
    "turned by 2 degrees": lambda image: np.asarray(
        cv2.warpAffine(
            image,
            cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), 2, 1),
            (image.shape[1], image.shape[0]),
        ),
        np.uint8,
    ),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
}


def right_bits(image: Frame) -> int:
    upright = image.shape[0] > image.shape[1]
    votes = watermark._votes(watermark._blocks(image, upright))
    return int(((votes > 0) == (watermark.payload(ID) == 1)).sum())


def psnr(a: Frame, b: Frame) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def cost(work: Callable[[], object]) -> float:
    work()
    start = time.process_time()
    for _ in range(ROUNDS):
        work()
    return (time.process_time() - start) * 1000 / ROUNDS


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    cv2.setNumThreads(1)
    made = pictures(1280, 720)
    clouds = made["clouds"]
    marked = watermark.embed(clouds, ID)
    print(f"embed, 1280x720: {cost(lambda: watermark.embed(clouds, ID)):.1f} ms of CPU per frame")
    print(f"read,  1280x720: {cost(lambda: watermark.read([marked])):.1f} ms of CPU per frame")
    both = {name: (image, watermark.embed(image, ID)) for name, image in made.items()}
    print(f"PSNR: {min(psnr(*pair) for pair in both.values()):.1f} dB in the worst of {len(made)} pictures\n")
    for name, change in CHANGES.items():
        changed = [change(pair[1]) for pair in both.values()]
        read = [watermark.read([image]) for image in changed]
        found = sum(item is not None and item.id == ID for item in read)
        worst = min(right_bits(image) for image in changed)
        print(f"{name:26} worst {worst:2} of 64 bits, id read in {found} of {len(changed)}")


if __name__ == "__main__":
    main()
