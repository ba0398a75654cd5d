"""Pictures: read upright as BGR with alpha, profile and provenance tags apart, and written whole or not
at all.

What is decided here: pictures of more than 8 bits per sample are rounded to 8 (``Picture.depth`` and
``notes`` say so); CMYK is converted without its profile; of an animated PNG or WebP the first frame is
taken (an animated GIF is a video). Formats without alpha get the picture on white. Colour profiles are
kept, not applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import CorruptMedia, OptionError, OutputError, UnsupportedMedia
from mien.media import exif, metadata
from mien.media.atomic import Finish, replacing
from mien.media.headers import Header, parse_header, read_bytes, still_png, without_uuid
from mien.media.orientation import Orientation
from mien.media.probe import MAX_PIXELS, check_pixels
from mien.media.sniff import describe, sniff
from mien.media.writable import output_format
from mien.types import Frame

# What is changed in the bytes before OpenCV sees them.
_PREPARED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "png": still_png,
    "tiff": exif.without_orientation,
    "avif": without_uuid,
}

_HOLDS_ALPHA: Final = frozenset({"png", "webp", "tiff", "avif"})


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture, upright.

    ``pixels`` is H×W×3 uint8 BGR, contiguous and writable; ``alpha`` is H×W uint8 (255 opaque) or None.
    ``icc`` is the RGB profile of the pixels, ``exif`` the few tags that are kept (no orientation, no
    position, no thumbnail), ``xmp`` the XMP packet as it was found (for reading only; it is not written
    back). ``depth`` is 16 when the file had more than 8 bits per sample, and ``notes`` are sentences
    about what was changed on reading.
    """

    pixels: Frame
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    format: str = "png"
    depth: int = 8
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture file of any supported format.

    The limit is compared with the header before anything is decoded. Raises InputMissing, CorruptMedia
    (empty, truncated, garbage), UnsafeInput, UnsupportedMedia (no picture, or an HDR picture),
    MediaTooLarge.
    """
    sniffed = sniff(path)
    if sniffed.kind != "image" and sniffed.format != "gif":
        raise UnsupportedMedia(f"{path} is {describe(sniffed)}, not a picture.")
    data = read_bytes(path)
    header = parse_header(data, sniffed.format, path)
    check_pixels(path, header.width, header.height, max_pixels)
    if header.hdr:
        raise UnsupportedMedia(
            f"{path} is an HDR picture (PQ or HLG), which is not read; convert it to SDR first."
        )
    decoded = _decode(_PREPARED.get(sniffed.format, bytes)(data), path)
    tags = metadata.read(data, sniffed.format)
    pixels, alpha = _split(_to_eight_bits(decoded, header))
    return Picture(
        pixels=_upright(pixels, header.orientation),
        alpha=None if alpha is None else _upright(alpha, header.orientation),
        icc=tags.icc if tags.icc and tags.icc[16:20] == b"RGB " else None,
        format=sniffed.format,
        depth=8 if decoded.dtype == np.uint8 else 16,
        exif=exif.kept(tags.exif) if tags.exif else None,
        xmp=tags.xmp,
        notes=_notes(path, header, decoded),
    )


def decode_jpeg(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Frame:
    """The upright pixels of a JPEG in memory, H×W×3 uint8 BGR; ``name`` stands for it in errors.

    Raises CorruptMedia for what is no whole JPEG, MediaTooLarge.
    """
    place = Path(name)
    if not data.startswith(b"\xff\xd8\xff"):
        raise CorruptMedia(f"{name} is not a JPEG picture.")
    header = parse_header(data, "jpeg", place)
    check_pixels(place, header.width, header.height, max_pixels)
    pixels, _ = _split(_to_eight_bits(_decode(data, place), header))
    return _upright(pixels, header.orientation)


def write_image(
    path: Path,
    picture: Picture,
    *,
    quality: int = 90,
    tags: Mapping[str, str] | None = None,
    finish: Finish | None = None,
) -> None:
    """Write a picture in the format of the extension of ``path``, whole or not at all.

    ``quality`` (0 to 100) is used by JPEG, WebP and AVIF. ``tags`` become an XMP packet in JPEG, PNG,
    WebP, TIFF and AVIF: see ``metadata.xmp_packet`` for the names. The profile is kept by the same
    formats. ``finish`` may change the finished file before it appears under its name. Raises OptionError
    for an unknown extension or quality, OutputNotWritable, DiskFull, and what ``finish`` raises.
    """
    data = encode_image(output_format(path), picture, quality=quality, tags=tags)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        if finish is not None:
            finish(temporary)


def write_encoded(
    path: Path,
    data: bytes,
    picture: Picture,
    *,
    tags: Mapping[str, str] | None = None,
    finish: Finish | None = None,
) -> None:
    """Write a picture that is encoded already, with the profile and the EXIF tags of ``picture`` and with ``tags``.

    The bytes must be in the format of the extension. ``finish`` is that of ``write_image``. Raises OptionError,
    OutputNotWritable, DiskFull.
    """
    xmp = metadata.xmp_packet(tags) if tags else None
    whole = metadata.add(data, output_format(path), metadata.Metadata(picture.icc, picture.exif, xmp))
    with replacing(path) as temporary:
        temporary.write_bytes(whole)
        if finish is not None:
            finish(temporary)


def encode_image(
    format: str, picture: Picture, *, quality: int = 90, tags: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a picture in ``format`` (a value of OUTPUT_FORMATS); see ``write_image``."""
    if not 0 <= quality <= 100:
        raise OptionError(f"The quality of a picture is 0 to 100, not {quality}.")
    pixels: NDArray[Any] = picture.pixels
    if picture.alpha is not None:
        pixels = np.dstack((pixels, picture.alpha)) if format in _HOLDS_ALPHA else _on_white(picture)
    xmp = metadata.xmp_packet(tags) if tags else None
    blocks = metadata.Metadata(picture.icc, picture.exif, xmp)
    return metadata.add(_encode(np.ascontiguousarray(pixels), format, quality, blocks), format, blocks)


