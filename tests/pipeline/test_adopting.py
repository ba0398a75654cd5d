from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mien.errors import CorruptMedia, SigningFailed, UnsafeInput, UnsupportedMedia
from mien.media.images import Picture, read_image, write_image
from mien.media.probe import probe
from mien.media.reader import VideoReader
from mien.pipeline.adopting import Making
from mien.safety.keys import ROOT, create_keys
from mien.safety.marking import COMPOSITE, ENHANCED, TRAINED, marks_for, read_marks, tags_for
from mien.safety.verify import verify
from tests.pipeline.clips import make_clip
from tests.pipeline.fakes import fake_engine, left_over
from tests.pipeline.neural import neural_engine, write_picture, write_voters

RED, GREY = (0, 0, 255), (90, 90, 90)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "own"
    create_keys(folder, "Studio X")
    return folder


def noise(path: Path, *, tags: dict[str, str] | None = None) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
    write_image(path, Picture(pixels), tags=tags)
    return path


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize(
    ("operation", "type"), [("generated", TRAINED), ("edited", COMPOSITE), ("enhanced", ENHANCED)]
)
def test_pictures_are_marked_and_signed_as_they_are(
    ending: str, operation: Making, type: str, keys: Path, tmp_path: Path
) -> None:
    made, source = noise(tmp_path / f"made.{ending}"), noise(tmp_path / "source.png")
    sources = [] if operation == "generated" else [source]
    with fake_engine(tmp_path, signing_key=keys) as engine:
        found = engine.adopt_result(
            made,
            tmp_path / f"out.{ending}",
            operation=operation,
            name="paint",
            sources=sources,
            models=["net.pth"],
        )
    assert (found.content, found.signed, found.notices) == ("unchecked", True, ())
    output = tmp_path / f"out.{ending}"
    assert np.array_equal(read_image(output).pixels, read_image(made).pixels)
    marks = read_marks(output)
    assert marks is not None
    assert (marks.source_type, marks.operations) == (type, ("paint",))
    seen = verify(output, ((keys / ROOT).read_text(),))
    assert seen.verdict(must_be_trusted=True) == "marked"
    assert (seen.manifest.models, seen.manifest.source_types) == (("net.pth",), (type,))
    assert "paint" in seen.manifest.operations
    assert len(seen.manifest.parents) == len(sources)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_videos_are_marked_and_signed_with_the_same_pictures(ending: str, keys: Path, tmp_path: Path) -> None:
    made = make_clip(tmp_path / f"made.{ending}", 20)
    output = tmp_path / f"out.{ending}"
    with fake_engine(tmp_path, signing_key=keys) as engine:
        found = engine.adopt_result(made, output, operation="edited", name="move", sources=[made])
    assert (found.signed, found.notices) == (True, ())
    assert frames(output) == frames(made)
    assert probe(output).audio is not None
    marks = read_marks(output)
    assert marks is not None
    assert marks.source_type == COMPOSITE
    assert verify(output, ((keys / ROOT).read_text(),)).manifest.state == "trusted"


def test_what_was_generated_stays_so_when_it_is_made_larger(tmp_path: Path) -> None:
    source = noise(tmp_path / "source.png", tags=tags_for(marks_for({"paint": "generation"})))
    with fake_engine(tmp_path) as engine:
        engine.adopt_result(
            noise(tmp_path / "made.png"),
            tmp_path / "out.png",
            operation="enhanced",
            name="larger",
            sources=[source],
        )
    marks = read_marks(tmp_path / "out.png")
    assert marks is not None
    assert (marks.source_type, marks.operations) == (TRAINED, ("paint", "larger"))


def test_several_sources_are_all_named(keys: Path, tmp_path: Path) -> None:
    sources = [noise(tmp_path / f"{name}.png") for name in "abc"]
    with fake_engine(tmp_path, signing_key=keys) as engine:
        engine.adopt_result(
            noise(tmp_path / "made.png"),
            tmp_path / "out.png",
            operation="edited",
            name="mix",
            sources=sources,
        )
    manifest = verify(tmp_path / "out.png").manifest
    assert (manifest.state, len(manifest.parents)) == ("valid", 3)


CODECS = {
    "wav": ("wav", "pcm_s16le"),
    "mp3": ("mp3", "libmp3lame"),
    "flac": ("flac", "flac"),
    "ogg": ("ogg", "libopus"),
    "m4a": ("ipod", "aac"),
    "aac": ("adts", "aac"),
}


