from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from mien.errors import ConsentMissing, NoFace, OptionError, OutputNotWritable, SigningFailed
from mien.media.atomic import Finish
from mien.media.concat import concat
from mien.pipeline.step import Result, Step
from mien.safety.audit import check, file_hash
from mien.safety.carriers import media_type, sidecar_of
from mien.safety.keys import CHAIN, KEY, ROOT, create_keys
from mien.safety.manifests import read_manifest
from mien.safety.marking import ENHANCED, read_marks
from mien.safety.signer import Signer, load_signer
from mien.safety.verify import verify
from mien.settings import Signing
from tests.pipeline.clips import make_clip
from tests.pipeline.fakes import fake_engine, left_over
from tests.safety import independent

MARK = {"output_watermark": True, "output_watermark_id": "00c0ffee42"}
FORMATS = {
    "jpg": "jpeg",
    "png": "png",
    "webp": "webp",
    "avif": "avif",
    "tiff": "tiff",
    "mp4": "mp4",
    "mov": "mov",
}
CLIPS = ("mp4", "mov", "mkv", "webm", "avi")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "own"
    create_keys(folder, "Studio X")
    return folder


def target_for(folder: Path, ending: str) -> Path:
    if ending in CLIPS:
        return make_clip(folder / "target.mp4", 30)
    path = folder / "target.png"
    noise = np.random.default_rng(4).integers(0, 256, (300, 400, 3), np.uint8)
    cv2.imwrite(str(path), cv2.GaussianBlur(noise, (0, 0), 4))
    return path


def run(
    folder: Path,
    ending: str,
    *,
    target: Path | None = None,
    options: dict[str, Any] | None = None,
    processors: tuple[str, ...] = ("inverter",),
    **settings: Any,
) -> Result:
    step = Step(target or target_for(folder, ending), folder / f"out.{ending}", (), processors, options or {})
    with fake_engine(folder, **settings) as engine:
        return engine.run(step)


@pytest.mark.parametrize("ending", FORMATS)
def test_every_output_is_signed(ending: str, keys: Path, tmp_path: Path) -> None:
    result = run(tmp_path, ending, signing_key=keys)
    assert result.signed
    store = independent.read(result.output, media_type(FORMATS[ending]), anchors=keys / ROOT)
    assert store["validation_state"] == "Trusted"
    assert "face" not in json.dumps(independent.active(store)["ingredients"])
    found = verify(result.output, ((keys / ROOT).read_text(),))
    assert found.verdict(must_be_trusted=True) == "marked"
    assert found.manifest.operations == ("c2pa.opened", "inverter")
    assert found.manifest.source_types == (ENHANCED,)
    marks = read_marks(result.output)
    assert marks is not None
    assert marks.operations == ("inverter",)
    place = {"webp": 0.02, "tiff": 0.1}.get(ending, 0.97)
    assert verify(independent.flipped(result.output, place)).verdict() == "tampered"


@pytest.mark.parametrize("ending", ["mkv", "webm"])
def test_the_signature_lies_beside_what_cannot_hold_it(ending: str, keys: Path, tmp_path: Path) -> None:
    result = run(tmp_path, ending, signing_key=keys)
    assert result.signed
    assert left_over(tmp_path, "target.mp4", f"out.{ending}") == [f"out.{ending}.c2pa"]
    found = verify(result.output, ((keys / ROOT).read_text(),))
    assert (found.manifest.state, found.manifest.beside) == ("trusted", True)
    assert found.marks is not None


def test_without_a_key_outputs_are_marked_only(tmp_path: Path) -> None:
    result = run(tmp_path, "png")
    assert not result.signed
    found = verify(result.output)
    assert (found.manifest.state, found.verdict()) == ("none", "marked")
    assert result.watermark is None
    assert found.watermark is None