def _decode(data: bytes, path: Path) -> NDArray[Any]:
    # OpenCV prints its own lines about damaged files; the error below says it better.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        raise CorruptMedia(f"{path} is damaged or incomplete and cannot be decoded.")
    return image


def _encode(pixels: NDArray[Any], format: str, quality: int, blocks: metadata.Metadata) -> bytes:
    # Only in AVIF are the blocks woven into the file in a way that cannot be added afterwards.
    kinds, values = metadata.for_opencv(blocks) if format == "avif" else ([], [])
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        done, buffer = cv2.imencodeWithMetadata(
            f".{format}", pixels, kinds, values, _parameters(format, quality)
        )
    except cv2.error:
        done = False
    if not done:
        height, width = pixels.shape[:2]
        raise OutputError(f"A picture of {width}×{height} pixels cannot be stored as {format.upper()}.")
    return buffer.tobytes()


def _to_eight_bits(image: NDArray[Any], header: Header) -> NDArray[np.uint8]:
    """Round to 8 bits: 16-bit samples by their full scale, floating point as 0 to 1."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        # AVIF hands out 10 and 12 bits unscaled, all others use the full 16.
        top = (1 << header.depth) - 1 if header.depth in (10, 12) else 65535
        table = (np.arange(65536, dtype=np.uint32) * 255 + top // 2) // top
        return np.asarray(np.minimum(table, 255).astype(np.uint8)[image])
    return np.asarray((np.clip(np.nan_to_num(image), 0, 1) * 255 + 0.5).astype(np.uint8))


def _split(image: NDArray[np.uint8]) -> tuple[Frame, NDArray[np.uint8] | None]:
    """BGR and alpha of a gray, gray with alpha, BGR or BGRA array."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 4:
        return _convert(image, cv2.COLOR_BGRA2BGR), np.ascontiguousarray(image[:, :, 3])
    if channels == 3:
        return image, None
    gray = image if image.ndim == 2 else np.ascontiguousarray(image[:, :, 0])
    alpha = np.ascontiguousarray(image[:, :, 1]) if channels == 2 else None
    return _convert(gray, cv2.COLOR_GRAY2BGR), alpha


def _convert(image: NDArray[np.uint8], code: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _upright(image: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    return np.ascontiguousarray(orientation.apply(image))


def _on_white(picture: Picture) -> Frame:
    alpha = np.asarray(picture.alpha)[:, :, None].astype(np.uint16)
    mixed = (picture.pixels * alpha + 255 * (255 - alpha) + 127) // 255
    return np.asarray(mixed.astype(np.uint8))


def _parameters(format: str, quality: int) -> list[int]:
    if format == "jpeg":
        # Full chroma where quality is asked for: the half one alone costs more than 4/255 at edges.
        sampling = (
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if quality >= 90 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        )
        return [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    if format == "webp":
        return [cv2.IMWRITE_WEBP_QUALITY, max(quality, 1)]
    if format == "avif":
        return [cv2.IMWRITE_AVIF_QUALITY, quality]
    return []


def _notes(path: Path, header: Header, decoded: NDArray[Any]) -> tuple[str, ...]:
    notes = []
    if decoded.dtype != np.uint8:
        notes.append(f"{path.name} has more than 8 bits per sample and was rounded to 8.")
    if header.components == 4:
        notes.append(f"{path.name} is a CMYK picture and was converted to RGB without its colour profile.")
    if header.frames > 1:
        notes.append(f"{path.name} is animated; only the first of {header.frames} frames was read.")
    return tuple(notes)
