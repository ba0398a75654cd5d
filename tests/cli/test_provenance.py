from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.cli.commands.verify import EXIT_CODES
from mien.media.images import Picture, write_image
from mien.safety.audit import AuditLog, check
from mien.safety.credentials import Claim, Operation, sign_file
from mien.safety.keys import CHAIN, KEY, ROOT
from mien.safety.marking import COMPOSITE, marks_for, tags_for
from mien.safety.signer import load_signer
from mien.safety.watermark import embed
from mien.settings import Settings
from tests.cli.conftest import FakeProgram
from tests.safety.independent import flipped

Mien = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def keys(program: FakeProgram, mien: Mien, capsys: Capture) -> Path:
    folder = program.folder / "keys"
    assert mien("keys", "create", folder, "--name", "Studio Z", "--quiet") == 0
    capsys.readouterr()
    return folder


def picture(folder: Path, *, marked: bool = False, watermark: int | None = None) -> Path:
    noise = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
    pixels = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), np.uint8)
    if watermark is not None:
        pixels = embed(pixels, watermark)
    tags = tags_for(marks_for({"face_swapper": "synthetic"})) if marked else None
    path = folder / "some picture.png"
    write_image(path, Picture(pixels), tags=tags)
    return path


def signed(folder: Path, keys: Path) -> Path:
    path = picture(folder, marked=True, watermark=0xAB)
    claim = Claim(
        (Operation("face_swapper", COMPOSITE, ("inswapper_128",)),), picture(folder / "work"), "png"
    )
    sign_file(path, "png", claim, load_signer(keys))
    return path


