"""What a file says of itself, put together: credentials, plain marks and the watermark, and the verdict on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import CorruptMedia, InputMissing
from mien.media.images import Picture, write_image
from mien.safety.credentials import Claim, Operation, sign_file
from mien.safety.keys import ROOT
from mien.safety.manifests import Manifest
from mien.safety.marking import COMPOSITE, Marks, marks_for, tags_for
from mien.safety.signer import load_signer
from mien.safety.verify import Findings, anchors_of, read_anchors, verify
from mien.safety.watermark import embed
from mien.settings import Settings

SWAP = Operation("face_swapper", COMPOSITE, ("inswapper_128",))
ID = 0xC0FFEE42


@pytest.fixture
def image() -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 256, (240, 320, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def written(path: Path, image: np.ndarray, *, marked: bool = False) -> Path:
    tags = tags_for(marks_for({"face_swapper": "synthetic"})) if marked else None
    write_image(path, Picture(image), tags=tags)
    return path


def signed(path: Path, keys: Path) -> Path:
    sign_file(path, "png", Claim((SWAP,), path, "png"), load_signer(keys))
    return path


def test_a_file_without_anything(image: np.ndarray, tmp_path: Path) -> None:
    found = verify(written(tmp_path / "plain.png", image))
    assert (found.is_marked, found.verdict(), found.kind) == (False, "unmarked", "image")
    assert "does not mean that it shows what happened" in found.sentences()[0]


def test_each_layer_counts_by_itself(image: np.ndarray, keys: Path, tmp_path: Path) -> None:
    marks = verify(written(tmp_path / "marks.png", image, marked=True))
    assert marks.verdict() == "marked"
    assert marks.marks is not None
    assert marks.manifest.state == "none"
    hidden = verify(written(tmp_path / "hidden.png", embed(image, ID)))
    assert hidden.verdict() == "marked"
    assert hidden.watermark is not None
    assert hidden.watermark.text == f"{ID:010x}"
    assert any(f"{ID:010x}" in line for line in hidden.sentences())
    credentials = verify(signed(written(tmp_path / "signed.png", image), keys))
    assert credentials.verdict() == "marked"
    assert credentials.manifest.operations == ("c2pa.opened", "face_swapper")


def test_trust_is_asked_for(image: np.ndarray, keys: Path, tmp_path: Path) -> None:
    path = signed(written(tmp_path / "signed.png", image, marked=True), keys)
    assert verify(path).verdict(must_be_trusted=True) == "untrusted"
    trusted = verify(path, (read_anchors(keys / ROOT),))
    assert trusted.verdict(must_be_trusted=True) == "marked"
    assert any("the signer is trusted" in line for line in trusted.sentences())


def test_what_was_changed_is_said_whatever_else_is_there(
    image: np.ndarray, keys: Path, tmp_path: Path
) -> None:
    path = signed(written(tmp_path / "signed.png", embed(image, ID), marked=True), keys)
    data = bytearray(path.read_bytes())
    data[int(len(data) * 0.97)] ^= 1
    path.write_bytes(data)
    found = verify(path, (read_anchors(keys / ROOT),))
    assert found.verdict() == "tampered"
    assert "trust nothing" in found.sentences()[0]


def test_a_damaged_file_that_is_not_signed_is_an_error(image: np.ndarray, tmp_path: Path) -> None:
    path = written(tmp_path / "torn.png", image)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(CorruptMedia, match=r"torn\.png"):
        verify(path)


def test_the_anchors_of_an_installation(keys: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text("a certificate")
    settings = Settings(signing_key=keys, trust_anchors=other)
    assert anchors_of(settings) == ("a certificate", (keys / ROOT).read_text())
    assert anchors_of(Settings(signing_key=tmp_path)) == ()
    with pytest.raises(InputMissing, match=r"none\.pem cannot be read"):
        anchors_of(Settings(trust_anchors=tmp_path / "none.pem"))


def test_types_are_said_in_words(tmp_path: Path) -> None:
    def said(source_type: str) -> str:
        marks = Marks(source_type, "other program")
        return Findings(tmp_path / "a.png", "image", Manifest("none"), marks, None).sentences()[-1]

    assert "partly made by a trained algorithm (compositeWithTrainedAlgorithmicMedia)" in said(COMPOSITE)
    assert "made or changed by an algorithm (virtualRecording)" in said(
        "http://cv.iptc.org/newscodes/digitalsourcetype/virtualRecording"
    )
    assert "not known to mien (print)" in said("http://cv.iptc.org/newscodes/digitalsourcetype/print")