def sound(path: Path, ending: str) -> Path:
    """Half a second of a tone, with a tag that tells too much."""
    muxer, codec = CODECS[ending]
    wave = (np.sin(np.arange(24000) / 20) * 9000).astype(np.int16)[None]
    with av.open(str(path), "w", format=muxer) as container:
        if ending != "aac":
            container.metadata["comment"] = "the whole graph"
        stream = container.add_stream(codec, rate=48000, layout="mono")
        for at in range(0, 24000, 960):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, at : at + 960]), "s16", "mono")
            frame.rate, frame.pts = 48000, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def heard(path: Path) -> bytes:
    """All packets."""
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0) if packet.size)


@pytest.mark.parametrize("ending", list(CODECS))
def test_sounds_are_marked_and_signed_as_they_are(ending: str, keys: Path, tmp_path: Path) -> None:
    made = sound(tmp_path / f"made.{ending}", ending)
    with fake_engine(tmp_path, signing_key=keys) as engine:
        found = engine.adopt_result(
            made, tmp_path / f"out.{ending}", operation="generated", name="sing", must_mark=True
        )
    assert found.signed
    assert found.output == tmp_path / ("out.m4a" if ending == "aac" else f"out.{ending}")
    marks = read_marks(found.output)
    assert marks is not None
    assert (marks.source_type, marks.operations) == (TRAINED, ("sing",))
    seen = verify(found.output)
    assert (seen.verdict(), seen.manifest.state) == ("marked", "valid")
    if ending != "aac":
        assert heard(found.output) == heard(made)
        assert probe(found.output).audio == probe(made).audio
    assert "the whole graph" not in str(probe(found.output).tags) or ending == "wav"


def test_a_torn_sound_is_not_passed_on_unmarked(tmp_path: Path) -> None:
    made = sound(tmp_path / "made.wav", "wav")
    made.write_bytes(made.read_bytes()[:-5000])
    how = {"operation": "generated", "name": "sing"}
    with fake_engine(tmp_path) as engine:
        with pytest.raises(UnsupportedMedia, match=r"out\.wav has no place"):
            engine.adopt_result(made, tmp_path / "out.wav", must_mark=True, **how)  # type: ignore[arg-type]
        assert not (tmp_path / "out.wav").exists()
        found = engine.adopt_result(made, tmp_path / "out.wav", **how)  # type: ignore[arg-type]
    assert found.notices == ("out.wav has no place for the note that it was made by a program.",)


@pytest.mark.parametrize("alpha", [False, True])
def test_a_picture_without_a_place_for_marks_becomes_one_that_has_it(
    alpha: bool, keys: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (20, 30, 4 if alpha else 3), np.uint8)
    cv2.imwrite(str(tmp_path / "made.bmp"), pixels)
    with fake_engine(tmp_path, signing_key=keys) as engine:
        found = engine.adopt_result(
            tmp_path / "made.bmp",
            tmp_path / "out.bmp",
            operation="generated",
            name="paint",
            must_mark=True,
        )
    assert found.output == tmp_path / "out.png"
    assert found.notices == ("out.bmp became out.png, which has a place for marks.",)
    assert not (tmp_path / "out.bmp").exists()
    before, after = read_image(tmp_path / "made.bmp"), read_image(found.output)
    assert np.array_equal(after.pixels, before.pixels)
    assert (after.alpha is None) == (before.alpha is None)
    seen = verify(found.output)
    assert seen.marks is not None
    assert (seen.marks.source_type, seen.manifest.state) == (TRAINED, "valid")


@pytest.mark.parametrize("count", [1, 3])
def test_gifs_are_marked_as_they_are(count: int, keys: Path, tmp_path: Path) -> None:
    made = gif(tmp_path / "made.gif", count)
    before = made.read_bytes()
    with fake_engine(tmp_path, signing_key=keys) as engine:
        found = engine.adopt_result(
            made, tmp_path / "out.gif", operation="generated", name="paint", must_mark=True
        )
    assert (found.notices, found.signed) == ((), True)
    assert frames_of_gif(found.output) == frames_of_gif(made)
    assert len(frames_of_gif(made)) == count
    seen = verify(found.output)
    assert seen.marks is not None
    assert (seen.marks.operations, seen.manifest.state) == (("paint",), "valid")
    assert made.read_bytes() == before
    with fake_engine(tmp_path) as engine:
        again = engine.adopt_result(
            found.output, tmp_path / "again.gif", operation="enhanced", name="larger", sources=[found.output]
        )
    marks = read_marks(again.output)
    assert marks is not None
    assert (marks.source_type, marks.operations) == (TRAINED, ("paint", "larger"))
    assert again.output.read_bytes().count(b"XMP DataXMP") == 1


