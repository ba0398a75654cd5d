"""The reference cases, as commands, with FaceFusion's arithmetic; `make parity` runs all and keeps the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.parity import (
    LIMIT,
    Figures,
    Missing,
    References,
    difference,
    other_bytes,
    references,
    report,
    table,
)

from tests.conftest import SHARED

LONG = frozenset({"video-full-length", "video-audio-aac", "video-audio-replaced", "video-swap"})
"""Left to `make parity`: what they show, shorter cases show as well."""


def _names() -> list[str]:
    index = SHARED / "goldens" / "index.json"
    if not index.is_file():
        return []
    return [case["id"] for case in json.loads(index.read_text())["cases"] if case["id"] not in LONG]


@pytest.fixture(scope="module")
def found(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> References:
    pytest.importorskip("onnx")
    return references(shared, tmp_path_factory.mktemp("parity-models"))


@pytest.mark.parametrize(
    "name", _names() or [pytest.param("", marks=pytest.mark.skip(reason="no references"))]
)
def test_a_case_is_repeated(name: str, found: References, tmp_path: Path) -> None:
    figures = found.compare(name, tmp_path)
    assert figures.remark == ""
    assert figures.code == figures.expected_code
    assert figures.error is None or figures.error <= 0.1
    assert figures.more == ()


def test_the_standins_are_those_of_the_references(found: References) -> None:
    assert other_bytes(found) == []


def test_absent_references_are_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        Missing, match=r"The reference cases are not here: .*index\.json is missing\."
    ) as caught:
        references(tmp_path)
    assert "\n" not in str(caught.value)


def test_only_pixels_that_change_count() -> None:
    before = np.zeros((4, 4, 3), np.uint8)
    expected, got = before.copy(), before.copy()
    expected[0, 0] = 10
    got[0, 0] = 12
    assert difference(got, expected, before) == (2.0, 2)
    got[3, 3] = 4
    assert difference(got, expected, before) == (3.0, 4)
    assert difference(got, expected, before, of=expected) == (2.0, 2)
    with pytest.raises(ValueError, match="the size is"):
        difference(got[:2], expected, before)


def _figures(**changes: object) -> Figures:
    values = {
        "case": "one", "words": "", "code": 0, "expected_code": 0, "error": 0.0, "largest": 0, "decoded": None,
        "runs": 3, "expected_runs": 5, "more": (),
    }  # fmt: skip
    return Figures(**{**values, **changes})  # type: ignore[arg-type]


def test_what_differs_is_seen_in_the_table() -> None:
    wrong = [
        _figures(code=1),
        _figures(error=LIMIT + 0.1, largest=9),
        _figures(more=("swapper.onnx",)),
        _figures(remark="the size is wrong"),
    ]
    assert not any(each.passed for each in wrong)
    assert all("**differs**" in line for line in list(table(wrong))[2:])
    right = [_figures(), _figures(error=0.01, largest=2)]
    assert [line.split("|")[-2].strip() for line in list(table(right))[2:]] == ["equal", "within 2"]
    assert "1 of 2 cases are repeated" in report([right[0], wrong[0]], {"python": "3.12"})
