from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import UnsafeInput
from mien.media.sniff import Sniffed
from mien.service import polyglots
from mien.service.polyglots import check_single
from tests.service.conftest import picture

PICTURE, VIDEO = Sniffed("image", "png"), Sniffed("video", "mp4")
ACTIVE = (b"<script", b"<!doctype html", b"<html", b"<?php")
PACKED = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")
HARMLESS = st.binary(max_size=60).map(lambda data: data.translate(None, b"<7RP%"))
"""Bytes among which no mark can begin."""


def second_of(content: bytes, found: Sniffed = PICTURE) -> str | None:
    """What a file is as well, in the words of the refusal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.bin")
        path.write_bytes(content)
        try:
            check_single(path, found)
        except UnsafeInput as error:
            before, _, after = str(error).partition(" as well as ")
            assert after == f"{found.format.upper()} media; send it without that."
            return before.removeprefix(f"{path} is ")
        return None


def zip_of(comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.html", b"x")
        archive.comment = comment
    return file.getvalue()


@settings(deadline=None, max_examples=40)
@given(HARMLESS)
def test_whatever_else_is_in_a_picture_is_no_reason_to_refuse_it(noise: bytes) -> None:
    assert second_of(picture() + noise) is None


@settings(deadline=None, max_examples=40)
@given(HARMLESS, HARMLESS, st.sampled_from(ACTIVE + PACKED), st.integers(1, 40))
def test_a_mark_is_seen_wherever_the_blocks_end(before: bytes, after: bytes, mark: bytes, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polyglots, "_BLOCK", block)
        assert second_of(before + mark + after) is not None


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(ACTIVE), st.data())
def test_pages_and_programs_are_seen_in_any_case(mark: bytes, data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(mark), max_size=len(mark)))
    letters = zip(mark.decode(), upper, strict=True)
    mixed = "".join(letter.upper() if up else letter for letter, up in letters)
    found = second_of(picture() + mixed.encode())
    assert found in ("a web page with a script", "a web page", "a PHP program")


def test_the_marks_of_archives_are_bytes_and_have_no_case() -> None:
    assert second_of(picture() + b"rAR!\x1a\x07") is None
    assert second_of(picture() + b"Rar!\x1a\x07") == "a RAR archive"
    assert second_of(picture() + b"7z\xbc\xaf\x27\x1c") == "a 7z archive"


def test_a_video_may_hold_text_of_a_page_but_is_no_archive_and_no_document() -> None:
    for mark in (*ACTIVE, *PACKED):
        assert second_of(b"frames" + mark, VIDEO) is None
    assert second_of(b"frames" + zip_of(), VIDEO) == "a ZIP archive"
    assert second_of(b"%PDF-1.7 frames", VIDEO) == "a PDF document"


@pytest.mark.parametrize(("at", "found"), [(0, True), (1019, True), (1020, False), (5000, False)])
def test_a_document_is_one_whose_mark_is_where_readers_look_for_it(at: int, found: bool) -> None:
    assert (second_of(b"\0" * at + b"%PDF-1.4") == "a PDF document") is found


@pytest.mark.parametrize("comment", [b"", b"short", b"c" * 65535], ids=len)
def test_an_archive_is_found_from_its_end_whatever_stands_before_and_behind(comment: bytes) -> None:
    assert second_of(picture() + zip_of(comment)) == "a ZIP archive"
    if len(comment) < 60_000:
        assert second_of(picture() + zip_of(comment) + b"more bytes") == "a ZIP archive"
        # A second end record that is none hides nothing.
        assert second_of(picture() + zip_of(comment) + b"PK\x05\x06") == "a ZIP archive"


def test_an_end_record_of_nothing_and_one_that_is_cut_off_are_no_archive() -> None:
    assert second_of(picture() + b"PK\x05\x06" + b"\0" * 18) is None
    assert second_of(picture() + zip_of(b"comment")[:-7]) is None
    assert second_of(picture() + zip_of()[:-1]) is None


def test_an_empty_file_is_nothing_else() -> None:
    assert second_of(b"") is None