@pytest.mark.parametrize("ending", ["png", "mp4"])
def test_recoding_strips_the_signature_and_verify_says_so(ending: str, keys: Path, tmp_path: Path) -> None:
    result = run(tmp_path, ending, signing_key=keys)
    copy = tmp_path / f"copy.{ending}"
    if ending == "png":
        cv2.imwrite(str(copy), cv2.imread(str(result.output)))
        found = verify(copy)
        assert (found.manifest.state, found.verdict()) == ("none", "unmarked")
        return
    with (
        av.open(str(result.output)) as source,
        av.open(str(copy), "w", options={"movflags": "use_metadata_tags"}) as remuxed,
    ):
        remuxed.metadata.update(source.metadata)
        stream = remuxed.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                remuxed.mux(packet)
    found = verify(copy)
    assert found.manifest.state == "none"
    assert found.marks is not None
    assert found.verdict() == "marked"


def test_the_parent_and_its_own_history_are_kept(keys: Path, tmp_path: Path) -> None:
    first = run(tmp_path, "png", signing_key=keys).output.rename(tmp_path / "first.png")
    second = run(tmp_path, "jpg", target=first, signing_key=keys)
    store = independent.read(second.output, "image/jpeg", anchors=keys / ROOT)
    assert len(store["manifests"]) == 2
    (parent,) = read_manifest(second.output, "jpeg").parents
    assert (parent.state, parent.signer) == ("valid", "Studio X")
    third = run(tmp_path, "jpg", target=first, signing="off")
    assert any("has Content Credentials, which only a signed output can carry on" in n for n in third.notices)


def broken(keys: Path) -> Signer:
    def sign(data: bytes) -> bytes:
        raise RuntimeError("no key")

    return Signer(sign, (keys / CHAIN).read_text())


@pytest.mark.parametrize("ending", ["png", "mp4", "mkv"])
def test_a_failed_signature_that_is_required_leaves_nothing(ending: str, keys: Path, tmp_path: Path) -> None:
    target = target_for(tmp_path, ending)
    output = tmp_path / f"out.{ending}"
    output.write_bytes(b"older")
    with fake_engine(tmp_path, signing="required") as engine:
        engine._signer = broken(keys)
        with pytest.raises(SigningFailed, match="could not be signed"):
            engine.run(Step(target, output, (), ("inverter",)))
    assert output.read_bytes() == b"older"
    assert [
        name for name in left_over(tmp_path, target.name, output.name) if not name.startswith("cache/work")
    ] == []


def test_a_failed_signature_that_is_not_required_is_told(keys: Path, tmp_path: Path) -> None:
    target = target_for(tmp_path, "png")
    with fake_engine(tmp_path) as engine:
        engine._signer = broken(keys)
        result = engine.run(Step(target, tmp_path / "out.png", (), ("inverter",)))
    assert not result.signed
    assert any("without a signature" in notice for notice in result.notices)
    assert read_manifest(result.output, "png").state == "none"


