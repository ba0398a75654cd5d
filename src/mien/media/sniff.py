"""What a file is, by its first bytes: names and extensions are never trusted.

A file that says ``.mp4`` may be a playlist that makes a demuxer open other files, so everything that is
opened has been recognised here first, and is then opened with the one demuxer that belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mien.errors import CorruptMedia, InputMissing, UnsafeInput, UnsupportedMedia
from mien.types import MediaKind

_HEAD_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Sniffed:
    """Kind and canonical format name of a file, as ``MediaInfo`` uses them."""

    kind: MediaKind
    format: str


_EXTENSIONS: Final = {
    "jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "png": ("png", "apng"),
    "webp": ("webp",),
    "bmp": ("bmp", "dib"),
    "tiff": ("tif", "tiff"),
    "avif": ("avif",),
    "gif": ("gif",),
    "mp4": ("mp4", "m4v", "mov", "qt", "3gp", "3g2", "m4a", "m4b", "mj2"),
    "mov": ("mov", "qt", "mp4", "m4v"),
    "matroska": ("mkv", "mka", "webm"),
    "webm": ("webm", "mkv"),
    "avi": ("avi",),
    "mpegts": ("ts", "m2ts", "mts", "tsv"),
    "mpeg": ("mpg", "mpeg", "vob", "m2p"),
    "flv": ("flv",),
    "asf": ("wmv", "asf", "wma"),
    "mxf": ("mxf",),
    "ogg": ("ogg", "ogv", "oga", "opus"),
    "wav": ("wav",),
    "mp3": ("mp3",),
    "flac": ("flac",),
    "aac": ("aac",),
    "m4a": ("m4a", "m4b", "mp4"),
}

_MAGIC: Final[tuple[tuple[bytes, MediaKind, str], ...]] = (
    (b"\xff\xd8\xff", "image", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image", "png"),
    (b"II*\0", "image", "tiff"),
    (b"MM\0*", "image", "tiff"),
    (b"II+\0", "image", "tiff"),
    (b"MM\0+", "image", "tiff"),
    (b"GIF87a", "image", "gif"),
    (b"GIF89a", "image", "gif"),
    (b"FLV\x01", "video", "flv"),
    (b"\0\0\x01\xba", "video", "mpeg"),
    (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "video", "asf"),
    (b"\x06\x0e+4\x02\x05\x01\x01", "video", "mxf"),
    (b"OggS", "audio", "ogg"),
    (b"fLaC", "audio", "flac"),
    (b"ID3", "audio", "mp3"),
)

_RIFF: Final[dict[bytes, tuple[MediaKind, str]]] = {
    b"WEBP": ("image", "webp"),
    b"AVI ": ("video", "avi"),
    b"WAVE": ("audio", "wav"),
}

_HEIF_BRANDS: Final = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_AUDIO_BRANDS: Final = frozenset({b"M4A ", b"M4B ", b"M4P "})
_QUICKTIME_ATOMS: Final = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})

# Texts that make a demuxer open other files or addresses.
_PLAYLISTS: Final = (
    b"#extm3u", b"ffconcat", b"v=0", b"[playlist]", b"[reference]", b"<asx", b"<smil", b"<mpd", b"rtsptext",
    b"file ", b"<?wpl", b"<playlist",
)  # fmt: skip

_BMP_HEADER_SIZES: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

_NAMED_UNSUPPORTED: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"\0\0\x01\0", "an icon"),
    (b"\0\0\x01\xb3", "a bare MPEG video stream"),
    (b"<svg", "an SVG drawing"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
)


def sniff(path: Path) -> Sniffed:
    """Recognise a media file by its content.

    Raises InputMissing when there is no such file, CorruptMedia when it is empty, UnsafeInput for a
    playlist or another text that points to further files, UnsupportedMedia for everything else that is
    not read.
    """
    head = read_head(path)
    if not head:
        raise CorruptMedia(f"{path} is empty.")
    found = _by_magic(head) or _by_structure(head)
    if found is None:
        raise _refusal(path, head)
    kind, name = found
    if name == "gif" and _is_animated_gif(path):
        kind = "video"
    if name == "ogg" and b"\x80theora" in head:
        kind = "video"
    return Sniffed(kind, name)


def read_head(path: Path, size: int = _HEAD_BYTES) -> bytes:
    """The first bytes of a regular file; raises InputMissing with a sentence when it cannot be opened."""
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise InputMissing(f"{path} {what}.")
        with path.open("rb") as file:
            return file.read(size)
    except InputMissing:
        raise
    except OSError as error:
        raise InputMissing(f"{path} cannot be opened: {error.strerror or error}.") from None


def mislabelled(path: Path, sniffed: Sniffed) -> str | None:
    """A sentence when the extension names another format than the content, else None."""
    suffix = path.suffix.lower().lstrip(".")
    known = {extension for extensions in _EXTENSIONS.values() for extension in extensions}
    if suffix not in known or suffix in _EXTENSIONS.get(sniffed.format, ()):
        return None
    return f"{path.name} is named .{suffix} but holds {describe(sniffed)}."


def describe(sniffed: Sniffed) -> str:
    """Words for a sentence: 'a PNG picture', 'an AVI video'."""
    nouns = {"image": "picture", "video": "video", "audio": "sound file"}
    article = "an" if sniffed.format[0] in "aeimf" and sniffed.format not in {"flac", "matroska"} else "a"
    return f"{article} {sniffed.format.upper()} {nouns[sniffed.kind]}"


def _by_magic(head: bytes) -> tuple[MediaKind, str] | None:
    for magic, kind, name in _MAGIC:
        if head.startswith(magic):
            return kind, name
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(head[8:12])
    if head[:4] == b"\x1aE\xdf\xa3":
        return "video", "webm" if b"webm" in head[:64] else "matroska"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "image", "bmp"
    return None


def _by_structure(head: bytes) -> tuple[MediaKind, str] | None:
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head[4:8] in _QUICKTIME_ATOMS:
        return "video", "mov"
    if _is_transport_stream(head):
        return "video", "mpegts"
    if head[0] == 0xFF and len(head) > 4:
        if head[1] in (0xF0, 0xF1, 0xF8, 0xF9):
            return "audio", "aac"
        if head[1] & 0xE6 in (0xE2, 0xE4, 0xE6) and head[2] & 0xF0 != 0xF0:
            return "audio", "mp3"
    return None


def _by_brand(head: bytes) -> tuple[MediaKind, str] | None:
    """ISO base media files: the major brand at byte 8, compatible brands from byte 16."""
    size = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head), 256), 4))}
    if brands & {b"avif", b"avis"}:
        return "image", "avif"
    if head[8:12] in _HEIF_BRANDS:
        return None
    if head[8:12] in _AUDIO_BRANDS:
        return "audio", "m4a"
    return "video", "mov" if head[8:12] == b"qt  " else "mp4"


def _is_transport_stream(head: bytes) -> bool:
    """Sync bytes every 188 bytes, or every 192 with a leading time code (Blu-ray)."""
    return any(
        len(head) > first + 2 * step and all(head[first + n * step] == 0x47 for n in range(3))
        for first, step in ((0, 188), (4, 192))
    )


def _is_animated_gif(path: Path) -> bool:
    """Whether a GIF has a second frame: walks the blocks, reads no pixels."""
    with path.open("rb") as file:
        data = file.read(64 * 1024 * 1024)
    if len(data) < 13:
        return False
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    frames = 0
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C and at + 9 < len(data):
            frames += 1
            if frames > 1:
                return True
            flags = data[at + 9]
            at += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        elif data[at] == 0x21:
            at += 2
        else:
            return False
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return False


def _refusal(path: Path, head: bytes) -> Exception:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<?xml"):
        text = text[text.find(b"?>") + 2 :].lstrip()
    if text.startswith(_PLAYLISTS):
        return UnsafeInput(f"{path} is a playlist that points to other files; name the media file itself.")
    if head[4:8] == b"ftyp":
        return UnsupportedMedia(f"{path} is a HEIF picture, which is not read; convert it to JPEG first.")
    for start, name in _NAMED_UNSUPPORTED:
        if head.startswith(start) or text.startswith(start):
            return UnsupportedMedia(f"{path} is {name}, which is not read.")
    if not head.strip(b"\0"):
        return CorruptMedia(f"{path} begins with zeros only; the file is damaged or was not fully copied.")
    return UnsupportedMedia(f"{path} is not a picture, video or sound file that is known here.")