def test_avifs_are_marked_as_they_are(keys: Path, tmp_path: Path) -> None:
    made = noise(tmp_path / "made.avif")
    with fake_engine(tmp_path, signing_key=keys) as engine:
        found = engine.adopt_result(
            made, tmp_path / "out.avif", operation="generated", name="paint", must_mark=True
        )
    assert (found.notices, found.signed) == ((), True)
    assert np.array_equal(read_image(found.output).pixels, read_image(made).pixels)
    seen = verify(found.output)
    assert seen.marks is not None
    assert (seen.marks.operations, seen.manifest.state) == (("paint",), "valid")


def test_a_video_of_a_kind_without_a_place_for_marks_becomes_one_that_has_it(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 20)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "made.ts"), "w", format="mpegts") as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    with fake_engine(tmp_path) as engine:
        found = engine.adopt_result(
            tmp_path / "made.ts", tmp_path / "out.ts", operation="edited", name="move", must_mark=True
        )
    assert found.output == tmp_path / "out.mkv"
    assert read_marks(found.output) is not None
    assert frames(found.output) == frames(clip)


def gif(path: Path, count: int) -> Path:
    """So many pictures of 2×1 pixels, in black and white."""
    head = (
        (b"GIF87a" if count == 1 else b"GIF89a")
        + struct.pack("<HHBBB", 2, 1, 0x80, 0, 0)
        + b"\0\0\0\xff\xff\xff"
    )
    pictures = b""
    for number in range(count):
        # Codes of three bits: clear, two pixels, end.
        codes = (4, number & 1, 1 - (number & 1), 5)
        packed = sum(code << 3 * place for place, code in enumerate(codes))
        pictures += b"\x21\xf9\x04\0\x0a\0\0\0" if count > 1 else b""
        pictures += b"\x2c" + struct.pack("<HHHHB", 0, 0, 2, 1, 0) + b"\x02\x02"
        pictures += packed.to_bytes(2, "little") + b"\0"
    path.write_bytes(head + pictures + b"\x3b")
    return path


def frames_of_gif(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24").tobytes() for frame in container.decode(video=0)]


def test_without_the_signature_that_must_be_there_is_no_output(tmp_path: Path) -> None:
    made = noise(tmp_path / "made.png")
    with fake_engine(tmp_path, signing="required") as engine, pytest.raises(SigningFailed):
        engine.adopt_result(made, tmp_path / "out.png", operation="generated", name="paint")
    assert left_over(tmp_path, "made.png") == []


def test_a_torn_video_is_refused(tmp_path: Path) -> None:
    made = make_clip(tmp_path / "made.mp4", 10)
    made.write_bytes(made.read_bytes()[:200])
    with fake_engine(tmp_path) as engine, pytest.raises(CorruptMedia):
        engine.adopt_result(made, tmp_path / "out.mp4", operation="generated", name="paint")
    assert left_over(tmp_path, "made.mp4") == []


def test_the_content_policy_judges_what_others_made(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "voters").mkdir()
    write_voters(tmp_path / "voters")
    good = write_picture(tmp_path / "good.png", np.full((40, 60, 3), GREY, np.uint8))
    bad = write_picture(tmp_path / "bad.png", np.full((40, 60, 3), RED, np.uint8))
    how = {"operation": "generated", "name": "paint"}
    with neural_engine(tmp_path / "voters", tmp_path / "cache") as engine:
        assert engine.adopt_result(good, tmp_path / "a.png", **how).content == "passed"  # type: ignore[arg-type]
        with pytest.raises(UnsafeInput, match=r"bad\.png shows sexual content"):
            engine.adopt_result(bad, tmp_path / "b.png", **how)  # type: ignore[arg-type]
        assert not (tmp_path / "b.png").exists()
        flag = {"content_policy": "flag"}
        assert engine.adopt_result(bad, tmp_path / "c.png", options=flag, **how).content == "flagged"  # type: ignore[arg-type]
        clip = make_clip(tmp_path / "clip.mp4", 60, sound=False)
        assert engine.judge([good, clip]) == "passed"
        with pytest.raises(UnsafeInput):
            engine.judge([good, bad])


def frames(path: Path) -> list[str]:
    with VideoReader(path) as reader:
        return [hashlib.sha256(frame.image.tobytes()).hexdigest() for frame in reader]