def test_a_sidecar_goes_when_its_output_cannot_come(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.media import images

    def fail(path: Path, picture: object, *, quality: int, tags: object, finish: Finish) -> None:
        path.write_bytes(b"BM")
        finish(path)
        path.unlink()
        raise OutputNotWritable("The folder is gone.")

    monkeypatch.setattr("mien.pipeline.image.write_image", fail)
    assert images.write_image is not fail
    with pytest.raises(OutputNotWritable):
        run(tmp_path, "bmp", signing_key=keys)
    assert not sidecar_of(tmp_path / "out.bmp").exists()


@pytest.mark.parametrize("signing", ["optional", "required"])
def test_an_unusable_key(signing: Signing, keys: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes((keys / KEY).read_bytes())
    if signing == "required":
        with pytest.raises(SigningFailed, match="without certificates"):
            run(tmp_path, "png", signing_key=key, signing=signing)
        return
    result = run(tmp_path, "png", signing_key=key, signing=signing)
    assert any("without certificates" in notice for notice in result.notices)


def test_a_required_signature_without_a_key_is_refused_before_work(tmp_path: Path) -> None:
    with pytest.raises(SigningFailed, match="there is no key"):
        run(tmp_path, "png", signing="required")
    assert left_over(tmp_path, "target.png") == []


def test_an_unsigned_run_loads_no_library_for_signing(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.pipeline.test_provenance import run, target_for;"
        "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith(('c2pa', 'mien.safety.cred'))];"
        "run(Path(sys.argv[1]), 'png', target=Path(sys.argv[2])); print('c2pa' in sys.modules)"
    )
    words = [sys.executable, "-c", program, str(tmp_path), str(target_for(tmp_path, "png"))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX")
def test_a_key_for_everybody_is_told(tmp_path: Path) -> None:
    create_keys(tmp_path / "open")
    (tmp_path / "open" / KEY).chmod(0o644)
    result = run(tmp_path, "png", signing_key=tmp_path / "open")
    assert result.signed
    assert any("can be read by other users" in notice for notice in result.notices)


def test_a_signer_of_the_caller(keys: Path, tmp_path: Path) -> None:
    target = target_for(tmp_path, "png")
    with fake_engine(tmp_path) as engine:
        engine._signer = load_signer(keys)
        assert engine.run(Step(target, tmp_path / "out.png", (), ("inverter",))).signed


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_watermark_in_a_picture(ending: str, tmp_path: Path) -> None:
    result = run(tmp_path, ending, options=MARK)
    assert result.watermark == "00c0ffee42"
    found = verify(result.output).watermark
    assert found is not None
    assert found.text == "00c0ffee42"


def test_a_watermark_in_a_video_with_a_signature_that_names_it(keys: Path, tmp_path: Path) -> None:
    options = {**MARK, "output_video_scale": 4.0}
    result = run(tmp_path, "mp4", options=options, signing_key=keys)
    found = verify(result.output)
    assert found.watermark is not None
    assert found.watermark.text == "00c0ffee42"
    assert "c2pa.watermarked.unbound" in found.manifest.operations
    assert any("watermark" in sentence for sentence in found.sentences())


def test_an_id_of_its_own_is_the_same_for_the_same_work(tmp_path: Path) -> None:
    options = {"output_watermark": True}
    first, second = (run(tmp_path, "png", options=options, target=None).watermark for _ in range(2))
    assert first is not None
    assert len(first) == 10
    target = tmp_path / "target.png"
    again = run(tmp_path, "png", options=options, target=target).watermark
    assert again == run(tmp_path, "png", options=options, target=target).watermark
    assert second is not None
    assert run(tmp_path, "png", options={**options, "inverter_strength": 9}, target=target).watermark != again


@pytest.mark.parametrize("id", ["", "12", "00c0ffee4g", "00c0ffee421", "0x00c0ffee", "00_c0ffee4"])
def test_a_wrong_id_is_refused(id: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="10 hexadecimal digits"):
        run(tmp_path, "png", options={"output_watermark": True, "output_watermark_id": id})


@pytest.mark.parametrize("ending", ["png", "mp4"])
def test_a_badge(ending: str, tmp_path: Path) -> None:
    result = run(
        tmp_path,
        ending,
        options={"output_badge": "top-left", "output_badge_text": "AI", "inverter_strength": 0},
    )
    with av.open(str(result.output)) as container:
        image = next(container.decode(video=0)).to_ndarray(format="bgr24")
    assert image[:20, :20].max() > 180
    assert image[60:].max() < 40


def test_a_badge_is_seen_on_transparent_ground(tmp_path: Path) -> None:
    result = run(tmp_path, "png", options={"output_badge": "bottom-left"}, processors=("cutout",))
    alpha = cv2.imread(str(result.output), cv2.IMREAD_UNCHANGED)[:, :, 3]
    assert alpha[:100, :100].max() == 0
    assert alpha[-24:-10, 10:40].min() == 255


def records(log: Path) -> list[dict[str, Any]]:
    assert not check(log).problem
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_each_run_leaves_one_record(keys: Path, tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    settings: dict[str, Any] = {"audit_log": log, "audit_user": "ada", "signing_key": keys}
    result = run(tmp_path, "png", options={"consent_ref": "C-17", **MARK}, **settings)
    with pytest.raises(NoFace):
        run(tmp_path, "jpg", processors=("marker",), **settings)
    done, failed = records(log)
    assert done["user"] == "ada"
    assert done["processors"] == ["inverter"]
    assert done["consent_ref"] == "C-17"
    assert done["outcome"] == "completed"
    assert done["content"] == "unchecked"
    assert done["output_sha256"] == file_hash(result.output)
    assert (done["signed"], done["watermark"]) == (True, "00c0ffee42")
    assert (failed["outcome"], failed["consent_ref"]) == ("no_face", None)
    assert "output_sha256" not in failed
    assert str(tmp_path) not in log.read_text()
    assert "target" not in log.read_text()
    assert b"C-17" not in result.output.read_bytes()
    result.output.unlink()
    assert len(records(log)) == 2


def test_names_are_written_only_where_they_are_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    run(tmp_path, "png", audit_log=log, audit_names=True)
    (record,) = records(log)
    assert record["target"] == str(tmp_path / "target.png")
    assert record["output"] == str(tmp_path / "out.png")


def test_consent_can_be_required(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    with pytest.raises(ConsentMissing, match="give consent_ref"):
        run(tmp_path, "png", audit_log=log, require_consent=True)
    assert not (tmp_path / "out.png").exists()
    assert [record["outcome"] for record in records(log)] == ["consent_missing"]
    run(tmp_path, "png", options={"consent_ref": "C-1"}, audit_log=log, require_consent=True)
    assert (tmp_path / "out.png").exists()
    with pytest.raises(OptionError, match="MIEN_AUDIT_LOG"):
        run(tmp_path, "png", options={"consent_ref": "C-1"}, require_consent=True)


def test_a_log_that_cannot_be_written_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable):
        run(tmp_path, "png", audit_log=tmp_path / "nowhere" / "log")
    assert not (tmp_path / "out.png").exists()


def test_a_consent_does_not_make_finished_segments_worthless(tmp_path: Path) -> None:
    target = make_clip(tmp_path / "target.mp4", 60)
    step = {"target": target, "output": tmp_path / "out.mp4", "processors": ("failing",)}
    with fake_engine(tmp_path, segment_seconds=0.2) as engine, pytest.raises(RuntimeError):
        engine.run(Step(**step, options={"consent_ref": "C-1"}))
    first = {path.name for path in (tmp_path / "cache" / "work").iterdir() if path.is_dir()}
    with fake_engine(tmp_path, segment_seconds=0.2) as engine, pytest.raises(RuntimeError):
        engine.run(Step(**step, options={"consent_ref": "C-2"}))
    assert {path.name for path in (tmp_path / "cache" / "work").iterdir() if path.is_dir()} == first


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_video_that_was_joined_from_outputs_is_signed(ending: str, keys: Path, tmp_path: Path) -> None:
    with fake_engine(tmp_path, signing_key=keys) as engine:
        parts = []
        for name in ("a", "b"):
            target = make_clip(tmp_path / f"{name}-in.mp4", 10)
            step = Step(target, tmp_path / f"{name}.{ending}", processors=("inverter",))
            parts.append(engine.run(step).output)
        output = tmp_path / f"whole.{ending}"
        concat(parts, output, finish=engine.seal_joined(parts, output))
    found = verify(output, ((keys / ROOT).read_text(),))
    assert found.manifest.state == "trusted"
    assert found.manifest.operations == ("c2pa.opened", "join", "c2pa.placed")
    assert [parent.state for parent in found.manifest.parents] == ["valid", "valid"]
    assert found.manifest.source_types == (ENHANCED,)


def test_a_joined_video_is_not_written_where_it_must_be_signed(tmp_path: Path) -> None:
    unable = fake_engine(tmp_path, signing="required", signing_key=tmp_path / "none")
    with unable as engine, pytest.raises(SigningFailed):
        engine.seal_joined([tmp_path / "a.mp4"], tmp_path / "out.mp4")
    with fake_engine(tmp_path) as engine:
        assert engine.seal_joined([tmp_path / "a.mp4"], tmp_path / "out.mp4") is None
