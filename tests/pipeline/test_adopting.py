from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest

from mien.errors import CorruptMedia, SigningFailed, UnsafeInput
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


def test_sounds_are_signed_and_not_marked(keys: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.wav"
    with av.open(str(made), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with fake_engine(tmp_path, signing_key=keys) as engine:
        found = engine.adopt_result(made, tmp_path / "out.wav", operation="generated", name="sing")
    assert found.signed
    assert found.notices == ("out.wav has no place for the note that it was made by a program.",)
    assert verify(tmp_path / "out.wav").manifest.state == "valid"


def test_a_picture_without_a_place_for_marks_is_told(tmp_path: Path) -> None:
    made = noise(tmp_path / "made.bmp")
    with fake_engine(tmp_path) as engine:
        found = engine.adopt_result(made, tmp_path / "out.bmp", operation="generated", name="paint")
    assert found.notices == ("out.bmp has no place for the note that it was made by a program.",)
    assert (tmp_path / "out.bmp").read_bytes() == made.read_bytes()


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
