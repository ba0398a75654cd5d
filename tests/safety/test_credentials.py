from __future__ import annotations

import json
import shutil
import socket
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien._version import __version__
from mien.errors import SigningFailed
from mien.media.images import read_image
from mien.safety.carriers import may_have_manifest, media_type, sidecar_of
from mien.safety.credentials import Claim, Operation, sign_file
from mien.safety.keys import CHAIN, ROOT
from mien.safety.manifests import Ancestor, read_manifest
from mien.safety.marking import COMPOSITE, ENHANCED
from mien.safety.signer import Signer, load_signer
from tests.pipeline.clips import make_clip
from tests.safety import independent

SWAP = Operation("face_swapper", COMPOSITE, ("inswapper_128", "arcface"))
ENHANCE = Operation("face_enhancer", ENHANCED, ("gfpgan_1.4",))
FORMATS = {
    "jpg": "jpeg",
    "png": "png",
    "webp": "webp",
    "tiff": "tiff",
    "avif": "avif",
    "mp4": "mp4",
    "mov": "mov",
}


@pytest.fixture
def signer(keys: Path) -> Signer:
    return load_signer(keys)


def media(folder: Path, ending: str, name: str = "private-name") -> Path:
    path = folder / f"{name}.{ending}"
    if ending in ("mp4", "mov", "mkv", "webm"):
        return (
            make_clip(path, 10)
            if ending != "webm"
            else shutil.copy(make_clip(path.with_suffix(".mkv"), 10), path)
        )
    random = np.random.default_rng(2)
    cv2.imwrite(str(path), cv2.GaussianBlur(random.integers(0, 256, (90, 120, 3), np.uint8), (0, 0), 3))
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_an_independent_reader_finds_the_file_valid(
    ending: str, signer: Signer, keys: Path, tmp_path: Path
) -> None:
    format = FORMATS[ending]
    path, parent = media(tmp_path, ending, "out"), media(tmp_path, "png")
    sign_file(path, format, Claim((SWAP, ENHANCE), parent, "png"), signer)
    store = independent.read(path, media_type(format), anchors=keys / ROOT)
    assert store["validation_state"] == "Trusted"
    assert independent.read(path, media_type(format))["validation_state"] == "Valid"
    manifest = independent.active(store)
    (actions,) = [item["data"] for item in manifest["assertions"] if item["label"].startswith("c2pa.actions")]
    assert actions["allActionsIncluded"]
    opened, swapped, enhanced = actions["actions"]
    assert opened["action"] == "c2pa.opened"
    assert swapped["action"] == enhanced["action"] == "c2pa.edited"
    assert [swapped["digitalSourceType"], enhanced["digitalSourceType"]] == [COMPOSITE, ENHANCED]
    assert swapped["softwareAgent"] == {"name": "mien", "version": __version__}
    assert swapped["parameters"] == {
        "mien.operation": "face_swapper",
        "mien.models": ["inswapper_128", "arcface"],
    }
    (ingredient,) = manifest["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    assert manifest["claim_version"] == 2
    assert list(tmp_path.glob("*.signed")) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_one_flipped_byte_is_tampering(ending: str, signer: Signer, tmp_path: Path) -> None:
    format = FORMATS[ending]
    path = media(tmp_path, ending, "out")
    sign_file(path, format, Claim((SWAP,), media(tmp_path, "png"), "png"), signer)
    # Somewhere in the media data, which lie behind the manifest in all these files but two.
    changed = independent.flipped(path, {"tiff": 0.1, "webp": 0.1}.get(ending, 0.97))
    store = independent.read(changed, media_type(format))
    assert store["validation_state"] == "Invalid"
    assert any(code.endswith("Hash.mismatch") for code in independent.failures(store))
    found = read_manifest(changed, format)
    assert found.state == "tampered"
    assert "changed after it was signed" in found.problems[0]


@pytest.mark.parametrize("ending", ["webm", "mkv", "bmp"])
def test_what_cannot_hold_a_manifest_has_it_beside(
    ending: str, signer: Signer, keys: Path, tmp_path: Path
) -> None:
    format = {"mkv": "matroska"}.get(ending, ending)
    path = media(tmp_path, ending, "out")
    before = path.read_bytes()
    sign_file(path, format, Claim((SWAP,), media(tmp_path, "png"), "png"), signer)
    assert path.read_bytes() == before
    beside = sidecar_of(path)
    assert beside.name == f"out.{ending}.c2pa"
    store = independent.read(path, media_type(format), manifest=beside, anchors=keys / ROOT)
    assert store["validation_state"] == "Trusted"
    found = read_manifest(path, format, [(keys / ROOT).read_text()])
    assert (found.state, found.beside) == ("trusted", True)
    path.write_bytes(before[:-5] + b"\1" + before[-4:])
    assert read_manifest(path, format).state == "tampered"
    path.write_bytes(before)
    beside.rename(path.with_suffix(".c2pa"))  # as it was called before, and as other programs call it
    assert read_manifest(path, format).state == "valid"
    path.with_suffix(".c2pa").unlink()
    assert read_manifest(path, format).state == "none"


@pytest.mark.parametrize("name", ["parent.mkv.c2pa", "parent.c2pa"])
def test_the_history_of_a_parent_may_lie_beside_it(
    name: str, signer: Signer, keys: Path, tmp_path: Path
) -> None:
    parent, path = media(tmp_path, "mkv", "parent"), media(tmp_path, "png", "out")
    sign_file(parent, "matroska", Claim((SWAP,), media(tmp_path, "png"), "png"), signer)
    sidecar_of(parent).rename(tmp_path / name)
    sign_file(path, "png", Claim((ENHANCE,), parent, "matroska"), signer)
    store = independent.read(path, "image/png", anchors=keys / ROOT)
    assert (store["validation_state"], len(store["manifests"])) == ("Trusted", 2)
    assert read_manifest(path, "png").parents == (
        Ancestor("video/x-matroska", "valid", "Studio X", f"mien {__version__}"),
    )
    parent.write_bytes(parent.read_bytes()[:-1] + b"\1")
    again = media(tmp_path, "png", "again")
    sign_file(again, "png", Claim((ENHANCE,), parent, "matroska"), signer)
    assert read_manifest(again, "png").parents[0].state == "tampered"


def test_what_was_put_together_names_all_that_it_is_made_of(
    signer: Signer, keys: Path, tmp_path: Path
) -> None:
    first, second, whole = (
        media(tmp_path, ending, name) for name, ending in (("a", "mp4"), ("b", "mkv"), ("c", "mp4"))
    )
    origin = media(tmp_path, "png")
    sign_file(first, "mp4", Claim((SWAP,), origin, "png"), signer)
    sign_file(second, "matroska", Claim((ENHANCE,), origin, "png"), signer)
    join = Operation("join", COMPOSITE)
    sign_file(
        whole, "mp4", Claim((join,), first, "mp4", added=((second, "matroska"), (origin, "png"))), signer
    )
    store = independent.read(whole, "video/mp4", anchors=keys / ROOT)
    assert (store["validation_state"], len(store["manifests"])) == ("Trusted", 3)
    manifest = independent.active(store)
    relations = [item["relationship"] for item in manifest["ingredients"]]
    assert relations == ["parentOf", "componentOf", "componentOf"]
    (actions,) = [item["data"] for item in manifest["assertions"] if item["label"].startswith("c2pa.actions")]
    assert [action["action"] for action in actions["actions"]] == [
        "c2pa.opened",
        "c2pa.edited",
        "c2pa.placed",
    ]
    assert len(actions["actions"][2]["parameters"]["ingredients"]) == 2
    assert str(tmp_path) not in json.dumps(store)


def test_what_lies_beside_a_parent_may_be_no_manifest(signer: Signer, tmp_path: Path) -> None:
    parent, path = media(tmp_path, "mkv", "parent"), media(tmp_path, "png", "out")
    sidecar_of(parent).write_bytes(b"no manifest")
    sign_file(path, "png", Claim((ENHANCE,), parent, "matroska"), signer)
    assert independent.read(path, "image/png")["validation_state"] == "Valid"
    assert read_manifest(path, "png").parents[0].state == "none"


def test_a_signed_avif_is_still_read_here(signer: Signer, tmp_path: Path) -> None:
    path = media(tmp_path, "avif", "out")
    before = read_image(path).pixels
    sign_file(path, "avif", Claim((SWAP,), path, "avif"), signer)
    assert np.array_equal(read_image(path).pixels, before)


def test_the_history_is_kept(signer: Signer, keys: Path, tmp_path: Path) -> None:
    first, second, third = (media(tmp_path, "jpg", name) for name in ("a", "b", "c"))
    origin = media(tmp_path, "png")
    sign_file(first, "jpeg", Claim((SWAP,), origin, "png"), signer)
    sign_file(second, "jpeg", Claim((ENHANCE,), first, "jpeg"), signer)
    sign_file(third, "jpeg", Claim((ENHANCE,), second, "jpeg", watermark="00000000ff"), signer)
    store = independent.read(third, "image/jpeg", anchors=keys / ROOT)
    assert len(store["manifests"]) == 3
    assert store["validation_state"] == "Trusted"
    found = read_manifest(third, "jpeg", [(keys / ROOT).read_text()])
    assert found.parents == (Ancestor("image/jpeg", "valid", "Studio X", f"mien {__version__}"),)
    assert found.operations == ("c2pa.opened", "face_enhancer", "c2pa.watermarked.unbound")
    assert found.models == ("gfpgan_1.4",)
    assert found.source_types == (ENHANCED,)
    changed = independent.flipped(second, 0.97)
    sign_file(third, "jpeg", Claim((ENHANCE,), changed, "jpeg"), signer)
    assert read_manifest(third, "jpeg").parents[0].state == "tampered"


def test_nothing_personal_of_the_parent_is_told(signer: Signer, tmp_path: Path) -> None:
    path, parent = media(tmp_path, "png", "out"), media(tmp_path, "jpg")
    sign_file(path, "png", Claim((SWAP,), parent, "jpeg"), signer)
    data = path.read_bytes()
    assert b"private-name" not in data
    assert str(tmp_path).encode() not in data
    assert b"thumbnail" not in data
    text = json.dumps(independent.active(independent.read(path, "image/png")))
    assert "title" not in text


def test_a_parent_that_the_library_cannot_follow(signer: Signer, tmp_path: Path) -> None:
    parent = tmp_path / "odd.jpg"
    parent.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    path = media(tmp_path, "png", "out")
    sign_file(path, "png", Claim((SWAP,), parent, "jpeg"), signer)
    assert independent.read(path, "image/png")["validation_state"] == "Valid"


def test_a_key_that_stays_elsewhere_signs_by_a_call(keys: Path, tmp_path: Path) -> None:
    inner = load_signer(keys)
    asked: list[int] = []

    def sign(data: bytes) -> bytes:
        asked.append(len(data))
        return inner.sign(data)

    path = media(tmp_path, "png", "out")
    sign_file(path, "png", Claim((SWAP,), path, "png"), Signer(sign, (keys / CHAIN).read_text()))
    assert asked
    assert independent.read(path, "image/png", anchors=keys / ROOT)["validation_state"] == "Trusted"


def test_a_failed_signature_leaves_the_file_as_it_was(keys: Path, tmp_path: Path) -> None:
    def broken(data: bytes) -> bytes:
        raise RuntimeError("the key has gone away")

    path, parent = media(tmp_path, "png", "out"), media(tmp_path, "jpg")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(SigningFailed, match=r"out\.png could not be signed"):
        sign_file(path, "png", Claim((SWAP,), parent, "jpeg"), Signer(broken, (keys / CHAIN).read_text()))
    with pytest.raises(SigningFailed, match=r"could not be signed"):
        sign_file(path, "png", Claim((SWAP,), tmp_path / "gone.png", "png"), load_signer(keys))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_an_unreachable_time_stamp_authority_fails_the_signature(keys: Path, tmp_path: Path) -> None:
    path = media(tmp_path, "png", "out")
    with pytest.raises(SigningFailed):
        sign_file(path, "png", Claim((), path, "png"), load_signer(keys, "http://127.0.0.1:9/tsa"))


def test_a_damaged_manifest_is_tampering(signer: Signer, tmp_path: Path) -> None:
    path = media(tmp_path, "png", "out")
    assert not may_have_manifest(path, "png")
    sign_file(path, "png", Claim((SWAP,), path, "png"), signer)
    assert may_have_manifest(path, "png")
    data = bytearray(path.read_bytes())
    data[data.find(b"cbor") + 60] ^= 0xFF
    path.write_bytes(data)
    found = read_manifest(path, "png")
    assert found.state == "tampered"
    assert len(found.problems) >= 1


def test_reading_asks_nobody(signer: Signer, tmp_path: Path) -> None:
    """A file can name a server that holds its manifest; it is not asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = threading.Event()

        def wait() -> None:
            connection, _ = server.accept()
            asked.set()
            connection.close()

        threading.Thread(target=wait, daemon=True).start()
        path = media(tmp_path, "jpg", "out")
        address = f"http://127.0.0.1:{server.getsockname()[1]}/m.c2pa"
        packet = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}"/>'
            "</rdf:RDF></x:xmpmeta>"
        ).encode()
        body = b"http://ns.adobe.com/xap/1.0/\0" + packet
        data = path.read_bytes()
        path.write_bytes(data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:])
        found = read_manifest(path, "jpeg")
        assert found.state == "none"
        assert "lies on a server" in found.problems[0]
        output = media(tmp_path, "png", "made")
        sign_file(output, "png", Claim((SWAP,), path, "jpeg"), signer)
        assert not asked.wait(0.3)