def test_the_exit_codes_are_those_of_the_help(mien: Mien, capsys: Capture) -> None:
    assert mien("verify", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for code in EXIT_CODES.values():
        assert f"{code} " in text
    assert sorted(EXIT_CODES.values()) == [0, 3, 4, 5]


def test_keys_are_made_shown_and_renewed(mien: Mien, program: FakeProgram, capsys: Capture) -> None:
    folder = program.folder / "keys"
    assert mien("keys", "create", folder, "--json") == 0
    captured = capsys.readouterr()
    made = json.loads(captured.out)
    assert made["name"] == "mien"
    assert f"MIEN_SIGNING_KEY={folder}" in captured.err
    assert {path.name for path in folder.iterdir()} >= {KEY, CHAIN, ROOT}
    if os.name == "posix":
        assert stat.S_IMODE((folder / KEY).stat().st_mode) == 0o600
    assert mien("keys", "create", folder) == 2
    assert "holds keys already" in capsys.readouterr().err
    assert mien("keys", "show", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == made["sha256"]
    assert mien("keys", "renew", folder) == 0
    assert "key of mien, valid until" in capsys.readouterr().out
    assert mien("keys", "show", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["sha256"] != made["sha256"]
    assert mien("keys", "show", program.folder / "nowhere") == 11
    assert mien("keys", "renew", program.folder / "nowhere") == 2


def test_keys_made_without_a_folder_are_used_from_then_on(
    mien: Mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("mien.settings.own_keys", lambda: tmp_path / "own")
    monkeypatch.setattr("mien.cli.commands.keys.own_keys", lambda: tmp_path / "own")
    assert Settings.from_environment().signing_key is None
    assert mien("keys", "create") == 0
    assert "set MIEN_SIGNING_KEY" not in capsys.readouterr().err
    assert Settings.from_environment().signing_key == tmp_path / "own"
    assert Settings.from_environment({}).signing_key is None


def test_verify_says_in_words_what_was_found(mien: Mien, keys: Path, tmp_path: Path, capsys: Capture) -> None:
    path = signed(tmp_path, keys)
    assert mien("verify", path) == 0
    text = capsys.readouterr().out
    assert "some picture.png says how it was made." in text
    assert "valid, the file is as Studio Z signed it; who that is cannot be told" in text
    assert "Actions: c2pa.opened, face_swapper" in text
    assert "Models: inswapper_128" in text
    assert "partly made by a trained algorithm (compositeWithTrainedAlgorithmicMedia)" in text
    assert "Made from: image/png, without Content Credentials of its own" in text
    assert "Plain marks (unsigned" in text
    assert "Invisible watermark of mien: id 00000000ab" in text


def test_trust(mien: Mien, keys: Path, tmp_path: Path, capsys: Capture) -> None:
    path = signed(tmp_path, keys)
    assert mien("verify", path, "--trust", keys / ROOT) == 0
    assert "the signer is trusted" in capsys.readouterr().out
    mien("keys", "create", tmp_path / "others", "--quiet")
    assert mien("verify", path, "--trust", tmp_path / "others" / ROOT, "--json") == 5
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["manifest"]["state"]) == ("untrusted", "valid")
    assert mien("verify", picture(tmp_path, marked=True), "--trust", keys / ROOT) == 5
    assert mien("verify", path, "--trust", tmp_path / "nothing.pem") == 11


def test_the_own_key_and_named_authorities_are_trusted(
    mien: Mien,
    program: FakeProgram,
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    path = signed(tmp_path, keys)
    for setting in ({"signing_key": keys}, {"trust_anchors": keys / ROOT}):
        monkeypatch.setattr(program, "settings", lambda setting=setting: Settings(**setting))
        assert mien("verify", path, "--json") == 0
        assert json.loads(capsys.readouterr().out)["manifest"]["state"] == "trusted"


def test_a_tampered_file(mien: Mien, keys: Path, tmp_path: Path, capsys: Capture) -> None:
    path = flipped(signed(tmp_path, keys), 0.97)
    assert mien("verify", path) == 4
    assert "was changed after it was signed" in capsys.readouterr().out
    assert mien("verify", path, "--json") == 4
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == found["manifest"]["state"] == "tampered"


@pytest.mark.parametrize(("marked", "code"), [(True, 0), (False, 3)])
def test_a_file_without_a_signature(
    marked: bool, code: int, mien: Mien, tmp_path: Path, capsys: Capture
) -> None:
    assert mien("verify", picture(tmp_path, marked=marked)) == code
    text = capsys.readouterr().out
    assert "Content Credentials: none." in text
    assert ("carries no marks" in text) == (not marked)


def test_a_watermark_alone_is_a_mark(mien: Mien, tmp_path: Path, capsys: Capture) -> None:
    assert mien("verify", picture(tmp_path, watermark=7), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["watermark"]["id"] == "0000000007"
    assert found["marks"] is None


def test_what_is_no_media(mien: Mien, tmp_path: Path) -> None:
    assert mien("verify", tmp_path / "nothing.png") == 11
    (tmp_path / "text.png").write_text("no picture")
    assert mien("verify", tmp_path / "text.png") == 12
    assert mien("verify") == 2
    assert mien("verify", "https://example.org/picture.png") == 2  # offline
    damaged = picture(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:500])
    assert mien("verify", damaged) == 13


def test_audit_verify(
    mien: Mien, program: FakeProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    log = tmp_path / "audit.jsonl"
    assert mien("audit", "verify") == 2
    for number in range(3):
        AuditLog(log).append({"run": number})
    head = check(log).head
    capsys.readouterr()
    assert mien("audit", "verify", log) == 0
    assert f"3 records, none changed; the last hash is {head}." in capsys.readouterr().out
    monkeypatch.setattr(program, "settings", lambda: Settings(audit_log=log))
    assert mien("audit", "verify", "--json", "--head", head) == 0
    assert json.loads(capsys.readouterr().out)["whole"] is True
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    assert mien("audit", "verify") == 0
    assert mien("audit", "verify", "--head", head) == 4
    log.write_bytes(b"".join(lines).replace(b'"run":1', b'"run":8'))
    capsys.readouterr()
    assert mien("audit", "verify", "--json") == 4
    assert json.loads(capsys.readouterr().out)["problem"] == "Line 2 was changed."


def test_nothing_offers_to_hide_or_to_remove_marks(mien: Mien, capsys: Capture) -> None:
    for words in (
        ("--help",),
        ("keys", "--help"),
        ("verify", "--help-all"),
        ("swap", "--help-all"),
        ("options",),
    ):
        mien(*words)
        text = capsys.readouterr().out.lower()
        for hint in ("strip", "undetect", "evade", "bypass", "remove the mark", "remove mark"):
            assert hint not in text
