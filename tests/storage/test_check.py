from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mien.storage import Storage, StorageSettings, storage_of
from mien.storage.check import Finding, check
from tests.storage.conftest import aws, cloudflare
from tests.storage.servers import Cloud


def outcomes(findings: list[Finding]) -> dict[str, str]:
    return {finding.part: finding.outcome for finding in findings}


def test_a_private_bucket(s3: Storage) -> None:
    assert outcomes(list(check(s3))) == dict.fromkeys(("put", "open", "sign", "privacy", "delete"), "works")


def test_a_bucket_that_everybody_can_read(s3: Storage) -> None:
    findings = list(check(s3, lambda address: 200))
    assert outcomes(findings)["privacy"] == "warning"
    assert "it is public" in next(item.sentence for item in findings if item.part == "privacy")


def test_cloudflare_is_private(cf: Storage, images: Cloud) -> None:
    assert set(outcomes(list(check(cf))).values()) == {"works"}
    assert not images.objects


def test_public_pictures_are_told(images: Cloud) -> None:
    settings = StorageSettings.from_environment({**cloudflare(images), "CF_IMAGES_REQUIRE_SIGNED_URLS": "no"})
    findings = list(check(storage_of("cfimages://acc", settings), lambda address: 200))
    assert "Everybody can read" in next(item.sentence for item in findings if item.part == "privacy")


def test_this_machine_does_not_sign(local: Storage, tmp_path: Path) -> None:
    assert outcomes(list(check(local))) == {
        "put": "works", "open": "works", "sign": "not set up", "delete": "works",
    }  # fmt: skip
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


def test_nothing_more_is_tried_when_putting_fails() -> None:
    storage = storage_of("s3://shelf", StorageSettings.from_environment(aws("http://127.0.0.1:9")))
    (finding,) = check(storage)
    assert (finding.part, finding.outcome) == ("put", "fails")


@pytest.mark.parametrize(("status", "words"), [(403, "answers with status 403"), (None, "does not answer")])
def test_a_signed_address_that_does_not_work(s3: Storage, status: int | None, words: str) -> None:
    findings = list(check(s3, lambda address: status))
    assert outcomes(findings)["sign"] == "fails"
    assert words in next(item.sentence for item in findings if item.part == "sign")
    assert outcomes(findings)["delete"] == "works"


def test_what_comes_back_is_compared(local: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = local.open
    monkeypatch.setattr(local, "open", lambda url: replace(opened(url), chunks=iter([b"other"])))
    assert outcomes(list(check(local)))["open"] == "fails"


def test_what_is_still_there_after_deleting_is_told(local: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "delete", lambda url: None)
    assert outcomes(list(check(local)))["delete"] == "fails"


def test_the_picture_is_deleted_when_the_check_is_stopped(local: Storage, tmp_path: Path) -> None:
    findings = check(local)
    next(findings)
    findings.close()
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
