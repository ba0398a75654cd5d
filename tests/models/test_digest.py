from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from mien.models import digest
from mien.models.digest import Digest, Verified, digest_of, parse_hash, read_hash_file


def test_hashes_of_known_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123456789")
    assert digest_of(tmp_path / "a", "crc32") == Digest("crc32", "cbf43926")  # the check value of CRC-32
    assert digest_of(tmp_path / "a", "sha256").value == hashlib.sha256(b"123456789").hexdigest()


def test_a_crc_keeps_its_leading_zeros(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert digest_of(tmp_path / "empty", "crc32").value == "00000000"


@pytest.mark.parametrize("content", [b"0123abcd", b"0123ABCD", b" 0123abcd\n"])
def test_hash_files_hold_eight_digits(content: bytes) -> None:
    assert parse_hash(content) == Digest("crc32", "0123abcd")


@pytest.mark.parametrize("content", [b"", b"0123abc", b"0123abcde", b"<html>", b"0123abcg", b"\xff" * 8])
def test_anything_else_is_no_hash(content: bytes, tmp_path: Path) -> None:
    assert parse_hash(content) is None
    (tmp_path / "m.hash").write_bytes(content)
    assert read_hash_file(tmp_path / "m.hash") is None
    assert read_hash_file(tmp_path / "none.hash") is None


def test_a_record_counts_until_the_file_changes(tmp_path: Path) -> None:
    path, verified = tmp_path / "m", Verified(tmp_path / "verified")
    path.write_bytes(b"one")
    right = digest_of(path, "sha256")
    assert not verified.holds(path, right)
    verified.record(path, right)
    assert verified.holds(path, right)
    assert not verified.holds(path, Digest("sha256", "0" * 64))
    stat = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert not verified.holds(path, right)


def test_forgetting(tmp_path: Path) -> None:
    path, verified = tmp_path / "m", Verified(tmp_path / "verified")
    path.write_bytes(b"one")
    verified.record(path, digest_of(path, "crc32"))
    verified.forget(path)
    assert not verified.holds(path, digest_of(path, "crc32"))


def test_the_digest_is_read_from_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, verified = tmp_path / "m", Verified(tmp_path / "verified")
    path.write_bytes(b"one")
    first = verified.digest(path)
    assert first == "sha256:" + hashlib.sha256(b"one").hexdigest()
    monkeypatch.setattr(digest, "digest_of", lambda *_: pytest.fail("hashed twice"))
    assert verified.digest(path) == first


@pytest.mark.parametrize("rubbish", ["", "[]", "{", '{"digest": "sha256:0"}'])
def test_a_torn_record_is_no_record(tmp_path: Path, rubbish: str) -> None:
    path, verified = tmp_path / "m", Verified(tmp_path / "verified")
    path.write_bytes(b"one")
    verified.record(path, digest_of(path, "sha256"))
    (entry,) = (tmp_path / "verified").iterdir()
    entry.write_text(rubbish)
    assert not verified.holds(path, digest_of(path, "sha256"))
    assert verified.digest(path) == str(digest_of(path, "sha256"))


def test_a_folder_that_cannot_be_made_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "verified").write_text("in the way")
    (tmp_path / "m").write_bytes(b"one")
    verified = Verified(tmp_path / "verified")
    verified.record(tmp_path / "m", digest_of(tmp_path / "m", "sha256"))
    assert verified.digest(tmp_path / "m").startswith("sha256:")


def test_many_threads_record_the_same_file(tmp_path: Path) -> None:
    path, verified = tmp_path / "m", Verified(tmp_path / "verified")
    path.write_bytes(b"one")
    right = digest_of(path, "sha256")
    threads = [threading.Thread(target=verified.record, args=(path, right)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verified.holds(path, right)
    assert len(list((tmp_path / "verified").iterdir())) == 1
